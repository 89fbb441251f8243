package mem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/backendtest"
	"github.com/lockd-io/lockd/lockapi/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) lockapi.Backend {
		b := mem.New()
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
		return b
	})
}

// Two users of one machine see the same, and its timer works for whoever is
// left.
func TestUsersShareAMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := mem.New()
		one, two := first.Another(), first.Another()
		open := func(b lockapi.Backend) fsm.SessionID {
			r, err := b.Do(t.Context(), fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1}, TTL: fsm.Second})
			if err != nil || r.Status != fsm.StatusOK {
				t.Fatalf("%+v, %v", r, err)
			}
			return r.Session
		}
		id := open(one)
		if other := open(two); other != id {
			t.Errorf("two machines: sessions %d and %d", id, other)
		}
		events, err := two.Attach(t.Context(), lockapi.Attachment{Session: id, Incarnation: 1, Renewal: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []*mem.Backend{first, one} {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		o, more := <-events // nobody asks: the machine's timer ends the session
		if !more || o.Kind != fsm.OutcomeEnded || time.Since(start) != time.Second {
			t.Errorf("%+v after %v", o, time.Since(start))
		}
		if _, more := <-events; more {
			t.Error("something came after the end")
		}
		if err := two.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A renewal moves a deadline away: the timer that was set to it finds nothing to do, and
// is set again, or nobody is ever told of the end.
func TestTimerAfterARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.New()
		defer b.Close()
		r, err := b.Do(t.Context(), fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1}, TTL: fsm.Second})
		if err != nil || r.Status != fsm.StatusOK {
			t.Fatalf("%+v, %v", r, err)
		}
		events, err := b.Attach(t.Context(), lockapi.Attachment{Session: r.Session, Incarnation: 1, Renewal: 1})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(600 * time.Millisecond)
		renewed := time.Now()
		if r, err := b.Do(t.Context(), fsm.Command{Op: fsm.OpRenew, Session: r.Session, Incarnation: 1, Seq: 2}); err != nil || r.Status != fsm.StatusOK {
			t.Fatalf("%+v, %v", r, err)
		}
		select {
		case o := <-events:
			if o.Kind != fsm.OutcomeEnded || time.Since(renewed) != time.Second {
				t.Errorf("%+v after %v", o, time.Since(renewed))
			}
		case <-time.After(time.Minute):
			t.Error("nobody is told that the session is over")
		}
	})
}

// While nobody uses a machine nothing runs, but its time goes on and its
// tokens are remembered.
func TestNamedMachinesStay(t *testing.T) {
	ctx := context.Background()
	open := func() *lockapi.Client {
		c, err := lockapi.Open(ctx, "mem://stays", lockapi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var last fsm.Token
	for range 3 {
		c := open()
		g, err := c.Mutex("x").Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if g.Token <= last {
			t.Errorf("token %d after %d", g.Token, last)
		}
		last = g.Token
		if err := c.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestURL(t *testing.T) {
	for _, bad := range []string{"mem:x", "mem://u@x", "mem://x/path", "mem://x?q=1", "mem://x#f"} {
		if _, err := lockapi.Open(context.Background(), bad, lockapi.Options{}); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A reader that takes nothing costs nobody anything, and is let go.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.New()
		c := fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1}, TTL: fsm.Second}
		for _, end := range []string{"expires", "context", "close"} {
			c.Nonce.Lo++
			r, err := b.Do(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			events, err := b.Attach(ctx, lockapi.Attachment{Session: r.Session, Incarnation: 1, Renewal: 1})
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Do(t.Context(), fsm.Command{
				Op: fsm.OpAcquire, Session: r.Session, Incarnation: 1, Seq: 1, Mark: 1, MaxHold: 1,
				Wants: []fsm.Want{{Name: end, Kind: fsm.KindLock, Mode: fsm.Exclusive}},
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // the loss waits to be taken
			synctest.Wait()
			switch end {
			case "expires":
				time.Sleep(2 * time.Second)
				if o := <-events; o.Kind != fsm.OutcomeLoss {
					t.Errorf("first %+v", o)
				}
				if o := <-events; o.Kind != fsm.OutcomeEnded {
					t.Errorf("then %+v", o)
				}
			case "context":
				cancel()
			case "close":
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if o, open := <-events; open {
				t.Errorf("%s: %+v came after the end", end, o)
			}
			cancel()
		}
	})
}
