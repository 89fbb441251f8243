package lockapi_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A context ends while the acquire waits in the queue.
func TestCancelledWaitLeavesNoPlace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("x"))
		c, _ := w.client(lockapi.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := c.Mutex("x").Acquire(ctx)
			failed <- err
		}()
		synctest.Wait()
		if v := w.show("x"); len(v.Waiters) != 1 {
			t.Fatalf("not waiting: %+v", v)
		}
		cancel()
		err := <-failed
		if !errors.Is(err, context.Canceled) || !errors.Is(err, lockapi.ErrNotAcquired) || errors.Is(err, lockapi.ErrUnknown) {
			t.Errorf("error %v", err)
		}
		if v := w.show("x"); len(v.Waiters) != 0 {
			t.Errorf("still waiting: %+v", v)
		}
		w.release(held)
		w.wantIdle("x")
	})
}

// The wait's time is up at the machine as well, so that a client that dies
// leaves no place for long.
func TestDeadlineIsTheMachinesToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		w.acquire(other.Mutex("x"))
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		failed := make(chan error)
		go func() {
			_, err := c.Mutex("x").Acquire(ctx)
			failed <- err
		}()
		synctest.Wait()
		l.cut()
		start := time.Now()
		err := <-failed
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, lockapi.ErrUnknown) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(start); d != 2*time.Second+lockapi.Grace {
			t.Errorf("returned after %v", d)
		}
		w.wantNoWaiters("x")
	})
}

func (w *world) wantNoWaiters(name string) {
	w.t.Helper()
	synctest.Wait()
	if v := w.show(name); len(v.Waiters) > 0 {
		w.t.Fatalf("somebody waits: %+v", v.Waiters)
	}
}

// Nobody can be reached when the context ends. Whatever the acquire has come
// to meanwhile, nothing is left of it once the line is back.
func TestAbandonGoesOnInTheBackground(t *testing.T) {
	for name, c := range map[string]struct {
		held bool // by somebody else, so that the acquire queues
		pass bool // the acquire reaches the machine, its answer is lost
	}{
		"never arrived": {},
		"granted":       {pass: true},
		"queued":        {pass: true, held: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				other, _ := w.client(lockapi.Options{})
				c1, l := w.client(lockapi.Options{})
				w.release(w.acquire(c1.Mutex("warm")))
				var held *lockapi.Grant
				if c.held {
					held = w.acquire(other.Mutex("x"))
				}
				l.behave(func(_ context.Context, cmd fsm.Command, pass pass) (fsm.Result, error) {
					if c.pass && cmd.Op == fsm.OpAcquire {
						_, _ = pass()
					}
					return fsm.Result{}, errLine
				}, func(fsm.Outcome) bool { return false })
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				_, err := c1.Mutex("x").Acquire(ctx)
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, lockapi.ErrUnknown) {
					t.Errorf("error %v", err)
				}
				if d := time.Since(start); d > time.Second+lockapi.Grace {
					t.Errorf("returned after %v", d)
				}
				time.Sleep(time.Second)
				session := c1.Session()
				l.heal()
				time.Sleep(time.Second)
				if held != nil {
					w.wantNoWaiters("x")
					w.release(held)
				}
				w.wantIdle("x")
				if c1.Session() != session {
					t.Error("it cost the session")
				}
			})
		})
	}
}

// The abandon overtakes its acquire, which comes to the machine when
// nobody knows of it any more.
func TestAbandonOvertakesItsAcquire(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		var late atomic.Pointer[pass]
		l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			if c.Op == fsm.OpAcquire && c.Wants[0].Name == "x" {
				late.Store(&pass)
				return hang(ctx)
			}
			return pass()
		}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Mutex("x").Acquire(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, lockapi.ErrUnknown) || errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("error %v", err)
		}
		for range 3 {
			if r, err := (*late.Load())(); err != nil || r.Status == fsm.StatusOK || r.Status == fsm.StatusQueued {
				t.Errorf("the late acquire: %+v, %v", r, err)
			}
			w.wantIdle("x")
			w.release(w.acquire(c.Mutex("later"))) // moves the mark
		}
	})
}

