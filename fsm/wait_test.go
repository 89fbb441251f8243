package fsm

import "testing"

// A wait that is over is an event until it is acknowledged, and keeps its place till
// then: else a session that acknowledges nothing would grow with every wait.
func TestEventsTakePlacesOfWaits(t *testing.T) {
	s := New()
	c := &Command{Op: OpAcquire, Wants: []Want{{Name: "x", Kind: KindLock, Mode: Exclusive}}, Wait: Forever}
	for _, row := range []struct{ waiting, events, status int }{
		{SessionWaitersMax - 1, 0, 0},
		{0, SessionWaitersMax - 1, 0},
		{SessionWaitersMax / 2, SessionWaitersMax / 2, int(StatusLimit)},
		{0, SessionWaitersMax, int(StatusLimit)},
	} {
		ss := &session{waiting: uint32(row.waiting), events: make([]event, row.events)}
		r := s.roomToWait(ss, c)
		if r.Status != Status(row.status) || r.Status != 0 && r.Limit != LimitSessionWaiters {
			t.Errorf("%d places and %d events: %+v", row.waiting, row.events, r)
		}
	}
}

// What a long wait came to is told by its event. It is no answer any more once the mark
// has passed its acquire: the window, full of living answers, has no place for it, and
// must not grow to make one.
func TestEndOfAPassedWaitTakesNoAnswersPlace(t *testing.T) {
	s := New()
	r := s.Apply(1, 1, &Entry{Term: 1, Commands: []Command{{Op: OpOpen, Nonce: Nonce{Hi: 1}, TTL: Hour}}})[0].Result
	ss := s.own(s.session(r.Session))
	ss.mark = 10
	for seq := ss.mark; seq < ss.mark+WindowSize; seq++ {
		ss.window.put(answer{seq: seq, hash: 1}, ss.mark)
	}
	s.settle(&waiter{speaker: r.Session, seq: 3}, Result{Status: StatusTimeout})
	ss = s.session(r.Session)
	if n := len(ss.window.ring); n != WindowSize || ss.window.get(3) != nil {
		t.Errorf("a ring of %d answers, %d at most; it has that of the wait: %t", n, WindowSize, ss.window.get(3) != nil)
	}
	if len(ss.events) != 1 || ss.events[0].seq != 3 {
		t.Errorf("events %+v", ss.events)
	}
}
