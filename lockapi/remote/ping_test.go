package remote

import (
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// hears waits for the grant of a queued acquire.
func hears(t *testing.T, events <-chan fsm.Outcome) {
	t.Helper()
	select {
	case o := <-events:
		if o.Kind != fsm.OutcomeGranted {
			t.Errorf("%+v", o)
		}
	case <-time.After(30 * time.Second): // the session's next renewal is twenty minutes away
		t.Error("never heard of the grant")
	}
}

// A waiter's node hangs with its connections open, while the waiter asks nothing:
// he hears of his grant by way of another one.
func TestGrantBehindANodeThatHangs(t *testing.T) {
	w := newWorld(t, 2)
	at0, at1 := w.open(Options{}, 0, 1), w.open(Options{}, 1)
	holder, waiter := w.user(at1, 1), w.user(at0, 2)
	until(t, "at the leader", func() bool { return at0.linkedTo() == "n0" })
	held := holder.do(holder.acquire("x"))
	events := waiter.attach()
	if r := waiter.do(waiter.acquire("x")); r.Status != fsm.StatusQueued {
		t.Fatalf("%+v", r)
	}
	w.nodes[0].proxy.freeze(true)
	holder.do(holder.release(held.Grant))
	hears(t, events)
}

// A node that lives and has lost its leader answers, and hears of nothing: who waits
// by way of it goes to another.
func TestNodeWithoutALeaderIsLeft(t *testing.T) {
	w := newWorld(t, 2)
	w.lead(1)
	b := w.open(Options{Spread: true}, 0, 1)
	u := w.user(b, 1)
	u.attach()
	before := b.linkedTo()
	cutOff := w.nodes[before[1]-'0']
	cutOff.mu.Lock()
	cutOff.leaderless = true
	cutOff.mu.Unlock()
	deadline := time.Now().Add(time.Minute)
	until(t, "at the other node", func() bool {
		if time.Now().After(deadline) {
			t.Error("stays at a node without a leader")
		}
		return b.linkedTo() != "" && b.linkedTo() != before
	})
}
