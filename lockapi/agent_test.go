package lockapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// agent is an agent, and its line to the machine.
func (w *world) agent() (*lockapi.Agent, *line) {
	w.t.Helper()
	l := &line{Backend: w.machine.Another()}
	a, err := lockapi.NewAgent(l, lockapi.Options{TTL: ttl, Label: "agent"}.WithNow(w.now))
	if err != nil {
		w.t.Fatal(err)
	}
	w.agents, w.lines = append(w.agents, a), append(w.lines, l)
	return a, l
}

// beneficiary is a session that says nothing itself.
func (w *world) beneficiary(n byte) lockapi.Beneficiary {
	w.t.Helper()
	b := lockapi.Beneficiary{Secret: fsm.Secret{n, 1}}
	r, err := w.machine.Do(w.ctx, fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 77, Lo: uint64(n)}, Secret: b.Secret, TTL: fsm.Hour})
	if err != nil || r.Status != fsm.StatusOK {
		w.t.Fatalf("%+v, %v", r, err)
	}
	b.Session = r.Session
	return b
}

// request is for one name, exclusively.
func request(to lockapi.Beneficiary, name string, wait time.Duration) lockapi.AgentRequest {
	r := lockapi.AgentRequest{For: to, Wants: []fsm.Want{lockapi.Exclusive(name)}, Wait: wait}
	if to.Session == 0 {
		r.MaxHold = time.Hour
	}
	return r
}

type result struct {
	fsm.Result
	err error
}

// asks is Agent.Acquire beside.
func (w *world) asks(ctx context.Context, a *lockapi.Agent, r lockapi.AgentRequest) <-chan result {
	answered := make(chan result, 1)
	go func() {
		r, err := a.Acquire(ctx, r)
		answered <- result{r, err}
	}()
	synctest.Wait()
	return answered
}

// gets is Agent.Acquire that must come to the status.
func (w *world) gets(a *lockapi.Agent, r lockapi.AgentRequest, status fsm.Status) fsm.Result {
	w.t.Helper()
	got, err := a.Acquire(w.ctx, r)
	if err != nil || got.Status != status {
		w.t.Fatalf("%+v, %v, want status %d", got, err, status)
	}
	return got
}

// Grants are the beneficiary's: nobody's end with their MaxHold, another's with
// that session; the agent releases and extends them by name and number.
func TestAgentActsForOthers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, _ := w.agent()
		nobody, someone := lockapi.Beneficiary{}, w.beneficiary(1)
		for _, to := range []lockapi.Beneficiary{nobody, someone} {
			g := w.gets(a, request(to, "x", 0), fsm.StatusOK)
			if v := w.show("x"); len(v.Holders) != 1 || v.Holders[0].Session != to.Session || v.Holders[0].Token != g.Token {
				t.Errorf("%+v", v)
			}
			w.gets(a, request(to, "x", 0), fsm.StatusBusy) // each request is an owner of its own
			w.gets(a, request(to, "x", time.Second), fsm.StatusTimeout)
			if r, err := a.Extend(w.ctx, to, "x", g.Grant, 2*time.Hour); err != nil || r.Status != fsm.StatusOK {
				t.Errorf("extend: %+v, %v", r, err)
			}
			if r, err := a.Release(w.ctx, to, "y", g.Grant); err != nil || r.Status != fsm.StatusNotHeld {
				t.Errorf("release by another name: %+v, %v", r, err)
			}
			if r, err := a.Release(w.ctx, to, "x", g.Grant); err != nil || r.Status != fsm.StatusOK {
				t.Errorf("release: %+v, %v", r, err)
			}
			w.wantIdle("x")
		}
		short := request(nobody, "x", 0)
		short.MaxHold = time.Second
		w.gets(a, short, fsm.StatusOK)
		w.gets(a, request(someone, "x", time.Minute), fsm.StatusOK) // when that is over
		if err := a.Close(w.ctx); err != nil {
			t.Fatal(err)
		}
		if v := w.show("x"); len(v.Holders) != 1 || v.Holders[0].Session != someone.Session {
			t.Errorf("the grant went with the agent: %+v", v)
		}
		if _, err := a.Acquire(w.ctx, request(nobody, "y", 0)); !errors.Is(err, lockapi.ErrClosed) || errors.Is(err, lockapi.ErrUnknown) {
			t.Errorf("after close: %v", err)
		}
	})
}

