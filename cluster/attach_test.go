package cluster

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

func (p *patron) attach(at *citizen, ctx context.Context, renewal fsm.Seq) <-chan fsm.Outcome {
	p.w.t.Helper()
	events, err := at.Attach(ctx, p.attachment(renewal))
	if err != nil {
		p.w.t.Fatal(err)
	}
	return events
}

func (w *world) next(events <-chan fsm.Outcome) fsm.Outcome {
	w.t.Helper()
	select {
	case o, open := <-events:
		if !open {
			w.t.Fatal("the channel closed")
		}
		return o
	case <-time.After(patience):
		w.t.Fatal("no event")
	}
	return fsm.Outcome{}
}

func (w *world) closed(events <-chan fsm.Outcome) {
	w.t.Helper()
	select {
	case o, open := <-events:
		if open {
			w.t.Fatalf("heard %+v", o)
		}
	case <-time.After(patience):
		w.t.Fatal("the channel stays open")
	}
}

// A lock is handed over to a session that waits at another node.
func TestGrantReachesItsNode(t *testing.T) {
	w := newWorld(t, 3, nil)
	ctx, cancel := w.context()
	defer cancel()
	holder, waiter := w.open(w.leader(), time.Minute), w.open(w.follower(), time.Minute)
	events := waiter.attach(w.follower(), ctx, 1)
	held := w.do(w.leader(), holder.acquire("n", 0))
	acquire := waiter.acquire("n", fsm.Forever)
	if r := w.do(w.follower(), acquire); r.Status != fsm.StatusQueued || r.Place != 1 {
		t.Fatalf("%+v", r)
	}
	w.do(w.leader(), holder.release(held.Grant))
	o := w.next(events)
	if o.Kind != fsm.OutcomeGranted || o.Key != acquire.Key() || o.Event != 1 || o.Result.Token <= held.Token {
		t.Errorf("%+v", o)
	}
}

// The leader's word is enough: here the waiter's node applies nothing.
func TestGrantComesFromTheLeader(t *testing.T) {
	w := newWorld(t, 3, nil)
	ctx, cancel := w.context()
	defer cancel()
	leader, follower := w.leader(), w.follower()
	holder, waiter := w.open(leader, time.Minute), w.open(leader, time.Minute)
	events := waiter.attach(follower, ctx, 1)
	held := w.do(leader, holder.acquire("n", 0))
	w.do(follower, waiter.acquire("n", fsm.Forever))
	follower.machine.mu.Lock()
	w.do(leader, holder.release(held.Grant))
	o := w.next(events)
	follower.machine.mu.Unlock()
	if o.Kind != fsm.OutcomeGranted {
		t.Errorf("%+v", o)
	}
}

