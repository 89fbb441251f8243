package fsm

// abandon withdraws the acquire with the seq target, however far it has come.
// An acquire that has not arrived is burnt: an abandon may overtake its
// acquire by way of another node, and what came later would hold or queue for
// nobody, for ever.
func (s *State) abandon(ss *session, target Seq) Result {
	burnt := Result{Status: StatusAbandoned, At: s.now, Index: s.applied}
	if w := s.waiter(ss.id, target); w != nil {
		s.withdraw(w)
		s.stirAll(w)
	} else if g := s.acquired(ss, target); g != nil {
		s.drop(g)
	}
	for i := range ss.events {
		if e := &ss.events[i]; e.kind == OutcomeGranted && e.seq == target {
			e.result = burnt
		}
	}
	if target >= ss.mark {
		ss.window.put(answer{seq: target, hash: hashBurnt, result: burnt}, ss.mark)
	}
	return Result{Status: StatusOK}
}

// acquired finds the living grant that the acquire with this seq was given: by its
// answer, by the event that told of it, or, when both are acknowledged (a renewal
// may overtake the abandon), among all that the session holds. Few acquires are
// abandoned so late that this walk is worth an index. What was acquired on
// somebody's behalf is known to the answer and the event alone; who has
// acknowledged both has the grant's number, and releases it.
func (s *State) acquired(ss *session, seq Seq) *grant {
	if seq >= ss.mark {
		if a := ss.window.get(seq); a != nil {
			return s.grantOf(ss, seq, &a.result)
		}
		return nil
	}
	for i := range ss.events {
		if e := &ss.events[i]; e.kind == OutcomeGranted && e.seq == seq {
			return s.grantOf(ss, seq, &e.result)
		}
	}
	for _, g := range s.grantsOf(ss.id) {
		if g.seq == seq {
			return g
		}
	}
	return nil
}

// grantOf is the living grant that an answer of the session gave, to itself or to
// whom it spoke for.
func (s *State) grantOf(ss *session, seq Seq, r *Result) *grant {
	if r.Grant == 0 || r.Count == 0 {
		return nil // an extension's answer names a grant too, but counts none
	}
	if g := s.grant(ss.id, r.Grant); g != nil {
		if g.seq != seq {
			return nil // the answer to something else than its acquire
		}
		return g
	}
	return s.grant(r.Session, r.Grant) // 0 is ReservedSession
}
