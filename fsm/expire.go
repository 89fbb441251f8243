package fsm

// sweep expires what is due at now, in the order (deadline, kind, number), at
// most SweepMax of it; the rest is due in the next entry.
func (s *State) sweep() {
	for n := 0; n < SweepMax; n++ {
		t := s.due()
		if t == nil || t.at > s.now {
			return
		}
		s.expire(t)
		s.handOver()
	}
}

// due is the earliest deadline, once the timers of sessions that were renewed
// meanwhile are put right; nil if there is none.
func (s *State) due() *timer {
	for len(s.timers) > 0 {
		t := s.timers[0]
		if t.kind != timerSession {
			return t
		}
		ss := s.session(t.session)
		if ss.deadline <= t.at {
			return t
		}
		s.timers.move(t, ss.deadline)
	}
	return nil
}

// NextDeadline is when an entry, if only an empty one, has something to expire.
func (s *State) NextDeadline() (Instant, bool) {
	if t := s.due(); t != nil {
		return t.at, true
	}
	return 0, false
}

func (s *State) expire(t *timer) {
	switch t.kind {
	case timerWait:
		w := s.waiter(t.session, t.seq)
		s.withdraw(w)
		s.stirAll(w)
		s.settle(w, Result{Status: StatusTimeout})
	case timerGrant:
		g := s.grant(t.session, GrantID(t.number))
		s.tell(s.session(g.session), OutcomeLoss, 0,
			Result{Status: StatusMaxHold, Grant: g.id, Token: g.token})
		s.drop(g)
	case timerSession:
		s.endSession(s.session(t.session), StatusSessionGone)
	}
}