// What the machine refuses is a Result, and a secret is needed to act for another.
func TestAgentIsRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, _ := w.agent()
		someone := w.beneficiary(1)
		stranger := someone
		stranger.Secret[0]++
		w.gets(a, request(stranger, "x", 0), fsm.StatusNobody)
		w.gets(a, request(lockapi.Beneficiary{}, "", 0), fsm.StatusInvalid)
		g := w.gets(a, request(someone, "x", 0), fsm.StatusOK)
		if r, err := a.Release(w.ctx, stranger, "x", g.Grant); err != nil || r.Status != fsm.StatusNobody {
			t.Errorf("%+v, %v", r, err)
		}
		unbounded := request(lockapi.Beneficiary{}, "y", 0)
		unbounded.MaxHold = 0
		if r := w.gets(a, unbounded, fsm.StatusInvalid); r.Limit != fsm.LimitMaxHold {
			t.Errorf("%+v", r)
		}
		if _, err := lockapi.NewAgent(w.machine, lockapi.Options{TTL: 1}); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("options: %v", err)
		}
	})
}

// Two agents have the same numbers in their sessions, and all hold for nobody: they
// exclude each other all the same.
func TestAgentsAreDifferentOwners(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one, _ := w.agent()
		two, _ := w.agent()
		w.gets(one, request(lockapi.Beneficiary{}, "x", 0), fsm.StatusOK)
		w.gets(two, request(lockapi.Beneficiary{}, "x", 0), fsm.StatusBusy)
	})
}

// A context ends: while the acquire waits, and while its grant is on its way. In
// either case nothing is left.
func TestAgentWithdraws(t *testing.T) {
	for _, crossing := range []bool{false, true} {
		t.Run(fmt.Sprint(crossing), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a, l := w.agent()
				nobody := lockapi.Beneficiary{}
				held := w.gets(a, request(nobody, "x", 0), fsm.StatusOK)
				ctx, cancel := context.WithCancel(w.ctx)
				waiting := w.asks(ctx, a, request(nobody, "x", -1))
				open := make(chan struct{})
				if crossing {
					l.behave(func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
						if c.Op == fsm.OpAbandon {
							<-open
						}
						return pass()
					}, nil)
				}
				cancel()
				got := <-waiting
				if !errors.Is(got.err, context.Canceled) || errors.Is(got.err, lockapi.ErrUnknown) != crossing {
					t.Errorf("%v", got.err)
				}
				if r, err := a.Release(w.ctx, nobody, "x", held.Grant); err != nil || r.Status != fsm.StatusOK {
					t.Errorf("%+v, %v", r, err)
				}
				w.gets(a, request(nobody, "other", 0), fsm.StatusOK) // acknowledges
				close(open)
				w.wantIdle("x")
			})
		})
	}
}

// Acquires that nobody answers fill the window, and all are given up: what they are
// granted when the line is back is released, in the beneficiary's name.
func TestAgentWithdrawsFromAFullWindow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, l := w.agent()
		w.gets(a, request(lockapi.Beneficiary{}, "warm", 0), fsm.StatusOK)
		l.cut()
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		var wg sync.WaitGroup
		name := func(i int) string { return fmt.Sprint("full/", i) }
		for i := range fsm.WindowSize {
			wg.Go(func() {
				if _, err := a.Acquire(ctx, request(lockapi.Beneficiary{}, name(i), -1)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
			})
		}
		wg.Wait()
		l.heal()
		time.Sleep(2 * time.Second)
		for i := range fsm.WindowSize {
			w.wantIdle(name(i))
		}
		w.wantWindowKept(l)
	})
}

