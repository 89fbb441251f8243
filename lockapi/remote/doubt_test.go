package remote

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// TestDoubtOfANodeThatIsHeard: the leader answers everything but one acquire, so that
// its link is never silent. Who doubts it, and says so by asking again, is answered by
// way of the other node; otherwise one stuck command would cost its session.
func TestDoubtOfANodeThatIsHeard(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(Options{}, 0, 1)
	u, other := w.user(b, 1), w.user(b, 2)
	until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	over := make(chan struct{})
	var heard sync.WaitGroup
	heard.Go(func() { // renewals of others, say
		for {
			select {
			case <-over:
				return
			default:
				other.do(other.release(1 << 40))
				time.Sleep(time.Millisecond)
			}
		}
	})
	w.nodes[0].set(stuck, nil)
	c := u.acquire("x")
	var answered sync.WaitGroup
	ask := func() {
		if r, err := b.Do(ctx, c); err != nil || r.Status != fsm.StatusOK {
			t.Errorf("%+v, %v", r, err)
		}
	}
	answered.Go(ask)
	until(t, "sent", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		a := b.inflight[c.Key()]
		return a != nil && a.sent != nil
	})
	answered.Go(ask)
	answered.Wait()
	close(over)
	heard.Wait()
}

// TestDoubtIsHandedOn: three wait for the answer to one command, and give up one after
// the other, the first to ask before the others. Each is told what may have become of
// the command, though only the first has had it sent; and who stays is answered over
// the next link, and it was done once.
func TestDoubtIsHandedOn(t *testing.T) {
	for name, doubt := range map[string]bool{"done unheard, then refused": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			b := w.open(Options{}, 0, 1)
			u := w.user(b, 1)
			until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
			refusing, c := w.nodes[0], u.acquire("x")
			full := &lockapi.OverloadError{What: "a queue: 1", RetryAfter: time.Minute}
			if doubt {
				refusing = w.nodes[1]
				w.nodes[0].set(mute, nil)
			}
			refusing.set(crowded, full)
			before := w.nodes[0].commands()
			first := askFor(b, c)
			if doubt {
				until(t, "sent", func() bool { return w.nodes[0].commands() > before })
				w.nodes[0].proxy.down(true)
			}
			until(t, "refused", func() bool { return b.waitsBeside(c, 0, func(a *call) bool { return a.full != nil }) })
			stays := askFor(b, c)
			until(t, "a second waits", func() bool { return b.waitsBeside(c, 1, nil) })
			next := askFor(b, c) // before who stays: the last to ask is the first of the others
			until(t, "a third waits", func() bool { return b.waitsBeside(c, 2, nil) })
			for _, a := range []*asked{first, next} {
				a.giveUp()
				if <-a.over; !is(a.err, context.Canceled) || errors.Is(a.err, lockapi.ErrUnknown) != doubt ||
					errors.Is(a.err, lockapi.ErrUnavailable) == doubt || errors.Is(a.err, lockapi.ErrOverloaded) == doubt {
					t.Errorf("who gives up: %v", a.err)
				}
			}
			refusing.set(none, nil)
			refusing.proxy.cut()
			if <-stays.over; stays.err != nil || stays.r.Status != fsm.StatusOK || stays.r.Count != 1 {
				t.Errorf("who stays: %+v, %v", stays.r, stays.err)
			}
		})
	}
}

// TestGivesUpBeside: of three who wait for one answer, one who did not ask first gives
// up. The other two are answered, and nothing is told to him any more: his call is used
// again, for a command that would get this one's answer.
func TestGivesUpBeside(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	w.nodes[0].set(crowded, &lockapi.OverloadError{What: "a queue: 1", RetryAfter: time.Minute})
	c := u.acquire("x")
	var stay [2]*asked
	stay[0] = askFor(b, c)
	until(t, "refused", func() bool { return b.waitsBeside(c, 0, func(a *call) bool { return a.full != nil }) })
	stay[1] = askFor(b, c)
	until(t, "a second waits", func() bool { return b.waitsBeside(c, 1, nil) })
	gone := askFor(b, c)
	until(t, "a third waits", func() bool { return b.waitsBeside(c, 2, nil) })
	gone.giveUp()
	if <-gone.over; !is(gone.err, lockapi.ErrOverloaded, context.Canceled) || !b.waitsBeside(c, 1, nil) {
		t.Fatalf("one has given up: %v", gone.err)
	}
	w.nodes[0].set(none, nil)
	w.nodes[0].proxy.cut()
	for _, a := range stay {
		if <-a.over; a.err != nil || a.r.Status != fsm.StatusOK {
			t.Errorf("who stays: %+v, %v", a.r, a.err)
		}
	}
}

// TestEndedBefore: who asks when his time is over has nothing sent, and is told so.
func TestEndedBefore(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	before := w.nodes[0].commands()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 50 {
		if _, err := b.Do(ctx, u.acquire("x")); !is(err, lockapi.ErrUnavailable, context.Canceled) || errors.Is(err, lockapi.ErrUnknown) {
			t.Errorf("%v", err)
		}
	}
	u.do(u.release(1 << 40))
	if n := w.nodes[0].commands() - before; n != 1 {
		t.Errorf("%d commands for a release", n)
	}
}

// An asked is somebody who waits for the answer to a command.
type asked struct {
	giveUp context.CancelFunc
	over   chan struct{} // closed when r and err are set
	r      fsm.Result
	err    error
}

func askFor(b *Backend, c fsm.Command) *asked {
	a := &asked{over: make(chan struct{})}
	var ctx context.Context
	ctx, a.giveUp = context.WithCancel(context.Background())
	go func() {
		defer close(a.over)
		defer a.giveUp()
		a.r, a.err = b.Do(ctx, c)
	}()
	return a
}

// waitsBeside tells whether so many wait beside the first call of c, and whether that
// call is as it should be.
func (b *Backend) waitsBeside(c fsm.Command, beside int, is func(*call) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.inflight[c.Key()]
	if first == nil || is != nil && !is(first) {
		return false
	}
	for a := first.also; a != nil; a = a.also {
		if a.key != c.Key() {
			return false // it is used again
		}
		beside--
	}
	return beside == 0
}
