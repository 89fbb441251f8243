package remote

import (
	"errors"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// Whether the endpoints belong to different clusters is found out, and taken back, at
// any time: whoever opens a session meanwhile is refused or has begun.
func TestRefusedOrBegun(t *testing.T) {
	b, _ := still()
	mixed := error(&ClustersError{})
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			default:
				b.book.refused.Store(&mixed)
				b.book.refused.Store(nil)
			}
		}
	}()
	refused, begun := 0, 0
	for n := uint64(1); refused < 1000 || begun < 1000; n++ {
		c := opening(n)
		switch a, err := b.begin(&c, nil); {
		case a == nil && errors.Is(err, lockapi.ErrInvalid):
			refused++
		case a != nil && err == nil:
			begun++
		default:
			t.Fatalf("%+v, %v", a, err)
		}
	}
	close(over)
	<-done
}

// A call that is used again knows nothing of the command before: neither a doubt, nor
// where that was sent, nor who waited beside.
func TestUsedAgainIsNew(t *testing.T) {
	b, l := still()
	full := &lockapi.OverloadError{}
	a := &call{
		carried: carried{command: opening(1), begun: time.Now(), sent: l, place: place{1, 1}, doubt: true, full: full},
		key:     fsm.Key{Seq: 1}, session: &session{}, feed: &feed{},
		done: true, result: fsm.Result{Index: 1}, err: full, ready: make(chan struct{}, 1),
	}
	a.prev, a.next, a.also = a, a, a
	ready := a.ready
	b.recycle(a)
	if a.maybe() || a.command.Op != 0 || !a.begun.IsZero() || a.place != (place{}) || a.full != nil || a.key != (fsm.Key{}) || a.session != nil ||
		a.feed != nil || a.prev != nil || a.next != nil || a.also != nil || a.done || a.result != (fsm.Result{}) || a.err != nil || a.ready != ready {
		t.Errorf("%+v", a)
	}
}

// What a command says about earlier answers and events makes it no other one; all that
// it asks for does.
func TestSameCommand(t *testing.T) {
	c := fsm.Command{Op: fsm.OpAcquire, Session: 7, Incarnation: 1, Seq: 3, Wait: fsm.Hour, Wants: []fsm.Want{{Name: "x", Kind: fsm.KindLock, Mode: fsm.Exclusive}}}
	later := c
	later.Mark, later.Seen = 2, 5
	if !sameCommand(&c, &later) {
		t.Error("with later acknowledgements it is another")
	}
	for name, change := range map[string]func(*fsm.Command){
		"wait":  func(c *fsm.Command) { c.Wait = 0 },
		"owner": func(c *fsm.Command) { c.Owner = "somebody else" },
		"name":  func(c *fsm.Command) { c.Wants = []fsm.Want{{Name: "y", Kind: fsm.KindLock, Mode: fsm.Exclusive}} },
		"mode":  func(c *fsm.Command) { c.Wants = []fsm.Want{{Name: "x", Kind: fsm.KindLock, Mode: fsm.Shared}} },
		"op":    func(c *fsm.Command) { c.Op, c.Wants = fsm.OpRelease, nil },
	} {
		other := c
		if change(&other); sameCommand(&c, &other) {
			t.Errorf("with another %s it is the same", name)
		}
	}
}

// A node that knows nothing of an attached session, as when the session's stream at
// that node was fenced, is not asked the same over and over: the session is attached
// first, and the command goes behind that.
func TestNotAttachedIsAttachedFirst(t *testing.T) {
	b, l := still()
	b.proven(l, 7, 1, &fsm.Command{Op: fsm.OpAttach, Session: 7, Incarnation: 1, Secret: fsm.Secret{1}}, nil)
	c := fsm.Command{Op: fsm.OpRelease, Session: 7, Incarnation: 1, Seq: 1}
	a, err := b.begin(&c, nil)
	if err != nil || a.sent != l || len(l.attaches) != 0 {
		t.Fatalf("%+v, %v", a, err)
	}
	refusal := rpc.Outcome{Refusal: lockdv1.Refusal_REFUSAL_NOT_ATTACHED, Outcome: fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: c.Key()}}
	if b.receive(l, []rpc.Outcome{refusal}, nil); a.sent != nil || len(l.attaches) != 1 {
		t.Fatalf("refused: sent %t, %d attaches", a.sent != nil, len(l.attaches))
	}
	for key := range l.attaches {
		attached := rpc.Outcome{Outcome: fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: key, Result: fsm.Result{Status: fsm.StatusOK}}}
		if b.receive(l, []rpc.Outcome{attached}, nil); a.sent != l {
			t.Error("attached, and not sent")
		}
	}
}

