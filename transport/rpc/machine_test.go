package rpc

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a backend for these tests: one fsm.State under a mutex, a command
// an entry, with faults that a test can ask for.
type machine struct {
	mu      sync.Mutex
	state   *fsm.State
	index   fsm.Index
	start   time.Time
	feeds   map[fsm.SessionID]chan fsm.Outcome
	fault   func(c *fsm.Command) error // nil, or says how a command fails
	held    []func()                   // answers kept back while holding
	holding bool
	seen    []fsm.Op // what reached the machine
}

func newMachine() *machine {
	return &machine{state: fsm.New(), start: time.Now(), feeds: make(map[fsm.SessionID]chan fsm.Outcome)}
}

// run applies c and returns its answer.
func (m *machine) run(c fsm.Command) (fsm.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, c.Op)
	if m.fault != nil {
		if err := m.fault(&c); err != nil {
			return fsm.Result{}, err
		}
	}
	if c.HasSecret() {
		c.Secret = sha256.Sum256(c.Secret[:])
	}
	m.index++
	var answer fsm.Result
	for _, o := range m.state.Apply(m.index, 1, &fsm.Entry{Term: 1, Now: fsm.Instant(time.Since(m.start)), Commands: []fsm.Command{c}}) {
		if o.Kind == fsm.OutcomeAnswer {
			answer = o.Result
			continue
		}
		if feed := m.feeds[o.Key.Session]; feed != nil {
			feed <- o
			if o.Kind == fsm.OutcomeEnded {
				delete(m.feeds, o.Key.Session)
				close(feed)
			}
		}
	}
	return answer, nil
}

func (m *machine) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	answer := make(chan struct{})
	var r fsm.Result
	var err error
	m.submit(c, func(got fsm.Result, failed error) { r, err = got, failed; close(answer) })
	select {
	case <-answer:
		return r, err
	case <-ctx.Done():
		return fsm.Result{}, lockapi.ErrUnknown
	}
}

func (m *machine) submit(c fsm.Command, answer func(fsm.Result, error)) {
	r, err := m.run(c)
	m.mu.Lock()
	if m.holding {
		m.held = append(m.held, func() { answer(r, err) })
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	answer(r, err)
}

// hold keeps answers back until release.
func (m *machine) hold() { m.mu.Lock(); m.holding = true; m.mu.Unlock() }

func (m *machine) release() {
	m.mu.Lock()
	held := m.held
	m.held, m.holding = nil, false
	m.mu.Unlock()
	for _, answer := range held {
		answer()
	}
}

func (m *machine) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	feed := make(chan fsm.Outcome, 1000)
	m.mu.Lock()
	before := m.feeds[a.Session]
	m.feeds[a.Session] = feed
	m.mu.Unlock()
	r, err := m.run(fsm.Command{Op: fsm.OpAttach, Session: a.Session, Incarnation: a.Incarnation, Seq: a.Renewal, Seen: a.Seen, Secret: a.Secret})
	if err == nil {
		err = lockapi.ErrorOf(r)
	}
	if err != nil {
		m.mu.Lock()
		delete(m.feeds, a.Session)
		if before != nil {
			m.feeds[a.Session] = before
		}
		m.mu.Unlock()
		return nil, err
	}
	if before != nil {
		close(before)
	}
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.feeds[a.Session] == feed {
			delete(m.feeds, a.Session)
			close(feed)
		}
	})
	return feed, nil
}

func (m *machine) Inspect(_ context.Context, q lockapi.Query) (lockapi.View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault != nil {
		if err := m.fault(&fsm.Command{Op: fsm.OpRead}); err != nil {
			return lockapi.View{}, err
		}
	}
	v := m.state.View()
	found := lockapi.View{Index: v.Applied(), At: v.Now()}
	if q.Name != "" {
		found.Locks = []fsm.LockView{v.Lock(q.Name)}
	} else {
		found.Locks, found.More = v.Locks(q.Prefix, q.After, max(q.Limit, 1))
	}
	return found, nil
}

func (m *machine) Capabilities() lockapi.Capabilities {
	return lockapi.Capabilities{Backend: "machine"}
}
func (m *machine) Close() error { return nil }

// reached counts the commands of one kind that the machine saw.
func (m *machine) reached(op fsm.Op) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.seen {
		if o == op {
			n++
		}
	}
	return n
}

// fast is a machine with the way in that needs no goroutines.
type fast struct{ *machine }

func (f fast) Submit(c fsm.Command, answer func(fsm.Result, error)) { f.submit(c, answer) }
