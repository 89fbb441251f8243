package lockapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

func TestHoldAndRelease(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, _ := w.client(lockapi.Options{})
		m := c.Mutex("jobs")
		g := w.acquire(m)
		if g.Token == 0 || g.Name != "jobs" || g.Count() != 1 {
			t.Errorf("grant %+v", g)
		}
		if v := w.show("jobs"); len(v.Holders) != 1 || v.Holders[0].Token != g.Token || v.Holders[0].Session != c.Session() {
			t.Errorf("holders %+v", v.Holders)
		}
		time.Sleep(10 * time.Minute) // renewed all the time
		if !g.Valid() || g.Context().Err() != nil {
			t.Error("a grant that is renewed ended")
		}
		w.release(g)
		if g.Valid() || !g.ValidUntil().IsZero() {
			t.Error("valid after Release")
		}
		if err := context.Cause(g.Context()); !errors.Is(err, context.Canceled) || errors.Is(err, lockapi.ErrLost) {
			t.Errorf("cause after Release: %v", err)
		}
		w.release(g) // again is nothing
		w.wantIdle("jobs")
		if next := w.acquire(m); next.Token <= g.Token {
			t.Errorf("token %d after %d", next.Token, g.Token)
		}
	})
}

// Goroutines that share a Mutex exclude each other: every acquire is its own
// owner.
func TestEveryAcquireIsItsOwnOwner(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, _ := w.client(lockapi.Options{})
		m := c.Mutex("shared")
		w.acquire(m)
		if _, err := m.TryAcquire(t.Context()); !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("second acquire of a held mutex: %v", err)
		}
	})
}

func TestReentry(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, _ := w.client(lockapi.Options{})
		other, _ := w.client(lockapi.Options{})
		m := c.Mutex("deep").WithOwner("request 7")
		outer, inner := w.acquire(m), w.acquire(m)
		if inner.Token != outer.Token || outer.Count() != 1 || inner.Count() != 2 {
			t.Errorf("outer %d count %d, inner %d count %d", outer.Token, outer.Count(), inner.Token, inner.Count())
		}
		w.release(outer)
		if _, err := other.Mutex("deep").TryAcquire(t.Context()); !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("half released: %v", err)
		}
		if !inner.Valid() {
			t.Error("the inner grant ended with the outer")
		}
		w.release(inner)
		w.wantIdle("deep")
	})
}

func TestQueueIsFair(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 20
		first, _ := w.client(lockapi.Options{})
		held := w.acquire(first.Mutex("queue"))
		order := make(chan int, n)
		for i := range n {
			c, _ := w.client(lockapi.Options{})
			go func() {
				g := w.acquire(c.Mutex("queue"))
				order <- i
				w.release(g)
			}()
			time.Sleep(time.Millisecond) // virtual: the goroutine is parked by then
		}
		w.release(held)
		for want := range n {
			if got := <-order; got != want {
				t.Fatalf("waiter %d was granted in place %d", got, want)
			}
		}
	})
}

func TestBadRequestsAreRefusedBeforeTheyAreSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		m := c.Mutex("fine")
		for name, m := range map[string]*lockapi.Mutex{
			"no name":        c.Mutex(""),
			"long name":      c.Mutex(strings.Repeat("x", 513)),
			"NUL":            c.Mutex("a\x00b"),
			"no UTF-8":       c.Mutex("\xff"),
			"owner":          m.WithOwner(strings.Repeat("x", 129)),
			"own owner":      m.WithOwner("~1.1"),
			"negative hold":  m.WithMaxHold(-1),
			"hold of margin": m.WithMaxHold(lockapi.MarginOf(ttl)),
			"hold too long":  m.WithMaxHold(9000 * time.Hour),
		} {
			_, err := m.Acquire(t.Context())
			if !errors.Is(err, lockapi.ErrInvalid) || !strings.HasPrefix(err.Error(), "lockapi: acquire") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(l.sent()) != 0 || c.Session() != 0 {
			t.Error("something was sent")
		}
	})
}
