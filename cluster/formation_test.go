package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func testRef(id string) ref { return ref{id, instance{Hi: 1, Lo: uint64(id[1])}} }

// testReport is what an empty node that expects three says of itself.
func testReport(id, promised string) report {
	r := report{ref: testRef(id), Boot: instance{Hi: 2, Lo: uint64(id[1])}, Address: testPlace(id), Expect: 3}
	if promised != "" {
		r.Promised = testRef(promised)
	}
	return r
}

func testPlace(id string) string { return "10.0.0." + id[1:] + ":7600" }

func testFormation(id, promised string) *formation {
	me := saved{Version: identityVersion, ref: testRef(id)}
	if promised != "" {
		me.Promised = testRef(promised)
	}
	return newFormation(me, formationOptions{
		boot: instance{Hi: 2, Lo: uint64(id[1])}, address: testPlace(id), expect: 3, mint: clusterID{1},
	})
}

// The rules, one by one: who is heard, and what follows.
func TestFormationStep(t *testing.T) {
	founded := testReport("n8", "n8")
	founded.Cluster = clusterID{9}
	other := testReport("n4", "")
	other.Expect = 5
	twin := testReport("n4", "")
	twin.Instance.Hi = 7
	twin.Address = "10.0.0.44:7600"
	copied := testReport("n3", "")
	copied.Boot.Hi = 7
	for _, tc := range []struct {
		name     string
		promised string // n3's own
		heard    []report
		want     string // promised to
		ask      []string
		owed     []string
	}{
		{"F1: the lowest of three proposes", "", []report{testReport("n4", ""), testReport("n5", "")}, "n3", nil, nil},
		{"two are not enough", "", []report{testReport("n4", "")}, "", nil, nil},
		{"one that expects others does not count", "", []report{testReport("n5", ""), other}, "", nil, nil},
		{"two of one id do not count", "", []report{testReport("n5", ""), testReport("n4", ""), twin}, "", nil, nil},
		{"a free lower one goes first", "", []report{testReport("n2", ""), testReport("n5", "")}, "", nil, nil},
		{"a lower one that proposes goes first", "", []report{testReport("n2", "n2"), testReport("n5", "")}, "", nil, nil},
		{"a lower one that is bound does not", "", []report{testReport("n2", "n1"), testReport("n5", "")}, "n3", nil, nil},
		{"F6: nobody proposes beside a cluster", "", []report{testReport("n4", ""), testReport("n5", ""), founded}, "", nil, nil},
		{"nobody proposes beside a copy of himself", "", []report{testReport("n4", ""), testReport("n5", ""), copied}, "", nil, nil},
		{"a proposer asks all that are not his", "n3", []report{testReport("n2", ""), testReport("n4", "n3"), testReport("n5", "n4"), other}, "n3", []string{"n2", "n5"}, nil},
		{"F3: a proposer abdicates to a lower one", "n3", []report{testReport("n2", "n2"), testReport("n4", "n3")}, "n2", nil, nil},
		{"and to no higher one", "n3", []report{testReport("n4", "n4")}, "n3", []string{"n4"}, nil},
		{"F5: with three promises it mints, and takes the lowest", "n3", []report{testReport("n6", "n3"), testReport("n5", "n3"), testReport("n4", "n3"), testReport("n2", "n2")}, "n3", nil, []string{"n3", "n4", "n5"}},
		{"F6: and not beside a cluster", "n3", []report{testReport("n4", "n3"), testReport("n5", "n3"), founded}, "n3", nil, nil},
		{"whoever promised does nothing", "n2", []report{testReport("n2", "n1"), testReport("n4", ""), testReport("n5", "")}, "n2", nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := testFormation("n3", tc.promised)
			for _, r := range tc.heard {
				f.heard(0, r)
			}
			next, ask := f.step(freshFor)
			if next.Promised.ID != tc.want {
				t.Errorf("promised to %q, want %q", next.Promised.ID, tc.want)
			}
			var asked, owed []string
			for _, id := range tc.ask {
				asked = append(asked, testPlace(id))
			}
			for _, p := range next.Owed {
				owed = append(owed, p.ID)
			}
			if !slices.Equal(ask, asked) || !slices.Equal(owed, tc.owed) || next.Cluster.known() != (tc.owed != nil) {
				t.Errorf("asks %v, owes %v, cluster %q; want %v, %v", ask, owed, next.Cluster, asked, tc.owed)
			}
			// What was heard too long ago does not count.
			if next, ask := f.step(freshFor + 1); !next.equal(f.me) || ask != nil {
				t.Errorf("acts on old news: %+v, asks %v", next, ask)
			}
		})
	}
}

