package lockapi_test

import (
	"context"
	"errors"
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A mortal is the way to the machine of a process that dies at a step: from then on
// it says and hears nothing.
type mortal struct {
	lockapi.Backend
	crash func() bool // called once a step, until it is true
	after bool        // the step is taken, and its answer not heard

	mu   sync.Mutex // guards the field below
	dead bool
}

// mortal is a client that dies. bury ends what is left of it in this process.
func (w *world) mortal(o lockapi.Options, crash func() bool, after bool) (c *lockapi.Client, bury func()) {
	w.t.Helper()
	m := &mortal{Backend: w.machine.Another(), crash: crash, after: after}
	o.TTL, o.Label = ttl, "mortal"
	c, err := lockapi.New(m, o.WithNow(w.now))
	if err != nil {
		w.t.Fatal(err)
	}
	return c, func() {
		m.mu.Lock()
		m.dead = true
		m.mu.Unlock()
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(ended)
	}
}

// lives tells whether a step may be taken, and whether its answer is heard.
func (m *mortal) lives() (acts, hears bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return false, false
	}
	if m.crash() {
		m.dead = true
		return m.after, false
	}
	return true, true
}

func (m *mortal) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	acts, hears := m.lives()
	if acts {
		r, err := m.Backend.Do(context.Background(), c)
		if hears {
			return r, err
		}
	}
	return hang(ctx)
}

func (m *mortal) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	acts, hears := m.lives()
	if acts {
		in, err := m.Backend.Attach(ctx, a)
		if hears {
			return in, err
		}
		if err == nil {
			go func() {
				for range in { // nobody hears it
				}
			}()
		}
	}
	<-ctx.Done()
	return nil, errors.Join(errLine, ctx.Err())
}

func (m *mortal) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	acts, hears := m.lives()
	if acts && hears {
		return m.Backend.Inspect(ctx, q)
	}
	<-ctx.Done()
	return lockapi.View{}, errors.Join(lockapi.ErrUnavailable, ctx.Err())
}
