package backendtest

import (
	"context"
	"errors"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

func queue(t *testing.T, b lockapi.Backend) {
	first := speak(t, b, fsm.Hour)
	n := name("queue")
	held := first.hold(n)
	var waiting []*speaker
	var events []<-chan fsm.Outcome
	var seqs []fsm.Seq
	for i := range 5 {
		s := speak(t, b, fsm.Hour)
		waiting, events = append(waiting, s), append(events, s.attach(s.ctx))
		c := s.acquire(n, fsm.Forever, 0)
		if r := s.want(s.do(c), fsm.StatusQueued); r.Place != uint32(i+1) {
			t.Fatalf("place %d, want %d", r.Place, i+1)
		}
		seqs = append(seqs, c.Seq)
	}
	first.want(first.do(first.release(held.Grant)), fsm.StatusOK)
	last := held.Token
	for i, s := range waiting {
		o := s.nextIs(events[i], fsm.OutcomeGranted, fsm.StatusOK)
		if o.Key.Seq != seqs[i] || o.Result.Token <= last || o.Result.Grant == 0 {
			t.Fatalf("granted %+v after token %d", o, last)
		}
		if v := s.show(n); len(v.Holders) != 1 || v.Holders[0].Session != s.id || len(v.Waiters) != len(waiting)-1-i {
			t.Fatalf("after the grant of waiter %d: %+v", i, v)
		}
		last, s.seen = o.Result.Token, o.Event
		s.want(s.do(s.release(o.Result.Grant)), fsm.StatusOK)
	}
	if v := first.show(n); v.Kind != 0 {
		t.Errorf("after the last release: %+v", v)
	}
}

// waiting is a session that waits for a name that another holds.
func waiting(t *testing.T, b lockapi.Backend, n string, wait fsm.Duration) (s *speaker, events <-chan fsm.Outcome, c fsm.Command, free func()) {
	t.Helper()
	holder := speak(t, b, fsm.Hour)
	held := holder.hold(n)
	s = speak(t, b, fsm.Hour)
	events = s.attach(s.ctx)
	c = s.acquire(n, wait, 0)
	s.want(s.do(c), fsm.StatusQueued)
	return s, events, c, func() { holder.want(holder.do(holder.release(held.Grant)), fsm.StatusOK) }
}

func waitTimesOut(t *testing.T, b lockapi.Backend) {
	n := name("timeout")
	s, events, c, free := waiting(t, b, n, 50*fsm.Millisecond)
	if o := s.nextIs(events, fsm.OutcomeGranted, fsm.StatusTimeout); o.Key.Seq != c.Seq {
		t.Errorf("%+v", o)
	}
	free()
	if v := s.show(n); v.Kind != 0 {
		t.Errorf("granted after its time: %+v", v)
	}
}

func abandonWaiting(t *testing.T, b lockapi.Backend) {
	n := name("abandon")
	s, _, c, free := waiting(t, b, n, fsm.Forever)
	s.want(s.do(s.abandon(c.Seq)), fsm.StatusOK)
	if v := s.show(n); len(v.Waiters) != 0 {
		t.Errorf("still waiting: %+v", v)
	}
	free()
	if v := s.show(n); v.Kind != 0 {
		t.Errorf("granted after it was withdrawn: %+v", v)
	}
}

func abandonGranted(t *testing.T, b lockapi.Backend) {
	n := name("abandon")
	s, events, c, free := waiting(t, b, n, fsm.Forever)
	free()
	s.nextIs(events, fsm.OutcomeGranted, fsm.StatusOK)
	s.want(s.do(s.abandon(c.Seq)), fsm.StatusOK) // the event is not acknowledged
	if v := s.show(n); v.Kind != 0 {
		t.Errorf("an event that was abandoned holds: %+v", v)
	}
	c = s.acquire(n, 0, 0)
	s.want(s.do(c), fsm.StatusOK)
	a := s.abandon(c.Seq)
	a.Mark = c.Seq // the answer is not to be forgotten yet
	s.want(s.do(a), fsm.StatusOK)
	if v := s.show(n); v.Kind != 0 {
		t.Errorf("an answer that was abandoned holds: %+v", v)
	}
}

func abandonUnseen(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	n := name("burnt")
	c := s.acquire(n, fsm.Forever, 0)
	a := s.abandon(c.Seq)
	a.Mark = c.Seq
	s.want(s.do(a), fsm.StatusOK)
	s.want(s.do(c), fsm.StatusAbandoned)
	if v := s.show(n); v.Kind != 0 {
		t.Errorf("an acquire that was burnt holds: %+v", v)
	}
}

func maxHold(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	events := s.attach(s.ctx)
	n := name("maxhold")
	g := s.want(s.do(s.acquire(n, 0, 50*fsm.Millisecond)), fsm.StatusOK)
	if g.Until != g.At.Add(50*fsm.Millisecond) {
		t.Errorf("until %d, granted at %d", g.Until, g.At)
	}
	o := s.nextIs(events, fsm.OutcomeLoss, fsm.StatusMaxHold)
	if o.Result.Grant != g.Grant || o.Result.Token != g.Token || o.Result.At < g.Until {
		t.Errorf("loss %+v of %+v", o, g)
	}
	s.seen = o.Event
	s.want(s.do(s.release(g.Grant)), fsm.StatusNotHeld)
	g = s.want(s.do(s.acquire(n, 0, 50*fsm.Millisecond)), fsm.StatusOK)
	r := s.do(s.numbered(fsm.Command{Op: fsm.OpExtend, Grant: g.Grant, MaxHold: fsm.Hour}))
	switch r.Status {
	case fsm.StatusOK:
		if r.Until < g.Until {
			t.Errorf("extended from %d to %d", g.Until, r.Until)
		}
		s.want(s.do(s.release(g.Grant)), fsm.StatusOK)
	case fsm.StatusNotHeld: // slow today; it was over before
	default:
		t.Errorf("extend: %+v", r)
	}
}

func eventsAgain(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	g := s.want(s.do(s.acquire(name("again"), 0, fsm.Millisecond)), fsm.StatusOK)
	var first fsm.Outcome
	for i := range 3 { // nobody acknowledges
		ctx, cancel := context.WithCancel(s.ctx)
		events := s.attach(ctx)
		o := s.nextIs(events, fsm.OutcomeLoss, fsm.StatusMaxHold)
		if i == 0 {
			first = o
		}
		if o != first || o.Result.Grant != g.Grant {
			t.Fatalf("%+v, then %+v", first, o)
		}
		if i == 2 { // a renewal repeats it on the same channel
			s.want(s.do(s.renew()), fsm.StatusOK)
			if o := s.next(events); o != first {
				t.Fatalf("%+v, with a renewal %+v", first, o)
			}
		}
		cancel()
		s.wantEnd(events)
	}
	s.seen = first.Event
	events := s.attach(s.ctx)
	s.want(s.do(s.acquire(name("again"), 0, fsm.Millisecond)), fsm.StatusOK)
	o := <-events
	if o.Event != first.Event+1 {
		t.Errorf("after it was acknowledged: %+v", o)
	}
}

func attachSecret(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	events := s.attach(s.ctx)
	a := s.attachment()
	a.Secret[31]++
	if _, err := b.Attach(s.ctx, a); !errors.Is(err, lockapi.ErrDenied) {
		t.Errorf("attach with a wrong secret: %v", err)
	}
	a = s.attachment()
	a.Session = 1 << 60
	if _, err := b.Attach(s.ctx, a); !errors.Is(err, lockapi.ErrSessionGone) {
		t.Errorf("attach to no session: %v", err)
	}
	a = s.attachment()
	a.Incarnation++
	if _, err := b.Attach(s.ctx, a); !errors.Is(err, lockapi.ErrFenced) {
		t.Errorf("attach as another incarnation: %v", err)
	}
	// Those who were refused have not disturbed who listens.
	s.want(s.do(s.acquire(name("secret"), 0, fsm.Millisecond)), fsm.StatusOK)
	s.nextIs(events, fsm.OutcomeLoss, fsm.StatusMaxHold)
}

func attachReplaces(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	old := s.attach(s.ctx)
	events := s.attach(s.ctx)
	s.wantEnd(old)
	s.want(s.do(s.acquire(name("replaces"), 0, fsm.Millisecond)), fsm.StatusOK)
	s.nextIs(events, fsm.OutcomeLoss, fsm.StatusMaxHold)
}

func attachContext(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	ctx, cancel := context.WithCancel(s.ctx)
	events := s.attach(ctx)
	cancel()
	s.wantEnd(events)
	s.want(s.do(s.renew()), fsm.StatusOK) // the session does not mind
}

func expiry(t *testing.T, b lockapi.Backend) {
	n := name("expiry")
	s := speak(t, b, fsm.TTLMin)
	events := s.attach(s.ctx)
	s.hold(n)
	next := speak(t, b, fsm.Hour)
	granted := next.attach(next.ctx)
	next.want(next.do(next.acquire(n, fsm.Forever, 0)), fsm.StatusQueued)
	s.nextIs(events, fsm.OutcomeEnded, fsm.StatusSessionGone)
	s.wantEnd(events)
	next.nextIs(granted, fsm.OutcomeGranted, fsm.StatusOK)
	s.want(s.do(s.renew()), fsm.StatusSessionGone)
	s.want(s.do(s.acquire(n, 0, 0)), fsm.StatusSessionGone)
}

// renewal renews a session as fast as it is answered, until another of the
// same TTL that was opened later has ended.
func renewal(t *testing.T, b lockapi.Backend) {
	const ttl = 2 * fsm.Second
	s := speak(t, b, ttl)
	g := s.hold(name("renewal"))
	other := speak(t, b, ttl)
	ended := other.attach(other.ctx)
	for {
		r := s.want(s.do(s.renew()), fsm.StatusOK)
		if r.At < g.At {
			t.Fatalf("machine time went from %d to %d", g.At, r.At)
		}
		select {
		case o := <-ended:
			if o.Kind != fsm.OutcomeEnded {
				t.Fatalf("%+v", o)
			}
			s.want(s.do(s.release(g.Grant)), fsm.StatusOK)
			return
		case <-s.ctx.Done():
			t.Fatal("the other session did not end")
		default:
		}
	}
}

func closeSession(t *testing.T, b lockapi.Backend) {
	n := name("close")
	s := speak(t, b, fsm.Hour)
	events := s.attach(s.ctx)
	s.hold(n)
	s.want(s.do(s.numbered(fsm.Command{Op: fsm.OpClose})), fsm.StatusOK)
	s.wantEnd(events)
	if v := s.show(n); v.Kind != 0 {
		t.Errorf("held by a closed session: %+v", v)
	}
	s.want(s.do(s.renew()), fsm.StatusSessionGone)
}
