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

// believes is how long a client counts on its session after it has sent the
// command that was acknowledged last, if that was applied at once.
var believes = ttl - ttl/lockapi.DriftShare - lockapi.MarginOf(ttl)

// near tells whether a is b, but for what clocks may differ in a minute.
func near(a, b time.Duration) bool { return max(a-b, b-a) <= time.Minute/lockapi.DriftShare }

func hang(ctx context.Context) (fsm.Result, error) {
	<-ctx.Done()
	return fsm.Result{}, errors.Join(errLine, ctx.Err())
}

// A renewal is sent and applied at 3 s, its answer is slow, it is sent
// again and again, and at 7 s the answer comes. The belief counts from 3 s.
func TestBeliefCountsFromTheFirstSending(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		var mu sync.Mutex
		var first said
		l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case first.Seq == 0:
				first = said{Command: c, at: time.Now()}
				first.result, _ = pass()
				return fsm.Result{}, errLine
			case c.Seq != first.Seq || time.Since(first.at) < 4*time.Second:
				return fsm.Result{}, errLine // later renewals do not help
			default:
				return first.result, nil
			}
		}, nil)
		time.Sleep(8500 * time.Millisecond)
		if got := g.ValidUntil().Sub(first.at); !near(got, believes) {
			t.Errorf("valid until %v after the first sending, want %v", got, believes)
		}
		time.Sleep(time.Until(first.at.Add(believes + 20*time.Millisecond)))
		if g.Valid() {
			t.Error("valid for longer than the service may hold it")
		}
	})
}

// A renewal that is not answered within TTL/6 is given to the backend a
// second time, with its number, while the first hangs.
func TestRenewalIsSentAgainWithItsNumber(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		var mu sync.Mutex
		calls := map[fsm.Seq][]time.Time{}
		l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			mu.Lock()
			calls[c.Seq] = append(calls[c.Seq], time.Now())
			n := len(calls[c.Seq])
			mu.Unlock()
			if n == 1 {
				return hang(ctx) // the path is stuck
			}
			return pass()
		}, nil)
		time.Sleep(time.Minute)
		if !g.Valid() {
			t.Error("a stuck path cost the grant")
		}
		mu.Lock()
		defer mu.Unlock()
		for number, at := range calls {
			if len(at) == 2 && !near(at[1].Sub(at[0]), ttl/6) {
				t.Errorf("renewal %d was sent again after %v", number, at[1].Sub(at[0]))
			}
			if len(at) > 2 {
				t.Errorf("renewal %d was sent %d times", number, len(at))
			}
		}
		if len(calls) < 15 || len(calls) > 21 {
			t.Errorf("%d renewals in a minute", len(calls))
		}
	})
}

// Nobody answers for longer than the client may believe, but the session
// lives. The grant ends, does not come back, and is released before the client
// says anything else.
func TestLapsedGrantIsReleasedFirstAndNeverRevived(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x"))
		kept := w.acquire(c.Mutex("kept"))
		w.release(kept)
		ctx, session := g.Context(), c.Session()
		l.cut()
		cut := time.Now()
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, lockapi.ErrLost) {
			t.Errorf("cause %v", cause)
		}
		if d := time.Since(cut); !near(d, believes) {
			t.Errorf("the context ended after %v, not after %v", d, believes)
		}
		if g.Valid() || len(w.show("x").Holders) != 1 {
			t.Error("the grant must have ended for the client and not for the service")
		}
		acquired := w.begin(c.Mutex("y"))
		synctest.Wait()
		l.forget()
		l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			if c.Op == fsm.OpRelease { // whatever does not wait for it comes first
				time.Sleep(800 * time.Millisecond)
			}
			if ctx.Err() != nil {
				return fsm.Result{}, errLine
			}
			return pass()
		}, nil)
		w.release(<-acquired)
		if first := l.executed()[0]; first.Op != fsm.OpRelease || first.result.Token != g.Token {
			t.Errorf("after the contact came back: %+v", first)
		}
		if c.Session() != session {
			t.Error("the session did not survive")
		}
		if g.Valid() {
			t.Error("the grant came back")
		}
		if err := g.Release(t.Context()); !errors.Is(err, lockapi.ErrLost) {
			t.Errorf("release of a lapsed grant: %v", err)
		}
		if err := g.Extend(t.Context(), time.Hour); !errors.Is(err, lockapi.ErrLost) {
			t.Errorf("extend of a lapsed grant: %v", err)
		}
		w.wantIdle("x")
	})
}

