package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/lockd-io/lockd/jepsen/workload"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
)

// ownWork is what applications of this process do between reading and writing.
const ownWork = 100 * time.Microsecond

// engine lets applications work, and judges what they were sure of.
func (f *jepsenFlags) engine(ctx context.Context, stderr io.Writer) (_ jepsenResult, err error) {
	record := history.NewRecorder()
	e := workload.Engine{
		Seed: f.load.Seed, Clients: f.load.Clients, First: f.first, Time: f.load.Time, TTL: f.load.TTL, Name: f.prefix + "resource",
		Resource: new(workload.Resource), Clock: record.Now, Work: ownWork,
		Open: func(int) (lockapi.Backend, error) { return remote.Open(f.endpoints, remote.Options{}) },
	}
	if f.resource != "" {
		shared, err := workload.Share(f.resource)
		if err != nil {
			return jepsenResult{}, usage("--resource %s: %w", f.resource, err)
		}
		defer shared.Close()
		e.Resource, e.Clock, e.Work = shared, history.MachineClock, workload.SharedWork
	}
	if f.out != "" {
		file, err := f.create("beliefs.jsonl")
		if err != nil {
			return jepsenResult{}, fmt.Errorf("--out: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		e.Tell = oneByOne(file)
	}
	stop := f.progress(record, stderr)
	beliefs, wrong := e.Run(ctx)
	stop()
	tally, err := e.Resource.Tally()
	if err != nil {
		return jepsenResult{}, fmt.Errorf("the resource: %w", err)
	}
	r := f.believed(beliefs, tally, wrong)
	r.Began = record.Began()
	if len(beliefs) > 0 {
		r.Idle = time.Duration(e.Clock() - lastOf(beliefs)).Seconds()
	}
	return r, nil
}

// lastOf is when somebody was last sure of the lock.
func lastOf(beliefs []history.Belief) (last int64) {
	for _, b := range beliefs {
		last = max(last, b.To)
	}
	return last
}

// oneByOne keeps beliefs as they grow.
func oneByOne(w io.Writer) func(history.Belief) error {
	var mu sync.Mutex // one line at a time
	return func(b history.Belief) error {
		mu.Lock()
		defer mu.Unlock()
		return history.WriteBelief(w, b)
	}
}

func (f *jepsenFlags) believed(beliefs []history.Belief, tally workload.Tally, wrong error) jepsenResult {
	r := jepsenResult{
		Verdict: verdict.Pass.String(), Seed: f.load.Seed, Operations: len(beliefs), Groups: 1, Findings: []string{},
		Outcomes: map[string]int{"held": len(beliefs), "write ok": tally.Taken, "write overtaken": tally.Refused, "writes of the twin lost": tally.TwinLost()},
	}
	for _, finding := range verdict.Apart(beliefs) {
		r.Findings = append(r.Findings, finding.String())
	}
	if lost := tally.Lost(); lost > 0 {
		r.Findings = append(r.Findings, fmt.Sprintf("the fenced resource lost %d of %d writes", lost, tally.Taken))
	}
	if wrong != nil {
		r.Findings = append(r.Findings, wrong.Error())
	}
	switch {
	case len(r.Findings) > 0:
		r.Verdict = verdict.Violated.String()
	case len(beliefs) == 0:
		r.Verdict, r.Findings = verdict.Undecided.String(), []string{"nobody ever held the lock"}
	}
	return r
}

// create makes a file in --out.
func (f *jepsenFlags) create(name string) (*os.File, error) {
	if err := os.MkdirAll(f.out, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(f.out, name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
}
