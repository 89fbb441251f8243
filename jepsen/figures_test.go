//go:build jepsen

package jepsen_test

import (
	"fmt"
	"testing"
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

func (f *figures) String() string {
	return fmt.Sprintf("%d operations, %d of them searched (%d with an order shown), %d by their positions; %d sessions expired; %d faults of %d kinds, %d power cuts of all nodes; "+
		"%d lives of nodes, %d reigns, %d snapshots installed; %d states compared",
		f.operations, f.searched, f.shown, f.witnessed, f.expired, f.faults, len(f.kinds), f.kinds["power fails everywhere"],
		f.lives, f.reigns, f.installed, f.compared)
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
		{"power cuts of all nodes", f.kinds["power fails everywhere"], 3},
	} {
		if want.got < want.least {
			t.Errorf("this run proves too little: %d %s, %d at least", want.got, want.what, want.least)
		}
	}
}