// A process that was stopped learns it from the clock when it looks, not from
// a timer: the first look must tell, and an answer that comes in with it does
// not save the grant.
func TestValidLooksAtTheClock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var ahead atomic.Int64 // the machine slept for so long; the engine's goroutines look as well
		c, err := lockapi.New(w.machine.Another(), lockapi.Options{TTL: ttl, Label: "t"}.WithNow(func() time.Duration {
			return w.now() + time.Duration(ahead.Load())
		}))
		if err != nil {
			t.Fatal(err)
		}
		w.clients = append(w.clients, c)
		g := w.acquire(c.Mutex("x"))
		if !g.Valid() {
			t.Fatal("not valid at first")
		}
		ahead.Store(int64(believes + 10*time.Millisecond))
		if g.Valid() {
			t.Error("valid after a sleep of nearly a TTL")
		}
		if g.Context().Err() == nil {
			t.Error("the context did not hear of it")
		}
	})
}

// The process sleeps past its belief, and the first thing that it hears when it
// wakes is the answer to a renewal that it sent before. By that answer the
// session lives, but nobody could say so in between: the grant has ended.
func TestAnswerAfterTheBeliefDoesNotReviveIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l := &line{Backend: w.machine.Another()}
		var slept atomic.Int64
		c, err := lockapi.New(l, lockapi.Options{TTL: ttl, Label: "t"}.WithNow(func() time.Duration {
			return w.now() + time.Duration(slept.Load())
		}))
		if err != nil {
			t.Fatal(err)
		}
		w.clients, w.lines = append(w.clients, c), append(w.lines, l)
		g := w.acquire(c.Mutex("x"))
		l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			if c.Op == fsm.OpRenew {
				slept.Store(int64(believes - ttl/5))
			}
			return pass()
		}, nil)
		time.Sleep(ttl / 2)
		if g.Valid() || g.Context().Err() == nil {
			t.Error("an answer revived the grant")
		}
		w.wantIdle("x")
	})
}

// Acquire's answer comes so late that the grant is not to be believed in: it
// must renew first, and have an answer to that.
func TestAcquireRenewsBeforeItSucceeds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		late := time.Now().Add(9500 * time.Millisecond)
		open := late.Add(2 * time.Second)
		l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			r, err := pass() // the session lives on at the machine
			until := late
			if c.Op == fsm.OpRenew {
				until = open
			}
			if time.Now().After(until) {
				return r, err
			}
			select {
			case <-time.After(time.Until(until)):
				if c.Op == fsm.OpRenew {
					return fsm.Result{}, errLine
				}
				return r, err
			case <-ctx.Done():
				return fsm.Result{}, errLine
			}
		}, nil)
		g := w.acquire(c.Mutex("x"))
		if time.Now().Before(open) {
			t.Errorf("a grant of %v ago, and nothing heard of the session since", time.Since(late)+9500*time.Millisecond)
		}
		if !g.Valid() || len(w.show("x").Holders) != 1 {
			t.Error("not held")
		}
	})
}

// A grant with MaxHold comes after a wait of a minute, and its answer is
// slow. The belief counts from what the machine said, not from when the wait
// began (it would be born dead), nor from when it was heard (it would outlive
// the hold).
func TestMaxHoldAfterALongWait(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		held := w.acquire(other.Mutex("x"))
		c, l := w.client(lockapi.Options{})
		const slow = 3 * time.Second
		l.behave(nil, func(o fsm.Outcome) bool {
			if o.Kind == fsm.OutcomeGranted {
				time.Sleep(slow)
			}
			return true
		})
		var granted time.Time
		go func() {
			time.Sleep(time.Minute)
			granted = time.Now()
			w.release(held)
		}()
		const maxHold = 8 * time.Second
		g := w.acquire(c.Mutex("x").WithMaxHold(maxHold))
		if got, most := g.ValidUntil().Sub(granted), maxHold-lockapi.MarginOf(ttl); got > most || got < most-ttl/2 {
			t.Errorf("valid until %v after the grant, want just under %v", got, most)
		}
		ctx := g.Context()
		<-ctx.Done()
		if d := time.Since(granted); d > maxHold-lockapi.MarginOf(ttl) {
			t.Errorf("the client stopped believing %v after the grant", d)
		}
		if !errors.Is(context.Cause(ctx), lockapi.ErrLost) {
			t.Errorf("cause %v", context.Cause(ctx))
		}
		w.wantIdle("x") // the client releases what has lapsed
	})
}

