package lockapi_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// A session that is resumed has the TTL that the process before gave it, and with
// that its margin: what counts is what a holder stops early, not what this process
// would have asked for.
func TestMarginOfAResumedSession(t *testing.T) {
	for _, test := range []struct {
		session, options time.Duration // TTLs
		hold             time.Duration
		valid            bool
	}{
		{ttl, 2 * time.Second, 500 * time.Millisecond, false},
		{ttl, 2 * time.Second, 1100 * time.Millisecond, true},
		{2 * time.Second, time.Minute, 5 * time.Second, true},
		{2 * time.Second, time.Minute, 100 * time.Millisecond, false},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			path := sessionFile(t)
			o := filed(path)
			o.TTL = test.session
			old, l := w.client(o)
			w.take(old.Mutex("kept").WithMaxHold(time.Hour).Acquire)
			l.cut()
			o.TTL = test.options
			c, l := w.client(o)
			kept := w.resume(c).Grants[0]
			l.forget()
			g, err := c.Mutex("x").WithMaxHold(test.hold).Acquire(w.ctx)
			if errors.Is(err, lockapi.ErrInvalid) == test.valid || (g != nil) != test.valid {
				t.Errorf("session %v, options %v: acquired for %v: %v", test.session, test.options, test.hold, err)
			}
			if err := kept.Extend(w.ctx, test.hold); errors.Is(err, lockapi.ErrInvalid) == test.valid {
				t.Errorf("session %v, options %v: extended for %v: %v", test.session, test.options, test.hold, err)
			}
			if !test.valid && len(l.sent()) != 0 {
				t.Errorf("what is invalid was sent: %+v", l.sent())
			}
			// And nobody believes for longer than the margin lets him.
			w.release(w.acquire(c.Mutex("y")))
			began := time.Now()
			l.cut()
			<-kept.Context().Done()
			believes := test.session - test.session/lockapi.DriftShare - lockapi.MarginOf(test.session)
			if d := time.Since(began); !near(d, believes) {
				t.Errorf("session %v, options %v: believed for %v, not %v", test.session, test.options, d, believes)
			}
		})
	}
	inWorld(t, func(t *testing.T, w *world) { // and before there is a session
		c, l := w.client(lockapi.Options{TTL: time.Minute})
		if _, err := c.Mutex("x").WithMaxHold(5 * time.Second).Acquire(w.ctx); !errors.Is(err, lockapi.ErrInvalid) || len(l.sent()) != 0 {
			t.Errorf("%v", err)
		}
	})
}
