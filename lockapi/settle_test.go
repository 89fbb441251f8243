package lockapi_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// wantSettled fails if a number of the client's session was kept that is not needed:
// were they all, the window would be full for good.
func (w *world) wantSettled(c *lockapi.Client, l *line) {
	w.t.Helper()
	for range 2 {
		w.release(w.acquire(c.Mutex("settled")))
	}
	all := l.executed(fsm.OpRelease)
	if last := all[len(all)-1]; last.Seq-last.Mark > 2 {
		w.t.Errorf("the mark stayed at %d while seq came to %d", last.Mark, last.Seq)
	}
	w.wantWindowKept(l)
}

// What was numbered and never sent gives its number back: an acquire, an extension.
func TestNeverSentIsSettled(t *testing.T) {
	down := func(context.Context, fsm.Command, pass) (fsm.Result, error) {
		return fsm.Result{}, lockapi.ErrUnavailable
	}
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		held := w.take(c.Mutex("held").WithMaxHold(time.Hour).Acquire)
		for what, act := range map[string]func(context.Context) error{
			"acquire": func(ctx context.Context) error {
				_, err := c.Mutex("x").Acquire(ctx)
				return err
			},
			"extend": func(ctx context.Context) error { return held.Extend(ctx, 2*time.Hour) },
		} {
			l.behave(down, nil)
			for range 5 {
				ctx, cancel := context.WithTimeout(w.ctx, 100*time.Millisecond)
				if err := act(ctx); !errors.Is(err, lockapi.ErrUnavailable) || errors.Is(err, lockapi.ErrUnknown) {
					t.Errorf("%s: %v", what, err)
				}
				cancel()
			}
			l.heal()
			w.wantSettled(c, l)
		}
	})
	inWorld(t, func(t *testing.T, w *world) {
		a, l := w.agent()
		held := w.gets(a, request(lockapi.Beneficiary{}, "x", 0), fsm.StatusOK)
		l.behave(down, nil)
		for range 5 {
			ctx, cancel := context.WithTimeout(w.ctx, 100*time.Millisecond)
			if _, err := a.Release(ctx, lockapi.Beneficiary{}, "x", held.Grant); !errors.Is(err, lockapi.ErrUnavailable) {
				t.Error(err)
			}
			cancel()
		}
		l.heal()
		for range 2 {
			if _, err := a.Release(w.ctx, lockapi.Beneficiary{}, "x", held.Grant); err != nil {
				t.Error(err)
			}
		}
		all := l.executed(fsm.OpRelease)
		if last := all[len(all)-1]; last.Seq-last.Mark > 2 {
			t.Errorf("the mark stayed at %d while seq came to %d", last.Mark, last.Seq)
		}
	})
}

// Many wait for a number, and their contexts end in the moment in which there is
// room: who got one and does not use it gives it back.
func TestNumberThatCameTooLate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		for range 5 {
			open := make(chan struct{})
			l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
				if c.Op == fsm.OpAcquire {
					<-open
				}
				return pass()
			}, nil)
			ctx, cancel := context.WithCancel(w.ctx)
			ended := make(chan struct{})
			const asked = 2 * fsm.WindowSize
			for range asked {
				go func() {
					if g, err := c.RWMutex("x").RAcquire(ctx); err == nil {
						w.release(g)
					}
					ended <- struct{}{}
				}()
			}
			synctest.Wait()
			go close(open)
			go cancel()
			for range asked {
				<-ended
			}
			l.heal()
			time.Sleep(time.Second)
		}
		w.wantSettled(c, l)
		w.wantIdle("x")
	})
}

