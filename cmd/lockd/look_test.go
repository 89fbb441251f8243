package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// What people are shown counts those who are not listed, and says in which mode
// somebody holds: of three permits, two may leave no place for who waits.
func TestLookCountsAll(t *testing.T) {
	lock := fsm.LockView{
		Name: "a", Kind: fsm.KindSemaphore, Limit: 3, Holds: 1500, Waits: 2500,
		Holders: []fsm.HolderView{{Label: "h", Mode: fsm.Counted, Permits: 1, Token: 7}},
		Waiters: []fsm.WaiterView{{Label: "w", Mode: fsm.Counted, Permits: 2, Position: 1}},
	}
	var shown, listed bytes.Buffer
	if err := show(&shown, lock); err != nil {
		t.Fatal(err)
	}
	row(&listed, lock)
	for _, want := range []string{" 1 of 3 ", " 2 of 3 ", "held by   1499 more", "wait      2499 more"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("show has no %q:\n%s", want, &shown)
		}
	}
	for _, want := range []string{"h and 1499 more", "\t2500\n"} {
		if !strings.Contains(listed.String(), want) {
			t.Errorf("ls has no %q: %s", want, &listed)
		}
	}
	for mode, want := range map[fsm.Mode]string{fsm.Exclusive: " exclusive ", fsm.Shared: " shared "} {
		shown.Reset()
		if err := show(&shown, fsm.LockView{Name: "a", Holds: 1, Holders: []fsm.HolderView{{Mode: mode}}}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(shown.String(), want) {
			t.Errorf("show has no %q:\n%s", want, &shown)
		}
	}
}

// An owner that a client made up is nobody's to see; one that a program gave is.
// Whoever looks at a node that is no member yet is told what it waits for.
func TestLookTellsWhatIsOfUse(t *testing.T) {
	var out bytes.Buffer
	lock := fsm.LockView{Name: "a", Holds: 2, Holders: []fsm.HolderView{{Owner: "~1.7", Mode: fsm.Shared}, {Owner: "cron", Mode: fsm.Shared}}}
	if err := show(&out, lock); err != nil || strings.Contains(out.String(), "~") || !strings.Contains(out.String(), " cron ") {
		t.Errorf("%v\n%s", err, &out)
	}
	out.Reset()
	if err := printStatus(&out, lockapi.Status{Node: "n1", Waiting: "found 1 of 3"}); err != nil || !strings.Contains(out.String(), "n1 waits: found 1 of 3\n") {
		t.Errorf("%v\n%s", err, &out)
	}
}
