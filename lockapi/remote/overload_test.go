package remote

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// TestOverloadIsHeeded: a node that has too much to do is asked again when it says,
// not before, and not left for another; whoever gives up meanwhile is told why, and
// that nothing was done.
func TestOverloadIsHeeded(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	events := u.attach()
	linked := b.linkedTo()
	const wait = 300 * time.Millisecond
	w.nodes[0].set(none, &lockapi.OverloadError{What: "a queue: 1", RetryAfter: wait})
	ctx, cancel := context.WithTimeout(context.Background(), wait/2)
	defer cancel()
	full := new(lockapi.OverloadError)
	_, err := b.Do(ctx, u.acquire("given up"))
	if !is(err, lockapi.ErrOverloaded, lockapi.ErrUnavailable, context.DeadlineExceeded) || !errors.As(err, &full) || full.What != "a queue: 1" ||
		errors.Is(err, lockapi.ErrUnknown) {
		t.Errorf("given up: %v", err)
	}
	before := w.nodes[0].commands()
	answered := make(chan fsm.Result)
	go func() { answered <- u.do(u.acquire("x")) }()
	until(t, "the acquire was refused", func() bool { return w.nodes[0].commands() > before })
	w.nodes[0].set(none, nil)
	if r := <-answered; r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
	if b.linkedTo() != linked {
		t.Error("the node was left")
	}
	select {
	case o, open := <-events:
		t.Errorf("the session heard %+v, %v", o, open)
	default:
	}
	w.nodes[0].set(none, full)
	ctx, cancel = context.WithTimeout(context.Background(), wait/2)
	defer cancel()
	if _, err := b.Inspect(ctx, lockapi.Query{Name: "x"}); !is(err, lockapi.ErrUnavailable, context.DeadlineExceeded) {
		t.Errorf("inspect: %v", err)
	}
}

// TestNoBehalf: a client does not speak for others, whatever it was given.
func TestNoBehalf(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	c := u.acquire("x")
	c.Behalf, c.MaxHold = fsm.BehalfNobody, fsm.Hour
	if _, err := b.Do(context.Background(), c); !errors.Is(err, lockapi.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	for _, op := range []fsm.Op{fsm.OpRead, fsm.OpTakeover, fsm.OpMember, fsm.OpResume + 1} {
		if _, err := b.Do(context.Background(), fsm.Command{Op: op}); !errors.Is(err, lockapi.ErrUnsupported) {
			t.Errorf("op %d: %v", op, err)
		}
	}
}

// TestResumeOverALink: what was resumed is attached again, as the new incarnation,
// when the link breaks.
func TestResumeOverALink(t *testing.T) {
	w := newWorld(t, 1)
	u := w.user(w.open(Options{}, 0), 1)
	g := u.do(u.acquire("x"))
	b := w.open(Options{}, 0)
	r, err := b.Do(context.Background(), fsm.Command{Op: fsm.OpResume, Session: u.id, Secret: u.secret, Nonce: fsm.Nonce{Hi: 3}})
	if err != nil || r.Incarnation != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	release := fsm.Command{Op: fsm.OpRelease, Session: u.id, Incarnation: 2, Seq: fsm.Seq(r.Value), Mark: fsm.Seq(r.Value), Grant: g.Grant}
	w.nodes[0].proxy.cut()
	if r, err := b.Do(context.Background(), release); err != nil || r.Status != fsm.StatusOK {
		t.Errorf("after the link broke: %+v, %v", r, err)
	}
	if r := u.do(u.acquire("y")); r.Status != fsm.StatusFenced {
		t.Errorf("the incarnation before: %+v", r)
	}
}

// TestRefusalAfterADoubt: the leader has an acquire, does it, and its link breaks
// before it answers. The next node refuses the acquire, and has done nothing with it:
// whoever gives up then does not know.
func TestRefusalAfterADoubt(t *testing.T) {
	for _, refusal := range []error{lockapi.ErrUnavailable, &lockapi.OverloadError{What: "a queue: 1", RetryAfter: time.Minute}} {
		w := newWorld(t, 2)
		b := w.open(Options{}, 0, 1)
		u := w.user(b, 1)
		first, second := w.nodes[0], w.nodes[1]
		until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
		first.set(mute, nil)
		c, before := u.acquire("x"), first.commands()
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan error)
		go func() {
			_, err := b.Do(ctx, c)
			failed <- err
		}()
		until(t, "sent", func() bool { return first.commands() > before })
		second.set(crowded, refusal)
		before = second.commands()
		first.proxy.down(true)
		until(t, "refused", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			a := b.inflight[c.Key()]
			return second.commands() > before && a != nil && a.sent == nil
		})
		cancel()
		if err := <-failed; !is(err, lockapi.ErrUnknown, context.Canceled) || errors.Is(err, lockapi.ErrUnavailable) {
			t.Errorf("refused with %v: %v", refusal, err)
		}
		second.set(none, nil)
		if r := u.do(c); r.Status != fsm.StatusOK {
			t.Errorf("asked again: %+v", r)
		}
	}
}