// The agent's session ends: what waits waits on under the next, and what was
// granted with the answer lost is found, not granted twice.
func TestAgentOutlivesItsSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, l := w.agent()
		other, _ := w.agent()
		nobody := lockapi.Beneficiary{}
		held := w.gets(other, request(nobody, "wanted", 0), fsm.StatusOK)
		waiting := w.asks(w.ctx, a, request(nobody, "wanted", time.Hour))
		tried := w.asks(w.ctx, a, request(nobody, "wanted", 3*ttl/2))
		l.behave(lostAnswer(fsm.OpAcquire), func(fsm.Outcome) bool { return false })
		granted := w.asks(w.ctx, a, request(nobody, "x", 0))
		token := w.show("x").Holders[0].Token
		time.Sleep(2 * ttl)
		l.heal()
		if got := <-granted; got.err != nil || got.Status != fsm.StatusOK || got.Token != token {
			t.Errorf("%+v, %v, want token %d", got.Result, got.err, token)
		}
		if got := <-tried; got.err != nil || got.Status != fsm.StatusTimeout {
			t.Errorf("whose time was up meanwhile: %+v, %v", got.Result, got.err)
		}
		if r, err := other.Release(w.ctx, nobody, "wanted", held.Grant); err != nil || r.Status != fsm.StatusOK {
			t.Errorf("%+v, %v", r, err)
		}
		if got := <-waiting; got.err != nil || got.Status != fsm.StatusOK {
			t.Errorf("%+v, %v", got.Result, got.err)
		}
		// A release that was done, with its answer and its session lost, is not
		// known to have been done.
		l.behave(lostAnswer(fsm.OpRelease), nil)
		released := make(chan error, 1)
		go func() {
			_, err := a.Release(w.ctx, nobody, "x", w.grantID("x"))
			released <- err
		}()
		time.Sleep(2 * ttl)
		l.heal()
		if err := <-released; !errors.Is(err, lockapi.ErrUnknown) {
			t.Errorf("release: %v", err)
		}
	})
}

// What was asked under a session that has ended may have been granted, though no
// other session can be had to ask again: nobody is told that it was never sent.
func TestAgentKeepsItsDoubt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, l := w.agent()
		nobody := lockapi.Beneficiary{}
		w.gets(a, request(nobody, "warm", 0), fsm.StatusOK)
		l.behave(lostAnswer(fsm.OpAcquire), func(fsm.Outcome) bool { return false })
		ctx, cancel := context.WithTimeout(w.ctx, 3*ttl)
		defer cancel()
		got := <-w.asks(ctx, a, request(nobody, "x", 0))
		if !errors.Is(got.err, lockapi.ErrUnknown) || !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("%+v, %v", got.Result, got.err)
		}
		if v := w.show("x"); len(v.Holders) != 1 {
			t.Errorf("it was granted: %+v", v)
		}
		l.heal()
	})
}

// lostAnswer lets the first command of an op arrive, and nothing else; no answer
// comes.
func lostAnswer(op fsm.Op) doing {
	var mu sync.Mutex
	done := false
	return func(_ context.Context, c fsm.Command, pass pass) (fsm.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if c.Op == op && !done {
			done = true
			_, _ = pass()
		}
		return fsm.Result{}, errLine
	}
}

// grantID is the number of what was granted of a name by the word of all lines.
func (w *world) grantID(name string) fsm.GrantID {
	for _, l := range w.lines {
		for _, s := range l.executed(fsm.OpAcquire) {
			if s.Wants[0].Name == name && s.result.Grant != 0 {
				return s.result.Grant
			}
		}
	}
	return 0
}