// A node that lets nobody open a session says nothing of what a node before it has
// done with the open.
func TestRefusedForGoodAfterADoubt(t *testing.T) {
	for _, doubt := range []bool{false, true} {
		b, l := still()
		c := opening(1)
		a, err := b.begin(&c, nil)
		if err != nil || a.sent != l {
			t.Fatalf("%+v, %v", a, err)
		}
		a.doubt = doubt
		refusal := rpc.Outcome{Refusal: lockdv1.Refusal_REFUSAL_NOT_ATTACHED, Outcome: fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: c.Key()}}
		woken := b.receive(l, []rpc.Outcome{refusal}, nil)
		if len(woken) != 1 || !is(a.err, lockapi.ErrUnsupported) || errors.Is(a.err, lockapi.ErrUnknown) != doubt {
			t.Errorf("doubt %t: %v", doubt, a.err)
		}
	}
}

// Who asks for a command again so soon that he cannot wait for the silence to show is
// known by that, and who asks later is not.
func TestAskedAgainSoon(t *testing.T) {
	for _, soon := range []bool{true, false} {
		b, l := still()
		l.order.begun, l.order.reviewing = time.Now(), true
		c := opening(1)
		a, err := b.begin(&c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !soon {
			a.begun = a.begun.Add(-impatient)
		}
		if _, err := b.begin(&c, nil); err != nil || len(l.order.doubted) != 1 || l.order.doubted[0].soon != soon {
			t.Errorf("soon %t: %+v, %v", soon, l.order.doubted, err)
		}
	}
}

// A command that a node has put off is sent again for who still waits for it, though
// the first who asked has given up, and his call is used again.
func TestPostponedIsHandedOn(t *testing.T) {
	b, l := still()
	c := opening(1)
	first, err := b.begin(&c, nil)
	if err != nil || first.sent != l {
		t.Fatalf("%+v, %v", first, err)
	}
	put := rpc.Outcome{
		Refusal: lockdv1.Refusal_REFUSAL_OVERLOADED, Full: &lockapi.OverloadError{RetryAfter: 100 * time.Millisecond},
		Outcome: fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: c.Key()},
	}
	b.receive(l, []rpc.Outcome{put}, nil)
	heir, err := b.begin(&c, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.withdraw(first)
	b.recycle(first)
	before := l.out.Size()
	until(t, "something is sent", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return l.out.Size() > before || heir.sent != nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if heir.sent != l || first.sent != nil {
		t.Errorf("sent for who waits: %t; for who has gone: %t", heir.sent == l, first.sent != nil)
	}
}

// A session that is attached once more has nothing sent again on the same link.
func TestSentOnceOverALink(t *testing.T) {
	b, l := still()
	attach := fsm.Command{Op: fsm.OpAttach, Session: 7, Incarnation: 1, Secret: fsm.Secret{1}}
	b.proven(l, 7, 1, &attach, nil)
	c := fsm.Command{Op: fsm.OpRelease, Session: 7, Incarnation: 1, Seq: 1}
	a, err := b.begin(&c, nil)
	sent := l.out.Size()
	if err != nil || a.sent != l || sent == 0 {
		t.Fatalf("%+v, %v", a, err)
	}
	if b.proven(l, 7, 1, &attach, nil); l.out.Size() != sent {
		t.Error("it is sent twice")
	}
}

// A session that is only known by a command of its is forgotten with the last who
// waits for that.
func TestStrangerIsForgotten(t *testing.T) {
	b, _ := still()
	c := fsm.Command{Op: fsm.OpRelease, Session: 7, Incarnation: 1, Seq: 1}
	for range 2 {
		if a, err := b.begin(&c, nil); err != nil || a == nil {
			t.Fatal(err)
		}
	}
	for left := 1; left >= 0; left-- {
		if b.withdraw(b.inflight[c.Key()]); len(b.sessions) != left {
			t.Errorf("%d wait, %d sessions are known", left, len(b.sessions))
		}
	}
}
