package lockapi_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// One node takes an acquire and is not heard of again. The others refuse it, and
// mean it: they have done nothing. That says nothing of the first, so the caller is
// told that the outcome is unknown, and nothing is left of it in the end.
func TestRefusalAfterADoubt(t *testing.T) {
	for name, refusal := range map[string]error{
		"unavailable": lockapi.ErrUnavailable,
		"overloaded":  &lockapi.OverloadError{What: "a queue", RetryAfter: 10 * time.Millisecond},
		"for good":    lockapi.ErrUnsupported,
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c, l := w.client(lockapi.Options{})
				w.release(w.acquire(c.Mutex("warm")))
				var taken atomic.Bool
				l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
					if c.Op != fsm.OpRenew && !taken.Swap(true) {
						_, _ = pass()
						return fsm.Result{}, errLine
					}
					return fsm.Result{}, refusal
				}, nil)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				g, err := c.Mutex("x").Acquire(ctx)
				if g != nil || !errors.Is(err, lockapi.ErrUnknown) || errors.Is(err, lockapi.ErrNotAcquired) {
					t.Errorf("%v, %v; one node has it", g, err)
				}
				if v := w.show("x"); len(v.Holders) != 1 {
					t.Errorf("nothing was to be in doubt: %+v", v)
				}
				l.heal()
				time.Sleep(time.Second)
				w.wantIdle("x")
			})
		})
	}
}
