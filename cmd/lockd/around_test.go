package main

import (
	"strings"
	"testing"

	"github.com/lockd-io/lockd/fsm"
)

// What a run wants that one around it holds: it waits for itself, perhaps, or not.
func TestDeadlock(t *testing.T) {
	around := []outer{{"a", 7, 3, 41}, {"a", 8, 4, 42}}
	held := func(m fsm.Mode, permits fsm.Permits, token fsm.Token) fsm.HolderView {
		session := map[fsm.Token]fsm.SessionID{7: 3, 8: 4}[token]
		pid := map[fsm.Token]string{7: "41", 8: "42"}[token]
		return fsm.HolderView{Session: session, Label: "host/" + pid + "/lockd", Mode: m, Permits: permits, Token: token}
	}
	lock, shared := wanted{}, wanted{shared: true}
	permits := func(n uint32) wanted { return wanted{permits: n, limit: 4} }
	elsewhere := held(fsm.Exclusive, 0, 7)
	elsewhere.Label = "host/410/lockd"
	other := fsm.HolderView{Session: 9, Label: "host/41/lockd", Mode: fsm.Exclusive, Token: 7}
	for what, c := range map[string]struct {
		wants  wanted
		waits  uint32
		holds  []fsm.HolderView
		expect deadlock
	}{
		"a lock in itself":                   {lock, 0, []fsm.HolderView{held(fsm.Exclusive, 0, 7)}, surely},
		"shared in a lock":                   {shared, 0, []fsm.HolderView{held(fsm.Exclusive, 0, 7)}, surely},
		"a lock in shared":                   {lock, 0, []fsm.HolderView{held(fsm.Shared, 0, 7)}, surely},
		"shared in shared":                   {shared, 0, []fsm.HolderView{held(fsm.Shared, 0, 7)}, never},
		"shared in shared, behind a writer":  {shared, 1, []fsm.HolderView{held(fsm.Shared, 0, 7)}, perhaps},
		"permits beside permits":             {permits(1), 0, []fsm.HolderView{held(fsm.Counted, 3, 7)}, never},
		"more permits than are left for it":  {permits(2), 0, []fsm.HolderView{held(fsm.Counted, 3, 7)}, surely},
		"more than two around it leave":      {permits(2), 0, []fsm.HolderView{held(fsm.Counted, 1, 7), held(fsm.Counted, 2, 8)}, surely},
		"permits that others have":           {permits(2), 0, []fsm.HolderView{held(fsm.Counted, 2, 7), {Permits: 1, Mode: fsm.Counted}}, perhaps},
		"permits that others wait for":       {permits(1), 1, []fsm.HolderView{held(fsm.Counted, 1, 7)}, perhaps},
		"nobody holds it any more":           {lock, 0, nil, never},
		"another process of another cluster": {lock, 3, []fsm.HolderView{elsewhere}, never},
		"another session of another cluster": {lock, 0, []fsm.HolderView{other}, never},
		"a token that was another's before":  {lock, 0, []fsm.HolderView{held(fsm.Exclusive, 0, 6)}, never},
	} {
		view := fsm.LockView{Name: "a", Limit: 4, Waits: c.waits, Holders: c.holds}
		if got := c.wants.deadlock(view, around); got != c.expect {
			t.Errorf("%s: %d, want %d", what, got, c.expect)
		}
	}
}

// What is told to runs within is bounded, whatever stands there, and the outermost
// goes first.
func TestAroundIsBounded(t *testing.T) {
	if got := around("[{"); got != nil {
		t.Error(got)
	}
	long := strings.Repeat("n", fsm.NameSizeMax)
	var outside []outer
	for depth := range 200 {
		text := aroundFor([]heldName{{Name: long, Token: fsm.Token(depth)}}, 1, outside)
		if outside = around(text); len(text) > aroundMax || outside[len(outside)-1].Token != fsm.Token(depth) {
			t.Fatalf("at %d: %d bytes, %d of them", depth, len(text), len(outside))
		}
	}
	if outside[0].Token == 0 || len(outside) < 10 {
		t.Errorf("%d are left", len(outside))
	}
}
