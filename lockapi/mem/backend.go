package mem

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// Backend is one user of a machine. It implements lockapi.Backend.
type Backend struct {
	machine *machine

	mu      sync.Mutex // guards closed and readers; taken after machine.mu
	closed  bool
	readers map[*reader]struct{}
	running sync.WaitGroup // readers; waited for without the locks
}

var _ lockapi.Backend = (*Backend)(nil)

// New makes a machine and opens it.
func New() *Backend { return newMachine().backend() }

// Another opens the machine of b once more, as another process would.
func (b *Backend) Another() *Backend { return b.machine.backend() }

func (m *machine) backend() *Backend {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open++
	m.arm()
	return &Backend{machine: m, readers: make(map[*reader]struct{})}
}

// Do implements lockapi.Backend. It never waits and its outcome is never
// unknown: an error means that nothing was done.
func (b *Backend) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if err := ctx.Err(); err != nil {
		return fsm.Result{}, fmt.Errorf("mem: %w: %w", lockapi.ErrUnavailable, err)
	}
	return b.do(c)
}

// Submit is Do for callers that would rather not wait: answer is called once,
// before Submit returns.
func (b *Backend) Submit(c fsm.Command, answer func(fsm.Result, error)) { answer(b.do(c)) }

func (b *Backend) do(c fsm.Command) (fsm.Result, error) {
	if c.HasSecret() {
		c.Secret = sha256.Sum256(c.Secret[:])
	}
	b.machine.mu.Lock()
	defer b.machine.mu.Unlock()
	if b.isClosed() {
		return fsm.Result{}, errClosed()
	}
	return b.machine.apply(c), nil
}

// Attach implements lockapi.Backend.
func (b *Backend) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("mem: %w: %w", lockapi.ErrUnavailable, err)
	}
	m := b.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.isClosed() {
		return nil, errClosed()
	}
	// The reader is there before the attach is applied, which brings what the
	// session has not acknowledged; and the one before it stays if it fails.
	before, r := m.readers[a.Session], newReader()
	m.readers[a.Session] = r
	answer := m.apply(fsm.Command{
		Op: fsm.OpAttach, Session: a.Session, Incarnation: a.Incarnation,
		Seq: a.Renewal, Seen: a.Seen, Secret: sha256.Sum256(a.Secret[:]),
	})
	if err := lockapi.ErrorOf(answer); err != nil {
		m.detach(a.Session, r)
		if before != nil {
			m.readers[a.Session] = before
		}
		return nil, err
	}
	if before != nil {
		before.end()
	}
	b.keep(r)
	b.running.Go(func() {
		r.run(ctx)
		m.mu.Lock()
		m.detach(a.Session, r)
		m.mu.Unlock()
		b.forget(r)
	})
	return r.out, nil
}

// detach takes r away, if it is still the session's reader. mu is held.
func (m *machine) detach(id fsm.SessionID, r *reader) {
	if m.readers[id] == r {
		delete(m.readers, id)
	}
}

// Inspect implements lockapi.Backend. Stale or not, it shows the present.
func (b *Backend) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	if err := ctx.Err(); err != nil {
		return lockapi.View{}, fmt.Errorf("mem: %w: %w", lockapi.ErrUnavailable, err)
	}
	m := b.machine
	m.mu.Lock()
	if b.isClosed() {
		m.mu.Unlock()
		return lockapi.View{}, errClosed()
	}
	if !q.Stale {
		m.apply(fsm.Command{Op: fsm.OpRead})
	}
	v := m.state.View()
	m.mu.Unlock()
	return q.Of(v)
}

// Capabilities implements lockapi.Backend.
func (b *Backend) Capabilities() lockapi.Capabilities {
	return lockapi.Capabilities{Backend: "mem", Fair: true, Fencing: true}
}

// Close implements lockapi.Backend. Other users of the machine go on.
func (b *Backend) Close() error {
	b.close()
	b.running.Wait()
	return nil
}

func (b *Backend) close() {
	m := b.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	for r := range b.readers {
		r.end()
	}
	m.open--
	m.arm()
}

func (b *Backend) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

func (b *Backend) keep(r *reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers[r] = struct{}{}
}

func (b *Backend) forget(r *reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, r)
}

func errClosed() error { return fmt.Errorf("mem: %w", lockapi.ErrClosed) }
