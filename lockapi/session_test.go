package lockapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// 5,000 goroutines at once, on names of their own and on one for all.
func TestWindowIsNeverExceeded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		l.behave(func(_ context.Context, _ fsm.Command, pass pass) (fsm.Result, error) {
			time.Sleep(time.Millisecond)
			return pass()
		}, nil)
		var inside, count atomic.Int32
		var wg sync.WaitGroup
		for i := range 5000 {
			wg.Go(func() {
				own := w.acquire(c.Mutex(fmt.Sprint("own ", i)))
				g := w.acquire(c.Mutex("shared"))
				if inside.Add(1) != 1 {
					t.Error("two inside")
				}
				count.Add(1)
				inside.Add(-1)
				w.release(g)
				w.release(own)
			})
		}
		wg.Wait()
		if count.Load() != 5000 {
			t.Errorf("%d were inside", count.Load())
		}
		w.wantWindowKept(l)
		w.wantIdle("shared")
	})
}

// One acquire waits for an hour while the session does 10,000 other
// things. The window is not in its way, and it keeps its place.
func TestALongWaitDoesNotHoldUpTheWindow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("x"))
		c, l := w.client(lockapi.Options{})
		granted := w.begin(c.Mutex("x"))
		synctest.Wait()
		session := c.Session()
		for i := range 5000 {
			w.release(w.acquire(c.Mutex("y")))
			if i%10 == 0 {
				time.Sleep(7200 * time.Millisecond)
			}
		}
		if v := w.show("x"); len(v.Waiters) != 1 || v.Waiters[0].Waiting < fsm.Hour {
			t.Fatalf("waiters %+v", v.Waiters)
		}
		w.release(held)
		w.release(<-granted)
		all := l.executed(fsm.OpRelease)
		if last := all[len(all)-1]; last.Seq-last.Mark > 2 {
			t.Errorf("the mark stayed at %d while seq came to %d", last.Mark, last.Seq)
		}
		if c.Session() != session {
			t.Error("it cost the session")
		}
		w.wantWindowKept(l)
	})
}

// The session ends while the line is down: what it held is lost, who waits
// waits on under the next session.
func TestSessionEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("wanted"))
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		granted := w.begin(c.Mutex("wanted"))
		synctest.Wait()
		first := c.Session()
		l.cut()
		time.Sleep(2 * ttl)
		w.wantIdle("x")
		l.heal()
		time.Sleep(ttl)
		if v := w.show("wanted"); len(v.Waiters) != 1 || v.Waiters[0].Session == first || v.Waiters[0].Session != c.Session() {
			t.Errorf("waiters %+v", v.Waiters)
		}
		if cause := context.Cause(g.Context()); !errors.Is(cause, lockapi.ErrLost) {
			t.Errorf("cause %v", cause)
		}
		if err := g.Release(t.Context()); !errors.Is(err, lockapi.ErrLost) {
			t.Errorf("release: %v", err)
		}
		w.release(held)
		w.release(<-granted)
	})
}

// The answer that grants is lost, and the session with it, before Acquire
// could return.
func TestSessionEndsUnderAnUnansweredAcquire(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		first := c.Session()
		var lost atomic.Bool
		l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			if c.Session == first && c.Op == fsm.OpAcquire && !lost.Swap(true) {
				_, _ = pass()
			}
			if c.Session == first && w.now() < 2*ttl {
				return fsm.Result{}, errLine
			}
			return pass()
		}, nil)
		g := w.acquire(c.Mutex("x"))
		if c.Session() == first {
			t.Error("the session should have ended")
		}
		if v := w.show("x"); len(v.Holders) != 1 || v.Holders[0].Token != g.Token {
			t.Errorf("holders %+v", v.Holders)
		}
	})
}

// A loss comes as an event, perhaps more than once; it counts once, and is
// acknowledged.
func TestLossIsHeardOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g, other := w.acquire(c.Mutex("x")), w.acquire(c.Mutex("y"))
		loss := fsm.Outcome{
			Kind: fsm.OutcomeLoss, Pos: -1, Event: 1,
			Key:    fsm.Key{Class: fsm.ClassSeq, Session: c.Session(), Incarnation: 1},
			Result: fsm.Result{Status: fsm.StatusForced, Grant: l.grantOf(g), Token: g.Token},
		}
		var heard atomic.Int32
		context.AfterFunc(g.Context(), func() { heard.Add(1) })
		l.inject(loss)
		synctest.Wait()
		if cause := context.Cause(g.Context()); !errors.Is(cause, lockapi.ErrLost) || heard.Load() != 1 {
			t.Errorf("cause %v, heard %d times", cause, heard.Load())
		}
		if g.Valid() || !other.Valid() {
			t.Errorf("valid: %v, the other %v", g.Valid(), other.Valid())
		}
		// The same event with another content is not believed.
		loss.Result.Grant = l.grantOf(other)
		for range 3 {
			l.inject(loss)
		}
		synctest.Wait()
		w.release(w.acquire(c.Mutex("z")))
		if !other.Valid() {
			t.Error("an event counted twice")
		}
		all := l.executed(fsm.OpAcquire)
		if last := all[len(all)-1]; last.Seen != 1 {
			t.Errorf("acknowledged up to %d", last.Seen)
		}
		// One that comes before its time is kept, and not acknowledged as if
		// nothing were missing.
		loss.Event, loss.Result.Grant = 3, l.grantOf(other)
		l.inject(loss)
		synctest.Wait()
		w.release(w.acquire(c.Mutex("z")))
		all = l.executed(fsm.OpAcquire)
		if last := all[len(all)-1]; last.Seen != 1 || other.Valid() {
			t.Errorf("acknowledged up to %d, the other valid: %v", last.Seen, other.Valid())
		}
		if len(l.sent(fsm.OpRenew)) == 0 {
			t.Error("nobody asked for the missing event")
		}
	})
}

