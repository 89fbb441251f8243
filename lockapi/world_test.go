package lockapi_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

// ttl of the clients in these tests.
const ttl = 10 * time.Second

// A world is one machine and clients with bad lines to it, in a bubble of
// virtual time.
type world struct {
	t       *testing.T
	machine *mem.Backend
	start   time.Time
	ctx     context.Context // ends after a virtual time that nothing here takes
	clients []*lockapi.Client
	agents  []*lockapi.Agent
	lines   []*line
}

// inWorld runs f in a bubble and sees that it leaves nothing behind.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, machine: mem.New(), start: time.Now()}
		var cancel context.CancelFunc
		w.ctx, cancel = context.WithTimeout(t.Context(), 6*time.Hour)
		defer cancel()
		f(t, w)
		for _, l := range w.lines {
			l.heal()
		}
		for _, c := range w.clients {
			if err := c.Close(w.ctx); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		for _, a := range w.agents {
			if err := a.Close(w.ctx); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if err := w.machine.Close(); err != nil {
			t.Error(err)
		}
	})
}

// now is virtual time since the world began.
func (w *world) now() time.Duration { return time.Since(w.start) }

// client is a client, and its line to the machine.
func (w *world) client(o lockapi.Options) (*lockapi.Client, *line) {
	w.t.Helper()
	l := &line{Backend: w.machine.Another()}
	if o.TTL == 0 {
		o.TTL = ttl
	}
	if o.Label == "" {
		o.Label = "test"
	}
	c, err := lockapi.New(l, o.WithNow(w.now))
	if err != nil {
		w.t.Fatal(err)
	}
	w.clients, w.lines = append(w.clients, c), append(w.lines, l)
	return c, l
}

// acquire is Acquire that must succeed.
func (w *world) acquire(m *lockapi.Mutex) *lockapi.Grant {
	w.t.Helper()
	g, err := m.Acquire(w.ctx)
	if err != nil {
		w.t.Errorf("acquire: %v", err)
		runtime.Goexit() // Fatal is for the test's own goroutine
	}
	if !g.Valid() {
		w.t.Errorf("acquire of %q gave a grant that is not valid", g.Name)
	}
	return g
}

// begin is acquire beside; the channel closes if it fails.
func (w *world) begin(m *lockapi.Mutex) <-chan *lockapi.Grant {
	granted := make(chan *lockapi.Grant, 1)
	go func() {
		defer close(granted)
		granted <- w.acquire(m)
	}()
	return granted
}

// release is Release that must succeed.
func (w *world) release(g *lockapi.Grant) {
	w.t.Helper()
	if g == nil {
		return // the acquire has failed
	}
	if err := g.Release(w.ctx); err != nil {
		w.t.Errorf("release: %v", err)
	}
}

// show is what the machine knows of a name.
func (w *world) show(name string) fsm.LockView {
	w.t.Helper()
	v, err := w.machine.Inspect(context.Background(), lockapi.Query{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return v.Locks[0]
}

// wantIdle fails unless nobody holds or waits for the name.
func (w *world) wantIdle(name string) {
	w.t.Helper()
	synctest.Wait()
	if v := w.show(name); v.Kind != 0 || len(v.Holders) > 0 || len(v.Waiters) > 0 {
		w.t.Fatalf("%q is not idle: %+v", name, v)
	}
}

// A line is a client's way to the machine, with what a test lets happen to it.
// The line's log has what the client gave to it and when, and what the machine
// executed.
type line struct {
	lockapi.Backend

	mu     sync.Mutex // guards the fields below
	do     doing      // nil: straight on
	events func(o fsm.Outcome) bool
	asked  []said
	done   []said
	extra  chan fsm.Outcome // injected into what Attach gives
	first  func()           // called before each step of any kind; may be nil

	attached lockapi.Attachment
}

type doing func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error)

// A pass executes the command at the machine.
type pass func() (fsm.Result, error)

type said struct {
	fsm.Command
	at     time.Time
	result fsm.Result
}

var errLine = errors.Join(errors.New("the line is down"), lockapi.ErrUnknown)

// before has f called before whatever the client asks of the machine.
func (l *line) before(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = f
}

func (l *line) step() {
	l.mu.Lock()
	first := l.first
	l.mu.Unlock()
	if first != nil {
		first()
	}
}

// Inspect is a step as well.
func (l *line) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	l.step()
	return l.Backend.Inspect(ctx, q)
}

func (l *line) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	l.step()
	l.mu.Lock()
	l.asked = append(l.asked, said{Command: c, at: time.Now()})
	do := l.do
	l.mu.Unlock()
	pass := func() (fsm.Result, error) {
		r, err := l.Backend.Do(context.Background(), c)
		l.mu.Lock()
		l.done = append(l.done, said{Command: c, at: time.Now(), result: r})
		l.mu.Unlock()
		return r, err
	}
	if do == nil {
		if ctx.Err() != nil {
			return fsm.Result{}, errors.Join(lockapi.ErrUnavailable, ctx.Err())
		}
		return pass()
	}
	return do(ctx, c, pass)
}

// Attach filters and injects events.
func (l *line) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	l.step()
	in, err := l.Backend.Attach(ctx, a)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.attached = a
	l.extra = make(chan fsm.Outcome)
	extra := l.extra
	l.mu.Unlock()
	out := make(chan fsm.Outcome)
	go func() {
		defer close(out)
		for {
			var o fsm.Outcome
			var open bool
			select {
			case o, open = <-in:
				if !open {
					return
				}
				l.mu.Lock()
				events := l.events
				l.mu.Unlock()
				if events != nil && !events(o) {
					continue
				}
			case o = <-extra:
			case <-ctx.Done():
				return
			}
			select {
			case out <- o:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// behave sets what happens to commands and events from now on.
func (l *line) behave(do doing, events func(fsm.Outcome) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.do, l.events = do, events
}

// cut lets nothing pass, either way; whoever asks hangs until he gives up.
func (l *line) cut() {
	l.behave(func(ctx context.Context, _ fsm.Command, _ pass) (fsm.Result, error) {
		select {
		case <-ctx.Done():
			return fsm.Result{}, errors.Join(errLine, ctx.Err())
		case <-time.After(50 * time.Millisecond): // as a backend with retries of its own
			return fsm.Result{}, errLine
		}
	}, func(fsm.Outcome) bool { return false })
}

func (l *line) heal() { l.behave(nil, nil) }

// inject puts an event into what the client hears.
func (l *line) inject(o fsm.Outcome) {
	l.mu.Lock()
	extra := l.extra
	l.mu.Unlock()
	extra <- o
}

// forget clears the log.
func (l *line) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.done = nil, nil
}

func ops(all []said, ops ...fsm.Op) []said {
	var some []said
	for _, s := range all {
		for _, op := range ops {
			if s.Op == op {
				some = append(some, s)
			}
		}
	}
	return some
}

// executed lists what the machine was given, of the ops if any are named.
func (l *line) executed(only ...fsm.Op) []said {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(only) == 0 {
		return append([]said(nil), l.done...)
	}
	return ops(l.done, only...)
}

// sent lists what the client gave to the line.
func (l *line) sent(only ...fsm.Op) []said {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ops(l.asked, only...)
}

// attachment is what the client attached with.
func (l *line) attachment() lockapi.Attachment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attached
}