func TestFormationPromise(t *testing.T) {
	founded := testReport("n8", "n8")
	founded.Cluster = clusterID{9}
	many := testReport("n2", "n2")
	many.Expect = 5
	for _, tc := range []struct {
		name     string
		promised string // n3's own
		heard    []report
		asks     report
		want     string // promised to
		refusal  string
	}{
		{"F2", "", nil, testReport("n9", "n9"), "n9", ""},
		{"again", "n9", nil, testReport("n9", "n9"), "n9", ""},
		{"to one only", "n9", nil, testReport("n2", "n2"), "n9", "has promised itself to n9"},
		{"F3", "n3", nil, testReport("n2", "n2"), "n2", ""},
		{"not upwards", "n3", nil, testReport("n4", "n4"), "n3", "has promised itself to n3"},
		{"F4", "n9", []report{testReport("n9", "n4")}, testReport("n4", "n4"), "n4", ""},
		{"who is silent has not abdicated", "n9", []report{testReport("n9", "")}, testReport("n4", "n4"), "n9", "has promised itself to n9"},
		{"to a proposer only", "", nil, testReport("n2", "n1"), "", "was not asked by a proposer"},
		{"to who expects the same only", "", nil, many, "", "expects 3 nodes, not 5"},
		{"not to a copy", "", nil, testReport("n3", "n3"), "", "is not the only node with its id"},
		{"F6", "", []report{founded}, testReport("n2", "n2"), "", "knows that n8 is in cluster"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := testFormation("n3", tc.promised)
			for _, r := range tc.heard {
				f.heard(0, r)
			}
			next, refusal := f.promise(0, tc.asks)
			if next.Promised.ID != tc.want || refusal == "" != (tc.refusal == "") || !strings.Contains(refusal, tc.refusal) {
				t.Errorf("promised to %q, %q; want %q, %q", next.Promised.ID, refusal, tc.want, tc.refusal)
			}
		})
	}
	f := testFormation("n3", "")
	f.expect = 0
	if _, refusal := f.promise(0, testReport("n2", "n2")); !strings.Contains(refusal, "does not form a cluster") {
		t.Error(refusal)
	}
}

func TestFormationAdmit(t *testing.T) {
	for _, promised := range []string{"", "n2", "n3", "n9"} {
		f := testFormation("n3", promised)
		r := testReport("n2", "n2")
		if _, refusal := f.admit(r, f.me.ref); refusal == "" {
			t.Error("admitted by a node of no cluster")
		}
		r.Cluster = clusterID{9}
		if next, refusal := f.admit(r, ref{"n3", instance{99, 99}}); refusal == "" || next.Cluster.known() {
			t.Error("admitted in the place of a node whose disk is gone")
		}
		next, refusal := f.admit(r, f.me.ref)
		if refusal != "" || next.Cluster != r.Cluster {
			t.Error(next, refusal)
		}
		f.keep(next)
		if again, refusal := f.admit(r, f.me.ref); refusal != "" || !again.equal(next) {
			t.Error(again, refusal)
		}
		r.Cluster = clusterID{8}
		if again, refusal := f.admit(r, f.me.ref); refusal == "" || !again.equal(next) {
			t.Error("left its cluster for another")
		}
		if again, ask := f.step(0); !again.equal(next) || ask != nil {
			t.Error("a member goes on forming")
		}
	}
}

func TestFormationWaitingFor(t *testing.T) {
	founded := testReport("n2", "n2")
	founded.Cluster = clusterID{0xab}
	choosing := founded
	choosing.Chosen = []string{"n2", "n3"}
	rival := testReport("n3", "")
	rival.Boot.Hi, rival.Instance.Hi = 7, 7
	copied := testReport("n3", "")
	copied.Boot.Hi = 7
	for _, tc := range []struct {
		name     string
		promised string
		heard    []report
		want     string
	}{
		{"alone", "", nil, "found 1 of 3 empty nodes"},
		{"free", "", []report{testReport("n2", ""), testReport("n4", "")}, "waits for a node with a lower id"},
		{"proposing", "n3", []report{testReport("n4", "n3"), testReport("n5", "")}, "has 2 of 3 promises"},
		{"promised", "n2", []report{testReport("n2", "n2"), testReport("n4", "n2")}, "promised itself to n2, which forms the cluster"},
		{"left out", "n3", []report{founded}, "n2 is in cluster ab000000000000000000000000000000, which was formed without this node"},
		{"chosen", "n2", []report{choosing}, "founded cluster ab000000000000000000000000000000 and is about to add this node"},
		{"rival", "", []report{rival}, "has the id n3 too"},
		{"copied", "", []report{copied}, "another process runs on a copy of this data directory, at 10.0.0.3:7600"},
	} {
		f := testFormation("n3", tc.promised)
		for _, r := range tc.heard {
			f.heard(0, r)
		}
		if got := f.waitingFor(0); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s\nwant %s", tc.name, got, tc.want)
		}
	}

	// The proposer is gone for good: the error names it and the remedy.
	f := testFormation("n3", "n1")
	f.started = time.Second
	for _, id := range []string{"n2", "n4"} {
		f.heard(time.Second+stuckAfter, testReport(id, "n1"))
	}
	if got := f.waitingFor(time.Second + stuckAfter); strings.Contains(got, "empty the data directories") {
		t.Error("too early:", got)
	}
	got := f.waitingFor(time.Second + stuckAfter + 1)
	if !strings.Contains(got, "n1, which is not heard from") || !strings.Contains(got, "empty the data directories of all nodes") {
		t.Error(got)
	}
}

// What others name is probed, but not without bound and not for ever.
func TestFormationAddresses(t *testing.T) {
	f := testFormation("n3", "")
	f.join = []string{"seed:1", testPlace("n3")}
	r := testReport("n4", "")
	for i := range 2 * hintsMax {
		r.Known = append(r.Known, fmt.Sprintf("hint:%d", i+1))
	}
	f.heard(0, r)
	if got := f.addresses(); len(got) != 2+hintsMax || !slices.Contains(got, "seed:1") || !slices.Contains(got, testPlace("n4")) || slices.Contains(got, testPlace("n3")) {
		t.Errorf("%d: %v", len(got), got)
	}
	if got := f.report(0).Known; !slices.Equal(got, []string{testPlace("n4")}) {
		t.Error(got)
	}
	f.heard(stuckAfter+1, testReport("n5", ""))
	if got := f.addresses(); !slices.Equal(got, []string{testPlace("n5"), "seed:1"}) {
		t.Error(got)
	}
}