// grantOf is the machine's number of a grant.
func (l *line) grantOf(g *lockapi.Grant) fsm.GrantID {
	for _, s := range l.executed(fsm.OpAcquire) {
		if s.result.Token == g.Token {
			return s.result.Grant
		}
	}
	return 0
}

// The loss overtakes the answer that grants.
func TestLossBeforeItsGrant(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			r, err := pass()
			if c.Op == fsm.OpAcquire {
				l.inject(fsm.Outcome{
					Kind: fsm.OutcomeLoss, Pos: -1, Event: 1,
					Key:    fsm.Key{Class: fsm.ClassSeq, Session: c.Session, Incarnation: 1},
					Result: fsm.Result{Status: fsm.StatusForced, Grant: r.Grant},
				})
				time.Sleep(time.Second)
			}
			return r, err
		}, nil)
		if g, err := c.Mutex("x").Acquire(t.Context()); !errors.Is(err, lockapi.ErrLost) {
			t.Errorf("%v, %v", g, err)
		}
	})
}

// The end of a wait is dropped on the way: the next renewal brings it.
func TestDroppedEventComesAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("x"))
		c, l := w.client(lockapi.Options{})
		var dropped atomic.Int32
		l.behave(nil, func(o fsm.Outcome) bool { return dropped.Add(1) > 1 })
		granted := w.begin(c.Mutex("x"))
		synctest.Wait()
		w.release(held)
		w.release(<-granted)
		w.wantIdle("x")
	})
}

// Many waits end at once, and the backend has room for few events: the client
// asks for the others as soon as it sees that, not with the renewal to come.
func TestEventsThatFindNoRoom(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 100
		other, _ := w.client(lockapi.Options{})
		narrow := &narrow{Backend: w.machine.Another()}
		c, err := lockapi.New(narrow, lockapi.Options{TTL: ttl, Label: "t"}.WithNow(w.now))
		if err != nil {
			t.Fatal(err)
		}
		w.clients = append(w.clients, c)
		var waits []<-chan *lockapi.Grant
		for i := range n {
			name := fmt.Sprint(i)
			w.acquire(other.Mutex(name))
			waits = append(waits, w.begin(c.Mutex(name)))
		}
		synctest.Wait()
		start := time.Now()
		if err := other.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, granted := range waits {
			w.release(<-granted)
		}
		if d := time.Since(start); d > ttl/6 {
			t.Errorf("it took %v", d)
		}
		if narrow.dropped.Load() == 0 {
			t.Error("nothing was dropped: nothing was tested")
		}
	})
}

// narrow gives events in bursts to a channel with room for few.
type narrow struct {
	lockapi.Backend
	dropped atomic.Int32
}

func (b *narrow) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	in, err := b.Backend.Attach(ctx, a)
	if err != nil {
		return nil, err
	}
	out := make(chan fsm.Outcome, 4)
	go func() {
		defer close(out)
		var burst []fsm.Outcome
		for {
			select {
			case o, open := <-in:
				if !open {
					return
				}
				burst = append(burst, o)
				continue
			case <-time.After(time.Millisecond):
			}
			for _, o := range burst {
				if len(out) < 3 { // the last place is for the end
					out <- o
				} else {
					b.dropped.Add(1)
				}
			}
			burst = burst[:0]
		}
	}()
	return out, nil
}

// The answer "queued" is lost, and the grant comes before it is asked for again.
func TestGrantBeforeTheAnswer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("x"))
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		l.behave(func(_ context.Context, cmd fsm.Command, pass pass) (fsm.Result, error) {
			r, err := pass()
			if cmd.Op == fsm.OpAcquire && r.Status == fsm.StatusQueued && held.Valid() {
				w.release(held)
				time.Sleep(time.Second)
				return fsm.Result{}, errLine
			}
			return r, err
		}, nil)
		g := w.acquire(c.Mutex("x"))
		if v := w.show("x"); len(v.Holders) != 1 || v.Holders[0].Token != g.Token {
			t.Errorf("holders %+v", v.Holders)
		}
		w.release(g)
		w.wantIdle("x")
	})
}

