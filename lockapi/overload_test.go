package lockapi_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

func TestOverloadErrorKinds(t *testing.T) {
	err := fmt.Errorf("node n1: %w", &lockapi.OverloadError{What: "streams of one node: 4096", RetryAfter: time.Second})
	if !errors.Is(err, lockapi.ErrOverloaded) || !errors.Is(err, lockapi.ErrUnavailable) || errors.Is(err, lockapi.ErrUnknown) ||
		errors.Is(err, lockapi.ErrLimit) {
		t.Errorf("kinds of %v", err)
	}
	const want = "node n1: overloaded: refused before anything was done (streams of one node: 4096); try again in 1s"
	if err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

// The pause is at least what was asked for, partly chance, and bounded.
func TestPauseAfter(t *testing.T) {
	for _, c := range []struct{ asked, least, most time.Duration }{
		{0, 0, 10 * time.Millisecond},
		{2 * time.Second, 2 * time.Second, 3 * time.Second},
		{time.Hour, 10 * time.Second, 15 * time.Second},
		{-time.Second, 0, 10 * time.Millisecond},
	} {
		seen := map[time.Duration]bool{}
		for range 50 {
			d := lockapi.PauseAfter(&lockapi.OverloadError{RetryAfter: c.asked}, 0)
			if d < c.least || d > c.most {
				t.Errorf("asked for %v, paused for %v", c.asked, d)
			}
			seen[d] = true
		}
		if len(seen) < 2 {
			t.Errorf("asked for %v: always the same pause", c.asked)
		}
	}
}

// An overloaded node is left alone for as long as it asks, and the acquire that it
// refused succeeds then: the refusal is definite, so nothing has happened twice.
func TestOverloadIsHeeded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		l.forget()
		full := time.Now().Add(8 * time.Second)
		l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			if c.Op == fsm.OpAcquire && time.Now().Before(full) {
				return fsm.Result{}, &lockapi.OverloadError{What: "a queue", RetryAfter: 3 * time.Second}
			}
			return pass()
		}, nil)
		w.release(w.acquire(c.Mutex("x")))
		asked := l.sent(fsm.OpAcquire)
		for i := range asked[1:] {
			if apart := asked[i+1].at.Sub(asked[i].at); apart < 3*time.Second {
				t.Errorf("asked again after %v", apart)
			}
		}
		if len(l.executed(fsm.OpAcquire)) != 1 {
			t.Errorf("executed %d times", len(l.executed(fsm.OpAcquire)))
		}
		// A renewal does not wait for longer than its session lives.
		g := w.take(c.Mutex("x").Acquire)
		full = time.Now().Add(ttl / 2)
		l.behave(func(_ context.Context, _ fsm.Command, pass pass) (fsm.Result, error) {
			if time.Now().Before(full) {
				return fsm.Result{}, &lockapi.OverloadError{What: "a queue", RetryAfter: time.Hour}
			}
			return pass()
		}, nil)
		time.Sleep(2 * ttl)
		if !g.Valid() {
			t.Error("a session waited for its own end")
		}
	})
}
