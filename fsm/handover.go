package fsm

// A move is something that may let waiters in: at a name, or, if an owner came to
// hold it or may enter it again, for those of the owner's that wait there.
type move struct {
	name    string
	entered bool
	request // whose session and owner entered
}

// handOver grants what can be granted now that something has moved, and forgets
// the names that became idle. It ends each command and each expiry, so that
// between them nobody waits who could be granted (I2). Moves are looked at in the
// order in which they were made; it matters to nobody but the order of tokens: of
// two who can be granted at the same time each is first wherever he must be, so
// they want nothing of each other's.
func (s *State) handOver() {
	for i := 0; i < len(s.moves); i++ {
		if m := &s.moves[i]; m.entered {
			s.enter(*m)
		} else {
			s.serve(m.name)
		}
	}
	clear(s.moves)
	s.moves = s.moves[:0]
}

// serve lets in from the head of a queue.
func (s *State) serve(name string) {
	for l := s.lock(name); l != nil; l = s.lock(name) {
		w := s.next(l)
		if w == nil {
			if l.holds == 0 && l.waiting == 0 {
				s.forget(l)
			}
			return
		}
		s.admit(w, name)
	}
}

// enter lets in those who wait for what their owner has come to hold, wherever
// they stand.
func (s *State) enter(m move) {
	for w := s.claimant(&m, 0); w != nil; w = s.claimant(&m, w.turn) {
		if s.grantable(w) {
			s.admit(w, "")
		}
	}
}

// admit grants what w waits for. Where it waited, but for the name that is being
// looked at, somebody may move up.
func (s *State) admit(w *waiter, looked string) {
	s.withdraw(w)
	for i := range w.wants {
		if other := w.wants[i].Name; other != looked {
			s.stir(other)
		}
	}
	to := s.session(w.session)
	s.settle(w, s.give(to, w.wants, gift{
		seq: w.ownSeq(), owner: w.owner, maxHold: w.maxHold, key: w.key,
	}))
	s.giveCopies(to, w.key)
}

// stir has the queue of a name looked at.
func (s *State) stir(name string) { s.moves = append(s.moves, move{name: name}) }

// stirAll has the queues that w has left looked at: whoever stood behind it may
// move.
func (s *State) stirAll(w *waiter) {
	for i := range w.wants {
		s.stir(w.wants[i].Name)
	}
}

// stirOwner has those looked at who wait for what their owner holds.
func (s *State) stirOwner(g *grant) {
	s.moves = append(s.moves, move{name: g.name, entered: true, request: request{session: g.session, owner: g.owner}})
}

// claimant is the first after a turn of those who wait for a name for its owner.
func (s *State) claimant(m *move, after WaiterID) *waiter {
	p := &s.probe.outer
	p.want.Name, p.waiter.session, p.waiter.owner, p.waiter.turn = m.name, m.session, m.owner, after+1
	p.stand = stand{waiter: &p.waiter, want: &p.want}
	var found *waiter
	s.claims.AscendGreaterOrEqual(&p.stand, func(st *stand) bool {
		if w := st.waiter; st.want.Name == m.name && w.session == m.session && w.owner == m.owner {
			found = w
		}
		return false
	})
	return found
}

// claimLess orders by name, owner and turn.
func claimLess(a, b *stand) bool {
	switch v, w := a.waiter, b.waiter; {
	case a.want.Name != b.want.Name:
		return a.want.Name < b.want.Name
	case v.session != w.session:
		return v.session < w.session
	case v.owner != w.owner:
		return v.owner < w.owner
	default:
		return v.turn < w.turn
	}
}