// The stream of events breaks: the client attaches again and misses nothing.
func TestStreamBreaks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("x"))
		c, l := w.client(lockapi.Options{})
		granted := w.begin(c.Mutex("x"))
		synctest.Wait()
		a := l.attachment()
		stolen, cancel := context.WithCancel(t.Context())
		defer cancel()
		if _, err := l.Backend.Attach(stolen, a); err != nil { // replaces the client's own
			t.Fatal(err)
		}
		w.release(held)
		w.release(<-granted)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		w.acquire(other.Mutex("wanted"))
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		failed := make(chan error)
		go func() {
			_, err := c.Mutex("wanted").Acquire(t.Context())
			failed <- err
		}()
		synctest.Wait()
		l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			if c.Op == fsm.OpClose && g.Valid() {
				t.Error("the grant was valid when the session was closed")
			}
			return pass()
		}, nil)
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("waiting acquire: %v", err)
		}
		if cause := context.Cause(g.Context()); !errors.Is(cause, lockapi.ErrClosed) {
			t.Errorf("cause %v", cause)
		}
		if err := g.Release(t.Context()); !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("release after close: %v", err)
		}
		w.wantIdle("x")
		w.wantNoWaiters("wanted")
		if _, err := c.Mutex("x").Acquire(t.Context()); !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("acquire after close: %v", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestCloseWhenNobodyAnswers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		l.cut()
		w.clients = nil
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Close(ctx)
		if !errors.Is(err, lockapi.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) || w.now() != time.Second {
			t.Errorf("close: %v after %v", err, w.now())
		}
		if g.Valid() {
			t.Error("valid after close")
		}
		time.Sleep(ttl) // the backstop
		w.wantIdle("x")
	})
}

func TestCloseBeforeAnything(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		if err := c.Close(t.Context()); err != nil || len(l.sent()) != 0 {
			t.Errorf("%v", err)
		}
		// And while it opens.
		c, l = w.client(lockapi.Options{})
		l.cut()
		failed := make(chan error)
		go func() {
			_, err := c.Mutex("x").Acquire(t.Context())
			failed <- err
		}()
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("close while opening: %v", err)
		}
		if err := <-failed; !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("acquire: %v", err)
		}
	})
}

// A backend that was closed under the client is no reason to hang.
func TestBackendCloses(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		if err := l.Backend.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Mutex("y").Acquire(t.Context()); !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("acquire: %v", err)
		}
		if g.Valid() {
			t.Error("valid without a backend")
		}
		if _, err := c.Inspect(t.Context(), lockapi.Query{}); !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("inspect: %v", err)
		}
	})
}

// Another process took the session over: this one must stop for good.
func TestFenced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		l.behave(func(context.Context, fsm.Command, pass) (fsm.Result, error) {
			return fsm.Result{Status: fsm.StatusFenced}, nil
		}, nil)
		<-g.Context().Done()
		if cause := context.Cause(g.Context()); !errors.Is(cause, lockapi.ErrFenced) || !errors.Is(cause, lockapi.ErrLost) {
			t.Errorf("cause %v", cause)
		}
		l.heal()
		if _, err := c.Mutex("y").Acquire(t.Context()); !errors.Is(err, lockapi.ErrFenced) {
			t.Errorf("acquire: %v", err)
		}
	})
}

// The engine calls the backend and the logger without its locks: both may call
// the engine back.
func TestNoLockIsHeldOutside(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var held atomic.Pointer[lockapi.Grant] // the engine's goroutines log before there is one
		var client atomic.Pointer[lockapi.Client]
		back := func() {
			if g := held.Load(); g != nil {
				_, _ = g.Valid(), client.Load().Session()
			}
		}
		c, l := w.client(lockapi.Options{Logger: slog.New(calling{back})})
		client.Store(c)
		g := w.acquire(c.Mutex("x"))
		held.Store(g)
		l.behave(func(_ context.Context, _ fsm.Command, pass pass) (fsm.Result, error) {
			back()
			return pass()
		}, func(fsm.Outcome) bool {
			back()
			return true
		})
		done := make(chan struct{})
		context.AfterFunc(g.Context(), func() { back(); close(done) })
		time.Sleep(time.Minute)
		l.cut()
		<-done
		l.heal()
		w.release(w.acquire(c.Mutex("y")))
	})
}

// calling is a log that calls somebody.
type calling struct{ call func() }

func (c calling) Enabled(context.Context, slog.Level) bool  { c.call(); return true }
func (c calling) Handle(context.Context, slog.Record) error { c.call(); return nil }
func (c calling) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c calling) WithGroup(string) slog.Handler             { return c }