func TestAttachRepeatsWhatWasMissed(t *testing.T) {
	w := newWorld(t, 1, nil)
	ctx, cancel := w.context()
	defer cancel()
	at := w.leader()
	p := w.open(at, time.Minute)
	c := p.acquire("n", 0)
	c.MaxHold = fsm.Millisecond
	if r := w.do(at, c); r.Status != fsm.StatusOK {
		t.Fatalf("%+v", r)
	}
	w.until("the loss", func() bool {
		ctx, cancel := w.context()
		defer cancel()
		v, err := at.Inspect(ctx, lockapi.Query{Name: "n"})
		return err == nil && len(v.Locks[0].Holders) == 0
	})
	first := p.attach(at, ctx, 1)
	if o := w.next(first); o.Kind != fsm.OutcomeLoss || o.Event != 1 || o.Result.Status != fsm.StatusMaxHold {
		t.Errorf("%+v", o)
	}
	// Not acknowledged: a later attach hears it too, and replaces this one.
	second := p.attach(at, ctx, 2)
	if o := w.next(second); o.Kind != fsm.OutcomeLoss || o.Event != 1 {
		t.Errorf("%+v", o)
	}
	for range first { // it may hear what is repeated to its successor
	}
	// Acknowledged: it does not come again.
	a := p.attachment(3)
	a.Seen = 1
	third, err := at.Attach(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	for range second {
	}
	if r := w.do(at, p.next(fsm.Command{Op: fsm.OpClose, Seen: 1})); r.Status != fsm.StatusOK {
		t.Fatalf("%+v", r)
	}
	if o := w.next(third); o.Kind != fsm.OutcomeEnded {
		t.Errorf("%+v", o)
	}
	w.closed(third)
	if _, err := at.Attach(ctx, a); !errors.Is(err, lockapi.ErrSessionGone) {
		t.Errorf("to a session that is gone: %v", err)
	}
}

// Somebody without the secret neither hears nor disturbs.
func TestAttachNeedsTheSecret(t *testing.T) {
	w := newWorld(t, 1, nil)
	ctx, cancel := w.context()
	defer cancel()
	at := w.leader()
	p := w.open(at, time.Minute)
	events := p.attach(at, ctx, 1)
	stranger := p.attachment(1)
	stranger.Secret[0]++
	if _, err := at.Attach(ctx, stranger); !errors.Is(err, lockapi.ErrDenied) {
		t.Errorf("without the secret: %v", err)
	}
	w.do(at, p.next(fsm.Command{Op: fsm.OpClose}))
	if o := w.next(events); o.Kind != fsm.OutcomeEnded {
		t.Errorf("%+v", o)
	}
}

func TestAttachEndsWithItsContext(t *testing.T) {
	w := newWorld(t, 1, nil)
	at := w.leader()
	p := w.open(at, time.Minute)
	ctx, cancel := w.context()
	events := p.attach(at, ctx, 1)
	cancel()
	w.closed(events)
	if _, err := at.Attach(ctx, p.attachment(2)); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	at.subs.mu.Lock()
	defer at.subs.mu.Unlock()
	if n := len(at.subs.bySession); n != 0 {
		t.Errorf("%d subscriptions left", n)
	}
}

var (
	attachKey    = fsm.Key{Class: fsm.ClassNonce, Session: 5, Seq: 6}
	attachAnswer = []fsm.Outcome{{Kind: fsm.OutcomeAnswer, Key: attachKey}}
)

// What a reader missed comes first, in order. This node applies an entry of before
// the attach after the leader has told of the attach, or while it is on its way.
func TestAttachHearsInOrder(t *testing.T) {
	events := func(ids ...fsm.EventID) (all []fsm.Outcome) {
		for _, id := range ids {
			all = append(all, fsm.Outcome{Kind: fsm.OutcomeLoss, Event: id, Key: fsm.Key{Session: 1, Incarnation: 1}})
		}
		return all
	}
	for _, first := range []source{fromLeader, fromApply} {
		s := newSubscriptions()
		sub, _ := s.add(&lockapi.Attachment{Session: 1, Incarnation: 1}, attachKey)
		s.deliver(events(2), fromApply) // of an entry before the attach; event 1 was applied before that
		if len(sub.events) != 0 {
			t.Fatal("heard before it was let in")
		}
		s.deliver(append(slices.Clone(attachAnswer), events(1, 2)...), first)
		s.deliver(events(3), fromApply)
		for id := range fsm.EventID(3) {
			if o := <-sub.events; o.Event != id+1 {
				t.Errorf("event %d in place %d", o.Event, id+1)
			}
		}
		if s.remove(sub); len(s.attaching) != 0 {
			t.Error("still attaching")
		}
	}
	s := newSubscriptions()
	sub, _ := s.add(&lockapi.Attachment{Session: 1, Incarnation: 1}, attachKey)
	if s.remove(sub); len(s.attaching)+len(s.bySession) != 0 {
		t.Error("remembered after it was given up")
	}
}

// A reader that does not read loses nothing: what did not fit comes again with
// the next renewal.
func TestSlowReaderHearsEverything(t *testing.T) {
	s := newSubscriptions()
	sub, err := s.add(&lockapi.Attachment{Session: 1, Incarnation: 1, Seen: 0}, attachKey)
	if err != nil {
		t.Fatal(err)
	}
	s.deliver(attachAnswer, fromLeader)
	const n = eventsBuffered + 5
	var events []fsm.Outcome
	for i := range n {
		events = append(events, fsm.Outcome{
			Kind: fsm.OutcomeLoss, Event: fsm.EventID(i + 1), Key: fsm.Key{Session: 1, Incarnation: 1},
		})
	}
	s.deliver(events, fromLeader)
	s.deliver(events, fromApply)
	if len(sub.events) != eventsBuffered {
		t.Fatalf("%d in the channel", len(sub.events))
	}
	for i := range eventsBuffered {
		if o := <-sub.events; o.Event != fsm.EventID(i+1) {
			t.Fatalf("event %d in place %d", o.Event, i+1)
		}
	}
	s.deliver(events[eventsBuffered:], fromApply) // repeated by a renewal
	s.deliver(events[eventsBuffered:], fromLeader)
	other := fsm.Outcome{Kind: fsm.OutcomeLoss, Event: 99, Key: fsm.Key{Session: 1, Incarnation: 2}}
	s.deliver([]fsm.Outcome{other, {Kind: fsm.OutcomeAnswer, Key: fsm.Key{Session: 1, Incarnation: 1}}}, fromApply)
	ended := fsm.Outcome{Kind: fsm.OutcomeEnded, Key: fsm.Key{Session: 1, Incarnation: 1}}
	s.deliver([]fsm.Outcome{ended, ended}, fromLeader)
	for i := eventsBuffered; i < n; i++ {
		if o := <-sub.events; o.Event != fsm.EventID(i+1) {
			t.Fatalf("event %d in place %d", o.Event, i+1)
		}
	}
	if o := <-sub.events; o.Kind != fsm.OutcomeEnded {
		t.Errorf("%+v", o)
	}
	if _, open := <-sub.events; open {
		t.Error("open after the end")
	}
}

// An event is given once for each entry that tells of it, whichever of leader
// and own apply is first, and again when a renewal repeats it.
func TestEventsFromTwoSources(t *testing.T) {
	s := newSubscriptions()
	sub, _ := s.add(&lockapi.Attachment{Session: 1, Incarnation: 1, Seen: 0}, attachKey)
	s.deliver(attachAnswer, fromApply)
	event := []fsm.Outcome{{Kind: fsm.OutcomeLoss, Event: 7, Key: fsm.Key{Session: 1, Incarnation: 1}}}
	for i, step := range []struct {
		from source
		want int
	}{
		{fromLeader, 1}, {fromApply, 0}, // as usual
		{fromLeader, 1}, {fromLeader, 1}, {fromApply, 0}, {fromApply, 0}, // two renewals
		{fromApply, 1}, {fromApply, 1}, // the leader tells another node
	} {
		s.deliver(event, step.from)
		if got := len(sub.events); got != step.want {
			t.Fatalf("step %d: given %d times, want %d", i, got, step.want)
		}
		for len(sub.events) > 0 {
			<-sub.events
		}
	}
	later, _ := s.add(&lockapi.Attachment{Session: 1, Incarnation: 1, Seen: 7}, attachKey)
	s.deliver(attachAnswer, fromApply)
	if s.deliver(event, fromApply); len(later.events) != 0 {
		t.Error("heard what was acknowledged before it attached")
	}
}
