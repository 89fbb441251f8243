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