// A grant that was over before it was heard of is an error, and leaves nothing.
func TestMaxHoldPassedBeforeTheAnswer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		w.release(w.acquire(c.Mutex("warm")))
		l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			r, err := pass()
			if c.Op == fsm.OpAcquire {
				time.Sleep(2 * time.Second)
			}
			return r, err
		}, nil)
		g, err := c.Mutex("x").WithMaxHold(1500 * time.Millisecond).Acquire(t.Context())
		if !errors.Is(err, lockapi.ErrLost) || g != nil {
			t.Errorf("%v, %v", g, err)
		}
		w.wantIdle("x")
	})
}

func TestExtend(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.acquire(c.Mutex("x").WithMaxHold(3 * time.Second))
		time.Sleep(time.Second)
		if err := g.Extend(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := g.Extend(t.Context(), 2*time.Second); err != nil { // never nearer
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if !g.Valid() {
			t.Error("lost although it was extended")
		}
		// An answer that ctx does not wait for counts all the same.
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		l.behave(func(ctx context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			if c.Op == fsm.OpExtend && ctx.Err() == nil && len(l.sent(fsm.OpExtend)) == 3 {
				return hang(ctx)
			}
			return pass()
		}, nil)
		if err := g.Extend(ctx, time.Minute); !errors.Is(err, lockapi.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("extend without an answer: %v", err)
		}
		time.Sleep(50 * time.Second)
		if !g.Valid() {
			t.Error("the second extension did not count")
		}
		if err := g.Extend(t.Context(), lockapi.MarginOf(ttl)); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("extend by the margin: %v", err)
		}
		<-g.Context().Done()
		if err := g.Extend(t.Context(), time.Minute); !errors.Is(err, lockapi.ErrLost) {
			t.Errorf("extend after the end: %v", err)
		}
		forever := w.acquire(c.Mutex("x"))
		if err := forever.Extend(t.Context(), 2*time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !forever.Valid() {
			t.Error("an extension gave a deadline to a grant that had none")
		}
		w.release(forever)
		if err := forever.Extend(t.Context(), time.Minute); !errors.Is(err, lockapi.ErrNotHeld) {
			t.Errorf("extend after release: %v", err)
		}
	})
}

// The answers to two extensions come in the other order: the earlier end is not
// believed in the place of the later one.
func TestExtensionsOutOfOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		g := w.take(c.Mutex("x").WithMaxHold(3 * time.Second).Acquire)
		open := make(chan struct{})
		l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
			r, err := pass()
			if c.Op == fsm.OpExtend && c.MaxHold == fsm.Duration(5*time.Second) {
				<-open
			}
			return r, err
		}, nil)
		first := make(chan error)
		go func() { first <- g.Extend(w.ctx, 5*time.Second) }()
		synctest.Wait()
		if err := g.Extend(w.ctx, time.Hour); err != nil {
			t.Fatal(err)
		}
		close(open)
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !g.Valid() {
			t.Error("the earlier end was believed")
		}
		w.release(g)
	})
}

// The machine sleeps, and its timers with it. When it wakes the keeper looks at the
// clock soon, whatever it was waiting for, and ends what is over: a holder that only
// listens to its context must hear of it.
func TestKeeperLooksAtTheClock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l := &line{Backend: w.machine.Another()}
		var slept atomic.Int64
		c, err := lockapi.New(l, lockapi.Options{TTL: ttl, Label: "t"}.WithNow(func() time.Duration {
			return w.now() + time.Duration(slept.Load())
		}))
		if err != nil {
			t.Fatal(err)
		}
		w.clients, w.lines = append(w.clients, c), append(w.lines, l)
		ended := w.acquire(c.Mutex("x")).Context()
		for n := len(l.executed(fsm.OpRenew)); len(l.executed(fsm.OpRenew)) == n; { // the next is far
			time.Sleep(10 * time.Millisecond)
		}
		slept.Store(int64(believes + 10*time.Millisecond))
		time.Sleep(ttl/6 + 20*time.Millisecond)
		if ended.Err() == nil {
			t.Error("nobody looked at the clock")
		}
	})
}
