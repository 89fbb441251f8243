package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
)

// A jepsenResult is what jepsen found, for scripts.
type jepsenResult struct {
	Verdict    string         `json:"verdict"`
	Seed       uint64         `json:"seed,omitzero"`  // a history that was recorded before does not tell
	Began      time.Time      `json:"began,omitzero"` // the history's time 0; nor this
	Operations int            `json:"operations"`
	Groups     int            `json:"groups"`    // of names, each judged by itself
	Searched   int            `json:"searched"`  // operations that an order was looked for
	Shown      int            `json:"shown"`     // of these, found in order only once that of their positions was tried
	Witnessed  int            `json:"witnessed"` // operations that said where they took effect
	Expired    int            `json:"expired"`   // sessions that nobody closed; those that were there at the end will
	Outcomes   map[string]int `json:"outcomes"`
	Idle       float64        `json:"idle_seconds,omitempty"` // --workload engine: at the end, nobody had held the lock for so long
	Findings   []string       `json:"findings"`
}

func (f *jepsenFlags) judge(h history.History, told error) (jepsenResult, verdict.Linear) {
	judged, witness := verdict.Linearizable(h, f.searchTime), verdict.Witnessed(h)
	if witness.Verdict == verdict.Violated {
		judged.Verdict = verdict.Violated
		judged.Findings = append(judged.Findings, witness.Findings...)
	}
	r := jepsenResult{Seed: f.load.Seed, Operations: len(h), Groups: judged.Parts, Searched: judged.Ops, Shown: judged.Shown, Witnessed: witness.Ops,
		Expired: h.Unclosed(), Outcomes: make(map[string]int), Findings: []string{}}
	for i := range h {
		what := string(h[i].Kind) + " " + string(h[i].Status)
		if h[i].Code != "" {
			what = string(h[i].Kind) + " " + h[i].Code
		}
		r.Outcomes[what]++
	}
	if told != nil {
		judged.Verdict = verdict.Violated
		r.Findings = append(r.Findings, told.Error())
	}
	if len(h) == 0 {
		judged.Verdict = verdict.Undecided
		r.Findings = append(r.Findings, "nothing was answered")
	}
	for _, finding := range judged.Findings {
		r.Findings = append(r.Findings, finding.String())
	}
	r.Verdict = judged.Verdict.String()
	return r, judged
}

// keep writes what there is to look at into --out.
func (f *jepsenFlags) keep(h history.History, judged verdict.Linear) error {
	if f.out == "" {
		return nil
	}
	for name, write := range map[string]func(io.Writer) error{
		"history.jsonl": func(w io.Writer) error { return history.Save(w, h) },
		"history.edn":   func(w io.Writer) error { return history.WriteEDN(w, h) },
		"history.html": func(w io.Writer) error {
			_, err := judged.Picture(w)
			return err
		},
	} {
		if name == "history.html" && !judged.Drawn() {
			_ = os.Remove(filepath.Join(f.out, name)) // of a run before: it would be taken for one of this
			continue
		}
		file, err := f.create(name)
		if err != nil {
			return err
		}
		if err := errors.Join(write(file), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// progress tells on a terminal how far it is.
func (f *jepsenFlags) progress(record *history.Recorder, stderr io.Writer) (stop func()) {
	if f.asJSON || !onTerminal(stderr) {
		return func() {}
	}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(stderr, "\r%v of %v, %d operations ", time.Duration(record.Now()).Round(time.Second), f.load.Time, record.Len())
			case <-over:
				fmt.Fprint(stderr, "\rjudging                                        \r")
				return
			}
		}
	}()
	return func() { close(over); <-done }
}

func printJepsen(w io.Writer, r jepsenResult, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%s: %d operations in %d groups of names, %d of them by their positions as well", r.Verdict, r.Operations, r.Groups, r.Witnessed)
	if r.Seed != 0 {
		fmt.Fprintf(w, "; seed %d", r.Seed)
	}
	fmt.Fprintln(w)
	var outcomes []string
	for what, n := range r.Outcomes {
		outcomes = append(outcomes, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(outcomes)
	fmt.Fprintf(w, "  %s\n", strings.Join(outcomes, ", "))
	for _, finding := range r.Findings {
		if _, err := fmt.Fprintf(w, "  %s\n", finding); err != nil {
			return err
		}
	}
	return nil
}
