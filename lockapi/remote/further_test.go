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

// streams lists how many sessions each stream of b has.
func (b *Backend) streams() (sessions []int) {
	for x := b; x != nil; x = x.further.Load() {
		x.mu.Lock()
		sessions = append(sessions, len(x.sessions))
		x.mu.Unlock()
	}
	return sessions
}

// TestFurtherStreams: when a stream has all the sessions that a node lets it speak
// for, the next ones have another. Each hears its own, over every link, and a session
// that has ended leaves its place to the next.
func TestFurtherStreams(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(Options{}, 0, 1)
	b.sessionsMax = 2
	var users []*user
	var events []<-chan fsm.Outcome
	for n := range byte(5) {
		u := w.user(b, 1+n)
		users, events = append(users, u), append(events, u.attach())
	}
	if got := b.streams(); len(got) != 3 || got[0] != 2 || got[1] != 2 || got[2] != 1 {
		t.Fatalf("sessions of the streams: %v", got)
	}
	other := w.user(w.open(Options{}, 0), 99)
	held := other.do(other.acquire("x"))
	for _, u := range users {
		if r := u.do(u.acquire("x")); r.Status != fsm.StatusQueued {
			t.Fatalf("%+v", r)
		}
	}
	for _, n := range w.nodes {
		n.proxy.cut()
	}
	other.do(other.release(held.Grant))
	for i, u := range users {
		o := <-events[i]
		if o.Kind != fsm.OutcomeGranted || o.Key.Session != u.id {
			t.Fatalf("%+v", o)
		}
		if r := u.do(u.release(o.Result.Grant)); r.Status != fsm.StatusOK {
			t.Fatalf("%+v", r)
		}
	}
	if r := users[1].do(users[1].number(fsm.Command{Op: fsm.OpClose})); r.Status != fsm.StatusOK {
		t.Fatalf("%+v", r)
	}
	for range events[1] { // until it is told, and forgotten
	}
	w.user(b, 50)
	if got := b.streams(); len(got) != 3 || got[0] != 2 {
		t.Errorf("sessions of the streams when one has ended: %v", got)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.Do(t.Context(), users[4].acquire("y")); !errors.Is(err, lockapi.ErrClosed) {
		t.Errorf("on a further stream of a backend that is closed: %v", err)
	}
	_, err := b.Do(t.Context(), fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 7}, Secret: fsm.Secret{7}, TTL: fsm.Hour})
	if !errors.Is(err, lockapi.ErrClosed) {
		t.Errorf("a further session of a backend that is closed: %v", err)
	}
}

// TestOpensTakeTurns: however many open sessions at once, only so many are sent at a
// time. Who gives up while it is not his turn has sent nothing.
func TestOpensTakeTurns(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	b.opening = make(chan struct{}, 3)
	until(t, "linked", func() bool { return b.linkedTo() != "" })
	w.nodes[0].set(deaf, nil)
	before := w.nodes[0].commands()
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan bool)
	const asked = 20
	for i := range asked {
		go func() {
			_, err := b.Do(ctx, fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: uint64(i)}, Secret: fsm.Secret{1}, TTL: fsm.Hour})
			if !errors.Is(err, context.Canceled) || errors.Is(err, lockapi.ErrUnknown) == errors.Is(err, lockapi.ErrUnavailable) {
				t.Error(err)
			}
			sent <- errors.Is(err, lockapi.ErrUnknown)
		}()
	}
	until(t, "some are sent", func() bool { return w.nodes[0].commands() >= before+3 })
	cancel()
	all := 0
	for range asked {
		if <-sent {
			all++
		}
	}
	if all != 3 {
		t.Errorf("%d were sent at a time", all)
	}
}

// TestInLineIsNotStuck: a node answers in order, and slowly. Who asks again for what
// stands in line does not make the client leave for another node, where everything
// would be sent again, and stand in line again.
func TestInLineIsNotStuck(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(Options{}, 0, 1)
	until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
	u := w.user(b, 1)
	l, err := b.present(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.nodes[0].set(slow, nil)
	var answered sync.WaitGroup
	for range 80 {
		c := u.acquire("x")
		for range 2 {
			answered.Go(func() { u.do(c) })
		}
	}
	answered.Wait()
	if now, err := b.present(t.Context()); err != nil || now != l {
		t.Errorf("the link was left: %v", err)
	}
}

// TestStuck: a command is stuck if what was sent later is answered, or, for who asks
// again soon, if nothing is heard; and is not because others are before it.
func TestStuck(t *testing.T) {
	const now = time.Minute
	for _, test := range []struct {
		name          string
		ago, answered time.Duration // when it was sent, and when what is answered was
		heard         uint64        // frames since
		soon, stuck   bool
	}{
		{"in line", 10 * time.Second, 12 * time.Second, 5, false, false},
		{"in line, and asked for soon", 900 * time.Millisecond, 2 * time.Second, 5, true, false},
		{"overtaken", 10 * time.Second, 9 * time.Second, 5, false, true},
		{"overtaken by a little, as by renewals that are gathered", 10 * time.Second, 9700 * time.Millisecond, 5, false, false},
		{"nothing is heard, which the link is looked after for", 10 * time.Second, 12 * time.Second, 0, false, false},
		{"nothing is heard, and there is no time", 300 * time.Millisecond, 12 * time.Second, 0, true, true},
		{"nothing is heard yet", 100 * time.Millisecond, 12 * time.Second, 0, true, false},
	} {
		l := &link{order: order{begun: time.Now().Add(-now), answered: now - test.answered}}
		a := &call{carried: carried{sent: l, place: place{at: now - test.ago}}}
		l.heard.Store(test.heard)
		if got := l.stuck(a, test.soon); got != test.stuck {
			t.Errorf("%s: stuck is %v", test.name, got)
		}
	}
}
