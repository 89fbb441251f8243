package fsm

// A request is an acquire as the grant rules see it, come just now or waiting.
type request struct {
	session SessionID // whose the grant is to be
	owner   string
	turn    WaiterID // its place among all waiters; turnLast if it has just come
}

const turnLast = WaiterID(1<<64 - 1)

// acquire grants at once, parks, or refuses.
//
// Nobody overtakes. s1 holds shared; s2 wants exclusive and waits; s3 wants shared.
// Were s3 let past because it gets on with s1, readers could keep s2 out for ever.
// Or: s1 holds, s2 waits, and s1 releases in the entry in which s3 asks. Were s3
// let in because the lock is free when its command comes up, a stream of such
// arrivals could keep s2 out as well. So what is freed is handed over before the
// next command runs (I2).
//
// A request for several names stands in all their queues at once, under one
// number, and is granted when every name admits it; until then it holds nothing.
// Two that hold nothing cannot keep each other waiting: the queues are in one
// global order, and who is first of all is first in each of his own.
func (s *State) acquire(ss *session, c *Command, hash uint64) Result {
	to, refusal := s.beneficiary(ss, c)
	if refusal.Status != 0 {
		return refusal
	}
	if c.Behalf != BehalfSelf {
		if again, found := s.givenBefore(to, c.Nonce, c.Wants); found {
			return again
		}
	}
	if refusal := s.room(to, len(c.Wants)); refusal.Status != 0 {
		return refusal
	}
	r := request{session: to.id, owner: c.Owner, turn: turnLast}
	blocked := 0
	for i := range c.Wants {
		admitted, refusal := s.consider(&r, &c.Wants[i])
		if refusal.Status != 0 {
			refusal.Place = uint32(i + 1)
			return refusal
		}
		if !admitted && blocked == 0 {
			blocked = i + 1
		}
	}
	switch {
	case blocked == 0:
		given := s.give(to, c.Wants, gift{
			seq: c.ownSeq(), owner: c.Owner, maxHold: c.MaxHold, key: c.Nonce,
		})
		s.giveCopies(to, c.Nonce)
		return given
	case c.Wait == 0:
		return Result{Status: StatusBusy, Place: uint32(blocked)}
	default:
		return s.park(ss, to, c, hash)
	}
}

// consider tells whether a name admits a request that has just come.
func (s *State) consider(r *request, w *Want) (admitted bool, refusal Result) {
	l := s.lock(w.Name)
	if l == nil {
		return true, Result{}
	}
	if refusal := l.conflict(w); refusal.Status != 0 {
		return false, refusal
	}
	if g := s.ownHold(l, r); g != nil {
		if g.mode != w.Mode {
			return false, Result{Status: StatusModeConflict}
		}
		if n := s.depth(g); n >= ReentryMax {
			return false, Result{Status: StatusLimit, Limit: LimitReentry, Value: uint64(n + 1)}
		}
		return true, Result{}
	}
	return l.fits(w.Mode, w.Permits) && !s.outrun(l, r.turn), Result{}
}

// grantable tells whether all that a waiter wants admits it now.
func (s *State) grantable(w *waiter) bool {
	for i := range w.wants {
		want := &w.wants[i]
		l := s.lock(want.Name)
		switch {
		case s.reenters(l, &w.request, want.Mode):
		case s.ownHold(l, &w.request) != nil: // in another mode, or full: nobody's but its own way
			return false
		case !l.fits(want.Mode, want.Permits) || s.outrun(l, w.turn):
			return false
		}
	}
	return true
}

// reenters tells whether the owner has the lock already in the mode that it
// wants. Re-entry never queues: were an owner made to stand behind a waiter for
// the name that it holds itself, each would wait for the other. So one that waits
// for other names does not stand in the way here, until its owner lets go of the
// name: then it stands where it came. (Permits of a semaphore are never had
// already: more of them are more. A hold that is full is entered when it is not.)
func (s *State) reenters(l *lock, r *request, mode Mode) bool {
	g := s.ownHold(l, r)
	return g != nil && g.mode == mode && s.depth(g) < ReentryMax
}

// outrun tells whether a grant at this turn would overtake somebody in the
// lock's queue.
func (s *State) outrun(l *lock, turn WaiterID) bool {
	if l.waiting == 0 {
		return false
	}
	outrun, passed := false, 0
	s.walkQueue(&s.probe.inner, l.name, func(st *stand) bool {
		if st.waiter.turn >= turn {
			return false
		}
		passed++
		outrun = passed > PassedMax || !s.reenters(l, &st.waiter.request, st.want.Mode)
		return !outrun
	})
	return outrun
}

// next is the first in the lock's queue who can be granted, if nobody stands
// before him; nil if there is none.
func (s *State) next(l *lock) *waiter {
	if l.waiting == 0 {
		return nil
	}
	var first *waiter
	passed := 0
	s.walkQueue(&s.probe.outer, l.name, func(st *stand) bool {
		if s.grantable(st.waiter) {
			first = st.waiter
			return false
		}
		passed++
		return passed <= PassedMax && s.reenters(l, &st.waiter.request, st.want.Mode)
	})
	return first
}

// room refuses what would exceed the limits of grants.
func (s *State) room(ss *session, names int) Result {
	if n := s.grants.Len() + names; n > GrantsMax {
		return Result{Status: StatusLimit, Limit: LimitGrants, Value: uint64(n)}
	}
	if ss.id == ReservedSession {
		if n := int(ss.grants) + names; n > ReservedHoldsMax {
			return Result{Status: StatusLimit, Limit: LimitReservedHolds, Value: uint64(n)}
		}
		return Result{}
	}
	// Whatever is held or waited for may become an event, and what is not
	// acknowledged stays: so they share a bound.
	if n := int(ss.grants) + len(ss.events) + names; n > SessionHoldsMax {
		return Result{Status: StatusLimit, Limit: LimitSessionHolds, Value: uint64(n)}
	}
	return Result{}
}
