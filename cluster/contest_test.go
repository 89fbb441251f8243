package cluster

import (
	"slices"
	"strings"
	"testing"
)

// F0, one by one: a node that expects one, or two of four, and what it knows of
// those in its Join.
func TestFormationContested(t *testing.T) {
	founded := testReport("n2", "n2")
	founded.Cluster = clusterID{9}
	waits := testReport("n2", "")
	waits.Expect = 0
	seat2, seat4 := testPlace("n2"), testPlace("n4")
	answered := func(ids ...string) (s seat) {
		for _, id := range ids {
			s.who = append(s.who, testRef(id))
		}
		return s
	}
	for _, tc := range []struct {
		name   string
		expect int
		alone  bool
		join   []string
		seats  map[string]seat
		heard  []report
		found  bool
		says   string
	}{
		{"nobody to ask", 1, false, nil, nil, nil, true, ""},
		{"nobody but itself", 1, false, []string{testPlace("n3")}, nil, nil, true, ""},
		{"itself under another name", 1, false, []string{seat2}, map[string]seat{seat2: answered("n3")}, nil, true, ""},
		{"not asked yet", 1, false, []string{seat2}, nil, nil, false, "nobody answers at " + seat2},
		{"not asked yet, and told to found alone", 1, true, []string{seat2}, nil, nil, false, "nobody answers"},
		{"silent", 1, false, []string{seat2}, map[string]seat{seat2: {silent: 1}}, nil, false, "bootstrap-alone"},
		{"silent, and told to found alone", 1, true, []string{seat2}, map[string]seat{seat2: {silent: 1}}, nil, true, ""},
		{"one address of a name is silent", 1, false, []string{seat2}, map[string]seat{seat2: {who: []ref{testRef("n3")}, silent: 1}}, nil, false, "nobody answers"},
		{"another founder", 1, false, []string{seat2}, map[string]seat{seat2: answered("n2")}, []report{testReport("n2", "")}, false, "n2 at " + seat2 + " expects 3"},
		{"another founder, and told to found alone", 1, true, []string{seat2}, map[string]seat{seat2: answered("n2")}, []report{testReport("n2", "")}, false, "expects 3"},
		{"another founder of whom somebody else told", 1, false, nil, nil, []report{testReport("n2", "")}, false, "expects 3"},
		{"who waits to be added", 1, false, []string{seat2}, map[string]seat{seat2: answered("n2")}, []report{waits}, true, ""},
		{"a cluster", 1, true, []string{seat2}, map[string]seat{seat2: answered("n2")}, []report{founded}, false, "is in cluster"},
		{"who answered once and is not heard any more", 1, false, []string{seat2}, map[string]seat{seat2: answered("n2")}, nil, false, "nobody answers"},
		{"two of three", 2, false, []string{seat2, seat4}, map[string]seat{seat2: answered("n2")}, []report{testReport("n2", "n3")}, true, ""},
		{"two of four", 2, false, []string{seat2, seat4, "x:1"}, map[string]seat{seat2: answered("n2")}, []report{testReport("n2", "n3")}, false, "4 nodes could found a cluster"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			promised := ""
			if tc.expect > 1 {
				promised = "n3"
			}
			f := testFormation("n3", promised)
			f.expect, f.alone, f.join = tc.expect, tc.alone, tc.join
			for address, s := range tc.seats {
				f.seated(address, s)
			}
			for _, r := range tc.heard {
				if tc.expect > 1 {
					r.Expect = tc.expect
				}
				f.heard(0, r)
			}
			next, _ := f.step(0)
			got := next.Promised == f.me.ref // the proposal
			if tc.expect > 1 {
				got = next.Cluster.known() // proposed already, and has its promises
			}
			if got != tc.found {
				t.Errorf("%+v, want found %t", next, tc.found)
			}
			if says := f.waitingFor(0); tc.says != "" && !strings.Contains(says, tc.says) {
				t.Errorf("says %q, want %q", says, tc.says)
			}
		})
	}
}

// Three nodes that were each told to form a cluster of one, and to join the others.
func TestClustersOfOneAreRefused(t *testing.T) {
	configs := testConfigs(t, 3)
	var all []string
	for _, c := range configs {
		all = append(all, c.Listen)
	}
	var nodes []*testNode
	for i := range configs {
		configs[i].Join, configs[i].BootstrapExpect, configs[i].BootstrapAlone = all, 1, i == 1
		nodes = append(nodes, startNode(t, configs[i], nodeTweaks{}))
	}
	for _, n := range nodes {
		untilStatus(t, n, "3 nodes could found")
		untilStatus(t, n, "the same bootstrap-expect")
	}
	if slices.ContainsFunc(nodes, func(n *testNode) bool { return n.me.saved().bound() }) {
		t.Fatal("one of them has begun to found a cluster")
	}
}

// Who is told to found alone does not wait for those who never answer, and those
// who come later stay out.
func TestFoundAlone(t *testing.T) {
	configs := testConfigs(t, 2)
	for i := range configs {
		configs[i].Join, configs[i].BootstrapExpect = []string{configs[0].Listen, configs[1].Listen}, 1
	}
	configs[0].BootstrapAlone = true
	wantFormed(t, startNode(t, configs[0], nodeTweaks{}))
	late := startNode(t, configs[1], nodeTweaks{})
	untilStatus(t, late, "stays out until a member adds it")
}

// Two clusters that were meant to be one say so, both of them.
func TestStrangersAreTold(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{2}, known)
	n := &Node{peers: a.peers, identity: a.identity, address: a.address, cfg: Config{Join: []string{a.address, b.address}}}
	for range 3 {
		n.seekStrangers(t.Context())
		<-b.errs
	}
	for name, log := range map[string]string{"a": a.log.String(), "b": b.log.String()} {
		if strings.Count(log, "ERROR") != 1 || !strings.Contains(log, clusterID{1}.String()) || !strings.Contains(log, clusterID{2}.String()) {
			t.Errorf("%s says:\n%s", name, log)
		}
	}
}

// One name for several nodes, as a headless service has it: each of them counts.
func TestNameOfSeveralNodes(t *testing.T) {
	if got := eachOf([]string{"10.0.0.1", "10.0.0.2", "::1"}, "76"); !slices.Equal(got, []string{"10.0.0.1:76", "10.0.0.2:76", "[::1]:76"}) {
		t.Errorf("%v", got)
	}
	if got := eachOf(slices.Repeat([]string{"10.0.0.1"}, 99), "76"); len(got) != resolvedMax {
		t.Errorf("%d addresses of one name", len(got))
	}
	if got := resolved(t.Context(), "localhost:7600"); len(got) == 0 || got[0] == "localhost:7600" {
		t.Errorf("localhost is %v", got)
	}
	for _, same := range []string{"10.0.0.1:7600", "[::1]:7600", "nowhere"} {
		if got := resolved(t.Context(), same); !slices.Equal(got, []string{same}) {
			t.Errorf("%s: %v", same, got)
		}
	}
}