// The grant is on its way as an event when the wait is given up, and the event
// is acknowledged before the abandon arrives.
func TestGrantThatCrossesItsAbandon(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("x"))
		c, l := w.client(lockapi.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := c.Mutex("x").Acquire(ctx)
			failed <- err
		}()
		synctest.Wait()
		open := make(chan struct{})
		l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			if c.Op == fsm.OpAbandon {
				<-open
			}
			return pass()
		}, nil)
		cancel()
		if err := <-failed; !errors.Is(err, lockapi.ErrUnknown) {
			t.Errorf("error %v", err)
		}
		w.release(held)
		w.release(w.acquire(c.Mutex("y"))) // acknowledges
		close(open)
		w.wantIdle("x")
	})
}

// An acquire that was never sent is told apart from one that may have been.
func TestNeverSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		down := func(context.Context, fsm.Command, pass) (fsm.Result, error) {
			return fsm.Result{}, lockapi.ErrUnavailable
		}
		for _, what := range []string{"no session", "with a session"} {
			l.behave(down, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := c.Mutex("x").Acquire(ctx)
			cancel()
			if !errors.Is(err, lockapi.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, lockapi.ErrUnknown) {
				t.Errorf("%s: %v", what, err)
			}
			l.heal()
			w.release(w.acquire(c.Mutex("y")))
			w.wantIdle("x")
		}
		if n := len(l.sent(fsm.OpAbandon)); n != 0 {
			t.Errorf("%d abandons of what was never sent", n)
		}
		// What a backend refuses for good is not asked for ever.
		refusal := errors.New("no such thing here")
		l.behave(func(context.Context, fsm.Command, pass) (fsm.Result, error) { return fsm.Result{}, refusal }, nil)
		if _, err := c.Mutex("x").Acquire(t.Context()); !errors.Is(err, refusal) {
			t.Errorf("refused by the backend: %v", err)
		}
		l.heal()
		w.release(w.acquire(c.Mutex("y")))
	})
}

func TestEndedContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Mutex("x").Acquire(ctx); !errors.Is(err, context.Canceled) || len(l.sent()) != 0 {
			t.Errorf("%v after %d commands", err, len(l.sent()))
		}
		// But Release releases.
		g := w.acquire(c.Mutex("x"))
		if err := g.Release(ctx); err != nil {
			t.Errorf("release with a context that has ended: %v", err)
		}
		w.wantIdle("x")
	})
}

func TestReleaseWhenNobodyAnswers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		l.cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := g.Release(ctx)
		if !errors.Is(err, lockapi.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("release: %v", err)
		}
		if d := time.Since(start); d > time.Second+lockapi.Grace {
			t.Errorf("returned after %v", d)
		}
		if g.Valid() {
			t.Error("valid while it is being released")
		}
		var wg sync.WaitGroup
		for range 3 { // who asks again waits for the same end
			wg.Go(func() { w.release(g) })
		}
		synctest.Wait()
		l.heal()
		wg.Wait()
		w.wantIdle("x")
		if n := len(l.executed(fsm.OpRelease)); n != 1 {
			t.Errorf("%d releases", n)
		}
		w.release(g)
	})
}

// Acquires that nobody answers fill the window, and all are given up: the
// abandons find no room, and must not wait for each other.
func TestAbandonWithAFullWindow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		l.cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 2 * fsm.WindowSize {
			wg.Go(func() {
				if _, err := c.Mutex("x").Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
			})
		}
		wg.Wait()
		session := c.Session()
		l.heal()
		w.release(w.acquire(c.Mutex("y")))
		time.Sleep(2 * time.Second)
		w.wantIdle("x")
		if c.Session() != session {
			t.Error("it cost the session")
		}
		w.wantWindowKept(l)
	})
}

// wantWindowKept fails if a command was beyond the machine's window.
func (w *world) wantWindowKept(l *line) {
	w.t.Helper()
	for _, s := range l.executed() {
		if s.Key().Class == fsm.ClassSeq && (s.Seq-s.Mark >= fsm.WindowSize || s.result.Status == fsm.StatusWindow) {
			w.t.Fatalf("command %d with the mark at %d: %+v", s.Seq, s.Mark, s.result)
		}
		if s.result.Status == fsm.StatusSeqReused || s.result.Status == fsm.StatusInvalid {
			w.t.Fatalf("command %+v: %+v", s.Command, s.result)
		}
	}
}