// An acquire for somebody else was granted, and nobody heard of it. Until its abandon
// is answered its number stays, since by that alone the machine finds the grant.
func TestAbandonedNumberStays(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, l := w.agent()
		w.gets(a, request(lockapi.Beneficiary{}, "warm", 0), fsm.StatusOK)
		open := make(chan struct{})
		l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			switch {
			case c.Op == fsm.OpAcquire && c.Wants[0].Name == "x":
				_, _ = pass()
				return hang(ctx)
			case c.Op == fsm.OpAbandon:
				select {
				case <-open:
				case <-ctx.Done():
					return fsm.Result{}, errLine
				}
			}
			return pass()
		}, nil)
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := a.Acquire(ctx, request(w.beneficiary(1), "x", 0)); !errors.Is(err, lockapi.ErrUnknown) {
			t.Error(err)
		}
		if v := w.show("x"); len(v.Holders) != 1 {
			t.Fatalf("it was to be granted: %+v", v)
		}
		for range 3 { // the mark moves as far as it may
			w.gets(a, request(lockapi.Beneficiary{}, "warm", 0), fsm.StatusBusy)
		}
		close(open)
		w.wantIdle("x")
	})
}

// A grant that nobody here has asked for, as far as is known, is given back.
func TestGrantOfNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		r, err := w.machine.Do(w.ctx, fsm.Command{
			Op: fsm.OpAcquire, Session: c.Session(), Incarnation: 1, Seq: 900, Mark: 1, Owner: "o", Wants: []fsm.Want{lockapi.Exclusive("x")},
		})
		if err != nil || r.Status != fsm.StatusOK {
			t.Fatalf("%+v, %v", r, err)
		}
		l.inject(fsm.Outcome{
			Kind: fsm.OutcomeGranted, Pos: -1, Event: 1, Result: r,
			Key: fsm.Key{Class: fsm.ClassSeq, Session: c.Session(), Incarnation: 1, Seq: 900},
		})
		w.wantIdle("x")
	})
}

// The answer that grants comes while the client is being closed: the machine gives
// the lock away as soon as it hears of that, so nobody may be told that he has it.
func TestGrantWhileClosing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		granted, closed := make(chan struct{}), make(chan struct{})
		l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			r, err := pass()
			switch c.Op {
			case fsm.OpAcquire:
				<-granted
			case fsm.OpClose:
				<-closed
			}
			return r, err
		}, func(fsm.Outcome) bool { return false })
		got := make(chan error)
		go func() {
			g, err := c.Mutex("x").Acquire(w.ctx)
			if g != nil && g.Valid() {
				t.Error("a grant of a client that is being closed is valid")
			}
			got <- err
		}()
		synctest.Wait()
		closing := make(chan error)
		go func() { closing <- c.Close(w.ctx) }()
		synctest.Wait()
		other, _ := w.client(lockapi.Options{})
		next := w.acquire(other.Mutex("x"))
		close(granted)
		if err := <-got; !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("acquire: %v", err)
		}
		close(closed)
		if err := <-closing; err != nil {
			t.Error(err)
		}
		w.release(next)
	})
}

// The session is another process's by now. What is granted to that is not this
// one's, though its number is that of a wait here.
func TestEventOfAnotherIncarnation(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("x"))
		c, l := w.client(lockapi.Options{})
		ctx, cancel := context.WithCancel(w.ctx)
		got := make(chan *lockapi.Grant)
		go func() {
			g, _ := c.Mutex("x").Acquire(ctx)
			got <- g
		}()
		synctest.Wait()
		asked := l.executed(fsm.OpAcquire)[0]
		l.inject(fsm.Outcome{
			Kind: fsm.OutcomeGranted, Pos: -1, Event: 1,
			Key:    fsm.Key{Class: fsm.ClassSeq, Session: c.Session(), Incarnation: 2, Seq: asked.Seq},
			Result: fsm.Result{Status: fsm.StatusOK, Grant: 77, Token: 1 << 50, Count: 1},
		})
		synctest.Wait()
		cancel()
		if g := <-got; g != nil {
			t.Errorf("it has another's grant: %+v", g)
		}
		w.release(held)
	})
}