// A request with a key goes on without its caller, and who asks again, here or by
// another agent, is given the same grant.
func TestAgentKeys(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one, l := w.agent()
		two, _ := w.agent()
		nobody := lockapi.Beneficiary{}
		held := w.gets(one, request(nobody, "x", 0), fsm.StatusOK)
		r := request(nobody, "x", time.Hour)
		r.Key = fsm.Nonce{Hi: 5, Lo: 6}
		ctx, cancel := context.WithCancel(w.ctx)
		gone := w.asks(ctx, one, r)
		cancel()
		if got := <-gone; !errors.Is(got.err, lockapi.ErrUnknown) || !errors.Is(got.err, context.Canceled) {
			t.Errorf("%v", got.err)
		}
		again := w.asks(w.ctx, one, r)
		if v := w.show("x"); len(v.Waiters) != 1 {
			t.Errorf("a request with a key waits %d times", len(v.Waiters))
		}
		other := r
		other.Wants = []fsm.Want{lockapi.Shared("x")}
		w.gets(one, other, fsm.StatusInvalid)
		if _, err := one.Release(w.ctx, nobody, "x", held.Grant); err != nil {
			t.Fatal(err)
		}
		got := <-again
		if got.err != nil || got.Status != fsm.StatusOK {
			t.Fatalf("%+v, %v", got.Result, got.err)
		}
		for _, a := range []*lockapi.Agent{one, two} {
			if r := w.gets(a, r, fsm.StatusOK); r.Grant != got.Grant || r.Token != got.Token {
				t.Errorf("%+v, want grant %d", r, got.Grant)
			}
		}
		r.Wait = -1
		if _, err := one.Acquire(w.ctx, r); !errors.Is(err, lockapi.ErrInvalid) || !strings.Contains(err.Error(), "must be bounded") {
			t.Errorf("%v", err)
		}
		if n := len(l.executed(fsm.OpAbandon)); n != 0 {
			t.Errorf("a request with a key was withdrawn %d times", n)
		}
	})
}

// A crowd is the business of who asked: it is told at once, and nothing was done.
// And an agent that is closed says what it does not know.
func TestAgentSaysWhatItKnows(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, l := w.agent()
		nobody := lockapi.Beneficiary{}
		held := w.gets(a, request(nobody, "warm", 0), fsm.StatusOK)
		l.behave(func(context.Context, fsm.Command, pass) (fsm.Result, error) {
			return fsm.Result{}, &lockapi.OverloadError{What: "a queue", RetryAfter: time.Second}
		}, nil)
		began := time.Now()
		_, err := a.Acquire(w.ctx, request(nobody, "x", 0))
		if !errors.Is(err, lockapi.ErrOverloaded) || errors.Is(err, lockapi.ErrUnknown) || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, err := a.Release(w.ctx, nobody, "warm", held.Grant); !errors.Is(err, lockapi.ErrOverloaded) {
			t.Errorf("release: %v", err)
		}
		l.cut()
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := a.Release(ctx, nobody, "warm", held.Grant); !errors.Is(err, lockapi.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("release without an answer: %v", err)
		}
		l.heal()
		w.wantIdle("warm") // it went on
		held = w.gets(a, request(nobody, "x", 0), fsm.StatusOK)
		keyed := request(nobody, "x", time.Hour)
		keyed.Key = fsm.Nonce{Hi: 1}
		waits := []<-chan result{w.asks(w.ctx, a, request(nobody, "x", time.Hour)), w.asks(w.ctx, a, keyed)}
		if err := a.Close(w.ctx); err != nil {
			t.Fatal(err)
		}
		for _, waiting := range waits {
			if got := <-waiting; !errors.Is(got.err, lockapi.ErrClosed) || !errors.Is(got.err, lockapi.ErrUnknown) {
				t.Errorf("%v", got.err)
			}
		}
		w.wantNoWaiters("x")
		if v := w.show("x"); len(v.Holders) != 1 || v.Holders[0].Token != held.Token {
			t.Errorf("%+v", v)
		}
		if _, err := a.Acquire(w.ctx, keyed); !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}
