package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/fsm"
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
