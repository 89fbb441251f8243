//go:build jepsen

package jepsen_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/report"
	"github.com/lockd-io/lockd/jepsen/rig"
	"github.com/lockd-io/lockd/jepsen/verdict"
)

// befell puts the faults into the report; began is when the history did.
func (run *trial) befell(began time.Time) {
	for _, e := range run.events {
		run.page.Faults = append(run.page.Faults, report.Fault{Name: e.Fault, To: e.To, Begin: int64(e.Begin.Sub(began)), End: int64(e.End.Sub(began))})
	}
}

// led puts into the report what the nodes' logs tell; began is when the history did.
func (run *trial) led(told rig.Told, began time.Time) {
	now := time.Now()
	at := func(t time.Time) int64 {
		if t.IsZero() {
			t = now // it has not come yet
		}
		return int64(t.Sub(began))
	}
	for _, r := range told.Reigns {
		run.page.Reigns = append(run.page.Reigns, report.Reign{Node: r.Node, Term: r.Term, Begin: at(r.Began), End: at(r.Over)})
	}
	for _, l := range told.Lives {
		ready := l.Ready
		if ready.IsZero() {
			ready = l.Over
		}
		run.page.Lives = append(run.page.Lives, report.Life{Node: l.Node, Begin: at(l.Began), Ready: at(ready), End: at(l.Over)})
	}
}

func findingsOf(agreed verdict.Agreed) (all []string) {
	for _, f := range agreed.Findings {
		all = append(all, f.String())
	}
	return all
}

// draw writes the report beside the history, or what was believed.
func (run *trial) draw() {
	t := run.t
	var err error
	if run.page.History, err = loaded(filepath.Join(run.dir, "history", "history.jsonl"), history.Load); errors.Is(err, os.ErrNotExist) {
		run.page.Holds = true
		var beliefs []history.Belief
		beliefs, err = loaded(filepath.Join(run.dir, "history", "beliefs.jsonl"), history.LoadBeliefs)
		for i, b := range beliefs {
			run.page.History = append(run.page.History, history.Op{
				ID: i, Client: b.Client, Kind: history.Acquire, Call: b.From, Return: b.To, Status: history.OK})
		}
	}
	if err != nil {
		t.Error(err)
	}
	out, err := os.Create(filepath.Join(run.dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := run.page.Write(out); err != nil {
		t.Error(err)
	}
}

func loaded[T any](name string, load func(io.Reader) (T, error)) (none T, err error) {
	file, err := os.Open(name)
	if err != nil {
		return none, err
	}
	defer file.Close()
	return load(file)
}
