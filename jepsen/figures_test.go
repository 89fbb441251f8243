//go:build jepsen

package jepsen_test

import (
	"fmt"
	"testing"

	"github.com/lockd-io/lockd/jepsen/report"
)

// figures are how much was tried.
type figures struct {
	operations, searched, shown, witnessed, expired int
	reigns, installed, lives, compared              int
	faults                                          int
	kinds                                           map[string]int
}

func (f *figures) fault(name string) {
	if f.kinds == nil {
		f.kinds = make(map[string]int)
	}
	f.kinds[name]++
	f.faults++
}

func (f *figures) add(more *figures) {
	f.operations += more.operations
	f.searched += more.searched
	f.shown += more.shown
	f.witnessed += more.witnessed
	f.expired += more.expired
	f.reigns += more.reigns
	f.installed += more.installed
	f.lives += more.lives
	f.compared += more.compared
	for name, n := range more.kinds {
		for range n {
			f.fault(name)
		}
	}
}

const powerCut = "power fails everywhere" // a fault of the rig, and what comes at the end

// list is the figures by name.
func (f *figures) list() []report.Figure {
	return []report.Figure{
		{What: "operations", Count: f.operations},
		{What: "of them searched for an order", Count: f.searched},
		{What: "of these with an order shown to the search", Count: f.shown},
		{What: "operations judged by their positions", Count: f.witnessed},
		{What: "sessions expired", Count: f.expired},
		{What: "faults", Count: f.faults},
		{What: "kinds of faults", Count: len(f.kinds)},
		{What: "power cuts of all nodes", Count: f.kinds[powerCut]},
		{What: "lives of nodes", Count: f.lives},
		{What: "reigns", Count: f.reigns},
		{What: "snapshots installed", Count: f.installed},
		{What: "states of nodes compared", Count: f.compared},
	}
}

func (f *figures) String() string {
	many := report.Many
	return fmt.Sprintf("%s, %d of them searched (%d with an order shown), %d by their positions; %s expired; %s of %s, %s of all nodes; "+
		"%s of nodes, %s, %s installed; %s compared",
		many(f.operations, "operation", "operations"), f.searched, f.shown, f.witnessed, many(f.expired, "session", "sessions"),
		many(f.faults, "fault", "faults"), many(len(f.kinds), "kind", "kinds"), many(f.kinds[powerCut], "power cut", "power cuts"),
		many(f.lives, "life", "lives"), many(f.reigns, "reign", "reigns"), many(f.installed, "snapshot", "snapshots"), many(f.compared, "state", "states"))
}

// enough fails a run that proves too little, whatever it found.
func (f *figures) enough(t *testing.T) {
	t.Helper()
	for _, want := range []struct {
		what       string
		got, least int
	}{
		{"faults", f.faults, 60},
		{"kinds of faults", len(f.kinds), 18},
		{"operations by their positions", f.witnessed, 100_000},
		{"operations searched", f.searched, 30_000},
		{"sessions expired", f.expired, 300},
		{"reigns", f.reigns, 10},
		{"snapshots installed", f.installed, 5},
		{"power cuts of all nodes", f.kinds[powerCut], 3},
	} {
		if want.got < want.least {
			t.Errorf("this run proves too little: %d %s, %d at least", want.got, want.what, want.least)
		}
	}
}
