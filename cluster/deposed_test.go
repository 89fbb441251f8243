package cluster

import (
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A leader stands still, as a stopped process does, or one whose disk hangs. Another
// is elected, and a lock changes hands there. Then the first one is asked who holds
// it, and wakes: by all that it knows it leads, and what it last heard from the others
// says so as well. It shows the change, or nothing.
func TestALeaderThatDoesNotKnow(t *testing.T) {
	w := newWorld(t, 3, nil)
	old := w.leader()
	p, q, r := w.open(old, time.Minute), w.open(old, time.Minute), w.open(old, time.Minute)
	before := w.do(old, p.acquire("n", 0))
	wait := q.acquire("n", fsm.Forever)
	w.do(old, wait)

	// Whatever raft would write waits for this, and raft waits for what it writes.
	disk := &old.storage.guard.mu
	disk.Lock()
	wake := sync.OnceFunc(disk.Unlock)
	defer wake()
	stuck := w.submit(old, r.acquire("m", 0))
	w.part(old)
	var next *citizen
	w.until("another leader", func() bool {
		for _, c := range w.all() {
			if c != old && c.leadership.current().reign != nil {
				next = c
			}
		}
		return next != nil
	})
	w.do(next, p.release(before.Grant))
	now := w.do(next, wait)
	if now.Status != fsm.StatusOK || now.Token <= before.Token {
		t.Fatalf("handed over: %+v, after %+v", now, before)
	}
	if old.raft.State() != raft.Leader || old.leadership.current().reign == nil {
		t.Error("it knows that it does not lead; nothing is tested")
	}
	views := make(chan lockapi.View, 1)
	go func() {
		ctx, cancel := w.context()
		defer cancel()
		v, err := old.Inspect(ctx, lockapi.Query{Name: "n"})
		if err != nil {
			t.Error(err)
		}
		views <- v
	}()
	w.until("the question to be there", func() bool {
		old.reads.mu.Lock()
		defer old.reads.mu.Unlock()
		return old.reads.current != nil || len(views) > 0
	})
	w.part()
	wake()
	v := <-views
	if len(v.Locks) != 1 || len(v.Locks[0].Holders) != 1 || v.Locks[0].Holders[0].Token != now.Token {
		t.Errorf("it shows %+v; token %d holds", v.Locks, now.Token)
	}
	if got := stuck.answer(); got.err != nil || got.result.Status != fsm.StatusOK {
		t.Errorf("what it had in hand: %+v", got)
	}
}
