package lockapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

type warned struct {
	lockapi.Warning
	at    time.Time
	valid int // grants that were valid when it came
}

// warning is a client that warns, and what it said.
func (w *world) warning(o lockapi.Options) (*lockapi.Client, *line, <-chan warned) {
	heard := make(chan warned, 100)
	o.OnWarning = func(said lockapi.Warning) {
		valid := 0
		for _, g := range said.Grants {
			if g.Valid() {
				valid++
			}
		}
		heard <- warned{said, time.Now(), valid}
	}
	c, l := w.client(o)
	return c, l, heard
}

// quiet fails if there is a warning.
func (w *world) quiet(heard <-chan warned) {
	w.t.Helper()
	synctest.Wait()
	select {
	case said := <-heard:
		w.t.Errorf("warned of %v: %+v", said.Kind, said)
	default:
	}
}

func (w *world) hears(heard <-chan warned, kind lockapi.WarningKind, grants, valid int) warned {
	w.t.Helper()
	select {
	case said := <-heard:
		if said.Kind != kind || len(said.Grants) != grants || said.valid != valid {
			w.t.Errorf("warned of %v with %d grants, %d valid; want %v with %d, %d valid", said.Kind, len(said.Grants), said.valid, kind, grants, valid)
		}
		return said
	case <-time.After(3 * ttl):
		w.t.Fatalf("no word of %v", kind)
		return warned{}
	}
}

// The service is silent: the warning comes so long before the loss, and then what
// came of it: the service answers again, or everything is lost.
func TestWarning(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const before = 4 * time.Second
		c, l, heard := w.warning(lockapi.Options{WarnBefore: before})
		g, _ := w.take(c.Mutex("x").Acquire), w.take(c.RWMutex("y").RAcquire)
		time.Sleep(time.Minute)
		w.quiet(heard) // all is well
		for range 5 {  // renewals come at times that are partly chance
			l.cut()
			said := w.hears(heard, lockapi.WarnEndangered, 2, 2)
			if left := g.ValidUntil().Sub(said.at); !near(left, before) || !near(said.Until.Sub(said.at), before) {
				t.Errorf("warned %v before the end, and said %v", left, said.Until.Sub(said.at))
			}
			time.Sleep(before / 2)
			w.quiet(heard) // once is enough
			l.heal()
			w.hears(heard, lockapi.WarnAverted, 2, 2)
			time.Sleep(ttl)
		}
		time.Sleep(time.Minute)
		w.quiet(heard)

		l.cut()
		w.hears(heard, lockapi.WarnEndangered, 2, 2)
		lost := w.hears(heard, lockapi.WarnLost, 2, 0)
		if !errors.Is(lost.Cause, lockapi.ErrLost) || context.Cause(g.Context()) != lost.Cause {
			t.Errorf("cause %v, of the grant %v", lost.Cause, context.Cause(g.Context()))
		}
		l.heal()
		time.Sleep(time.Minute)
		w.quiet(heard)
	})
}

// The danger ends because nothing is held any more, or with the session, or with
// Close, which is no news.
func TestWarningEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l, heard := w.warning(lockapi.Options{}) // 3 s of 10 s
		l.cut()
		time.Sleep(2 * ttl)
		w.quiet(heard) // it holds nothing
		l.heal()
		g := w.take(c.Mutex("x").Acquire)
		l.cut()
		said := w.hears(heard, lockapi.WarnEndangered, 1, 1)
		if left := said.Until.Sub(said.at); !near(left, (ttl-lockapi.MarginOf(ttl))/3) {
			t.Errorf("warned %v before the end", left)
		}
		ended, cancel := context.WithCancel(w.ctx)
		cancel()
		_ = g.Release(ended)
		w.hears(heard, lockapi.WarnAverted, 0, 0)
		l.heal()

		g = w.take(c.Mutex("x").Acquire)
		l.cut()
		w.hears(heard, lockapi.WarnEndangered, 1, 1)
		l.behave(func(context.Context, fsm.Command, pass) (fsm.Result, error) {
			return fsm.Result{Status: fsm.StatusSessionGone}, nil
		}, nil)
		if lost := w.hears(heard, lockapi.WarnLost, 1, 0); !errors.Is(lost.Cause, lockapi.ErrSessionGone) {
			t.Errorf("cause %v", lost.Cause)
		}
		l.heal()
		w.release(w.take(c.Mutex("y").Acquire))
		w.take(c.Mutex("y").Acquire)
		l.cut()
		w.hears(heard, lockapi.WarnEndangered, 1, 1)
		l.heal()
		if err := c.Close(w.ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case said := <-heard: // the answer to Close's command, or one before it, may be good news
			if said.Kind != lockapi.WarnAverted {
				t.Errorf("%+v", said)
			}
		default:
		}
		time.Sleep(ttl) // the first session, which nobody closed
		_ = g
	})
}

// A warning may do anything: release, acquire, and close the client.
func TestWarningMayDoAnything(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var c *lockapi.Client
		done := make(chan error, 2)
		c, l := w.client(lockapi.Options{OnWarning: func(said lockapi.Warning) {
			ctx, cancel := context.WithTimeout(w.ctx, time.Second)
			defer cancel()
			for _, g := range said.Grants {
				_ = g.Release(ctx)
			}
			if said.Kind == lockapi.WarnEndangered {
				done <- c.Close(ctx)
			}
		}})
		g := w.take(c.Mutex("x").Acquire)
		l.cut()
		if err := <-done; !errors.Is(err, lockapi.ErrUnknown) {
			t.Errorf("close: %v", err)
		}
		if g.Valid() {
			t.Error("valid after close")
		}
		w.clients = nil
		time.Sleep(ttl)
		w.wantIdle("x")
	})
}

func TestWarningOptions(t *testing.T) {
	none := func(lockapi.Warning) {}
	for _, c := range []struct {
		o    lockapi.Options
		want string
	}{
		{lockapi.Options{OnWarning: none, WarnBefore: -1}, "WarnBefore is -1ns: with a TTL of 10s it is 0 to 4.5"},
		{lockapi.Options{OnWarning: none, WarnBefore: 5 * time.Second}, "it is 0 to 4.5"},
		{lockapi.Options{OnWarning: none, WarnBefore: time.Second, TTL: time.Second}, "with a TTL of 1s it is 0 to 35"},
		{lockapi.Options{WarnBefore: time.Second}, "OnWarning is not"},
	} {
		if _, err := lockapi.New(nil, c.o); !errors.Is(err, lockapi.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v does not say: %s", err, c.want)
		}
	}
	if _, err := lockapi.New(nil, lockapi.Options{OnWarning: none, WarnBefore: 4 * time.Second}); err != nil {
		t.Error(err)
	}
	if s := lockapi.WarnLost.String() + lockapi.WarnAverted.String() + lockapi.WarningKind(9).String(); s != "lostavertedWarningKind(9)" {
		t.Error(s)
	}
}
