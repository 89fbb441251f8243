package lockapi_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// ErrNotAcquired says that somebody else holds the lock. Who leaves his work to the
// holder then must not do so because nobody answered: there may be no holder.
func TestNotAcquiredIsTheWordOfTheMachine(t *testing.T) {
	for _, test := range []struct {
		name  string
		stage func(w *world, c *lockapi.Client, l *line) (ctx context.Context, name string)
		told  bool  // by the machine, that it is held
		want  error // besides
	}{
		{"the context had ended before", endedBefore, false, nil},
		{"what was held has lapsed, and nobody answers", lapsedAndCut, false, lockapi.ErrUnavailable},
		{"the window is full of what nobody answers", fullAndCut, false, lockapi.ErrUnavailable},
		{"it was withdrawn before it was answered", withdrawnUnanswered, false, nil},
		{"it was granted after its context had ended", grantedTooLate, false, nil},
		{"it was granted, and never valid", grantedAndNeverValid, false, nil},
		{"its session is gone with whatever it had come to", goneUnanswered, false, nil},
		{"it stood in the queue", queuedUntilTheEnd, true, nil},
		{"it was refused in the last moment", busyInTheLastMoment, true, nil},
	} {
		for call, acquire := range map[string]func(*lockapi.Mutex, context.Context) (*lockapi.Grant, error){
			"acquire": (*lockapi.Mutex).Acquire, "try": (*lockapi.Mutex).TryAcquire,
		} {
			t.Run(call+": "+test.name, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					c, l := w.client(lockapi.Options{})
					ctx, name := test.stage(w, c, l)
					g, err := acquire(c.Mutex(name), ctx)
					if g != nil || errors.Is(err, lockapi.ErrNotAcquired) != test.told || errors.Is(err, lockapi.ErrUnknown) {
						t.Errorf("%v, %v; told by the machine: %v", g, err, test.told)
					}
					for _, kind := range []error{lockapi.ErrUnavailable, lockapi.ErrLost} {
						if errors.Is(err, kind) != (kind == test.want) {
							t.Errorf("%v, not also %v", err, test.want)
						}
					}
					if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) && !test.told {
						t.Errorf("%v, not %v", err, ended)
					}
				})
			})
		}
	}
}

func (w *world) timeout(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(w.ctx, d)
	w.t.Cleanup(cancel)
	return ctx
}

func endedBefore(w *world, c *lockapi.Client, _ *line) (context.Context, string) {
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	return ctx, "x"
}

func lapsedAndCut(w *world, c *lockapi.Client, l *line) (context.Context, string) {
	g := w.acquire(c.Mutex("held"))
	l.cut()
	<-g.Context().Done()
	return w.timeout(2 * time.Second), "x"
}

func fullAndCut(w *world, c *lockapi.Client, l *line) (context.Context, string) {
	w.release(w.acquire(c.Mutex("warm")))
	l.cut()
	ctx, cancel := context.WithCancel(w.ctx)
	var under sync.WaitGroup
	for i := range fsm.WindowSize {
		under.Go(func() { _, _ = c.Mutex(fmt.Sprint("other ", i)).Acquire(ctx) })
	}
	synctest.Wait()
	w.t.Cleanup(func() {
		cancel()
		under.Wait()
	})
	return w.timeout(time.Second), "x"
}

// withdrawnUnanswered answers the abandon only.
func withdrawnUnanswered(w *world, c *lockapi.Client, l *line) (context.Context, string) {
	w.release(w.acquire(c.Mutex("warm")))
	l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
		if c.Op == fsm.OpAcquire {
			return hang(ctx)
		}
		return pass()
	}, nil)
	return w.timeout(time.Second), "x"
}

// grantedTooLate answers in the moment in which the context ends.
func grantedTooLate(w *world, c *lockapi.Client, l *line) (context.Context, string) {
	w.release(w.acquire(c.Mutex("warm")))
	l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
		if c.Op == fsm.OpAcquire {
			_, _ = pass()
			return hang(ctx)
		}
		return pass()
	}, nil)
	return w.timeout(time.Second), "x"
}

// grantedAndNeverValid answers so late that the grant is to be renewed first, which
// nobody does.
func grantedAndNeverValid(w *world, c *lockapi.Client, l *line) (context.Context, string) {
	w.release(w.acquire(c.Mutex("warm")))
	l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
		if c.Op == fsm.OpRenew {
			return hang(ctx)
		}
		r, err := pass()
		if c.Op == fsm.OpAcquire {
			time.Sleep(believes + ttl/20)
		}
		return r, err
	}, nil)
	return w.timeout(ttl - 100*time.Millisecond), "x"
}

// goneUnanswered ends the session when the context ends.
func goneUnanswered(w *world, c *lockapi.Client, l *line) (context.Context, string) {
	w.release(w.acquire(c.Mutex("warm")))
	l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
		switch c.Op {
		case fsm.OpAcquire:
			return hang(ctx)
		case fsm.OpAbandon:
			return fsm.Result{Status: fsm.StatusSessionGone}, nil
		}
		return pass()
	}, nil)
	return w.timeout(time.Second), "x"
}

func queuedUntilTheEnd(w *world, c *lockapi.Client, _ *line) (context.Context, string) {
	other, _ := w.client(lockapi.Options{})
	w.acquire(other.Mutex("x"))
	return w.timeout(time.Second), "x"
}

// busyInTheLastMoment lets the answer of a try, or that it is queued, come once
// the context has ended.
func busyInTheLastMoment(w *world, c *lockapi.Client, l *line) (context.Context, string) {
	other, _ := w.client(lockapi.Options{})
	w.acquire(other.Mutex("x"))
	w.release(w.acquire(c.Mutex("warm")))
	l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
		r, err := pass()
		if c.Op == fsm.OpAcquire {
			<-ctx.Done()
		}
		return r, err
	}, nil)
	return w.timeout(time.Second), "x"
}
