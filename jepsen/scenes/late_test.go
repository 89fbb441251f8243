package scenes

import (
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/jepsen/history"
)

// again says all that an actor has said so far once more, the last first, by way of
// every node: what lay somewhere and comes when it is old. It wants what each was
// answered, where that is the only answer there may be.
func (a *actor) again() {
	a.s.t.Helper()
	for i := len(a.said) - 1; i >= 0; i-- {
		for _, n := range a.s.nodes {
			a.s.say(n, a.said[i])
		}
	}
}

// One leads a whole life, and after each thing that he asked for every node sends all
// that he ever said, in the wrong order; the leadership moves on. Somebody else looks
// whether anything came of it: of a release what was acquired since, of a try that was
// refused when the lock is free, of a withdrawn wait a place, of a session's last
// words, when it is over, another life that holds something.
func TestEverythingComesAgain(t *testing.T) {
	s := newStage(t)
	at := func(i int) *node { return s.nodes[i%len(s.nodes)] }
	a, b := s.enter(at(0), patience), s.enter(at(1), patience)
	look := func(names ...string) {
		t.Helper()
		for i, name := range names {
			b.inspect(at(i), name)
		}
	}
	held := b.try(at(1), "y")
	first := a.try(at(0), "x")
	a.again()
	if r := a.try(at(1), "y"); r.Status != fsm.StatusBusy {
		t.Errorf("a try of what is held: %+v", r)
	}
	b.release(at(2), "y", held.Grant)
	a.again() // the try, too; now it is free
	look("x", "y")
	if r := b.try(at(2), "y"); r.Status != fsm.StatusOK {
		t.Errorf("what nobody knows to hold: %+v", r)
	}
	s.handOver()
	a.release(at(2), "x", first.Grant)
	second := a.try(at(0), "x")
	a.again() // the release, too
	look("x", "y")
	if second.Status != fsm.StatusOK || second.Token <= first.Token {
		t.Errorf("%+v, after %+v", second, first)
	}
	w := a.wait(at(1), "y")
	a.again()
	w.withdraw(at(2))
	a.again()
	if v := b.inspect(at(0), "y"); len(v.Waiters) != 0 {
		t.Errorf("a withdrawn wait stands in the queue: %+v", v.Waiters)
	}
	s.handOver()
	a.leave(at(1))
	a.again() // its Open begins another session, which nobody speaks for
	look("x", "y")
	for i, name := range []string{"x", "z"} {
		if r := b.try(at(i), name); r.Status != fsm.StatusOK {
			t.Errorf("%q, when the other one is gone: %+v", name, r)
		}
	}
	s.judge()
}

// An acquire lies at one node when its withdrawal is answered by another.
func TestWithdrawalOvertakes(t *testing.T) {
	s := newStage(t)
	a, b := s.enter(s.nodes[0], patience), s.enter(s.nodes[1], patience)
	for i, from := range s.nodes {
		c := a.acquiring("x", fsm.Forever) // it comes nowhere yet
		w := &waiting{a: a, op: a.call(from, acquires("x", fsm.Forever)), seq: c.Seq}
		w.withdraw(s.nodes[(i+1)%3])
		if i == 1 {
			s.handOver()
		}
		if r := s.say(from, c); r.Status != fsm.StatusAbandoned && r.Status != fsm.StatusOldSeq {
			t.Errorf("the late acquire: %+v", r)
		}
		g := b.try(s.nodes[2], "x")
		if g.Status != fsm.StatusOK {
			t.Errorf("nobody knows of who holds it: %+v", g)
		}
		b.release(s.nodes[2], "x", g.Grant)
	}
	s.judge()
}

// A session ends for want of renewals while its Open and an acquire lie somewhere.
// They come when it is over: whatever they begin has another number, and holds nothing.
func TestLastWordsOfADeadSession(t *testing.T) {
	s := newStage(t)
	b, a := s.enter(s.nodes[1], patience), s.enter(s.nodes[0], time.Second)
	if r := a.try(s.nodes[0], "x"); r.Status != fsm.StatusOK {
		t.Fatalf("%+v", r)
	}
	last := a.acquiring("y", fsm.Forever)
	a.said = append(a.said, last)
	w := b.wait(s.nodes[1], "x")
	b.release(s.nodes[2], "x", w.end(s.nodes[2]).Grant)
	lost := a.call(s.nodes[0], acquires("y", fsm.Forever))
	a.granted(lost, s.say(s.nodes[2], last))
	a.again() // its Open last
	a.again()
	if r := s.say(s.nodes[1], a.said[0]); r.Status != fsm.StatusOK || r.Session <= a.id {
		t.Errorf("its Open, again: %+v; session %d was there", r, a.id)
	}
	for _, name := range []string{"x", "y"} {
		if r := b.try(s.nodes[0], name); r.Status != fsm.StatusOK {
			t.Errorf("%q: %+v", name, r)
		}
	}
	if n := lost.Code; n != history.NoSession {
		t.Errorf("the acquire of a dead session: %q", n)
	}
	s.judge()
}
