package fsm

// Found tells what a state knows of a command.
type Found uint8

const (
	// NotFound: not executed as far as the state can tell; send it again.
	NotFound Found = iota
	// Answered: the outcome is the answer.
	Answered
	// Parked: an acquire that waits; its outcome comes as an event.
	Parked
)

// Lookup finds what became of the command with key k. A node asks after it
// installed a snapshot: the entries in between are never applied there, and
// whoever waits for an answer from them would have to send again.
//
// Not so of an acquire: its answer out of a log says that the session was renewed
// at its time. Out of a state it says so no more; a wait may have ended long after
// the session last spoke.
func (s *State) Lookup(k Key) (Outcome, Found) {
	if k.Class != ClassSeq || k.Session == ReservedSession {
		return Outcome{}, NotFound
	}
	o := Outcome{Kind: OutcomeAnswer, Key: k, Pos: -1}
	ss := s.session(k.Session)
	switch {
	case k.Session > s.lastSession:
		// A node that was away installs a snapshot older than the session that
		// attached to it meanwhile: nothing is gone, it has yet to begin here.
		return o, NotFound
	case ss == nil:
		o.Result = Result{Status: StatusSessionGone, At: s.now, Index: s.applied}
		return o, Answered
	case ss.incarnation < k.Incarnation:
		return o, NotFound // raised after this state
	case ss.incarnation > k.Incarnation:
		o.Result = Result{Status: StatusFenced, At: s.now, Index: s.applied}
		return o, Answered
	}
	if a := ss.window.get(k.Seq); a != nil && k.Seq >= ss.mark {
		o.Result = a.result
		return o, Answered
	}
	if w := s.waiter(k.Session, k.Seq); w != nil {
		o.Result = s.queuedAgain(w)
		return o, Parked
	}
	for _, e := range ss.events {
		if e.kind == OutcomeGranted && e.seq == k.Seq {
			o.Result = e.result
			return o, Answered
		}
	}
	return o, NotFound
}

// TTL is the session's TTL; 0 if there is no such session.
func (s *State) TTL(id SessionID) Duration {
	if ss := s.session(id); ss != nil {
		return ss.ttl
	}
	return 0
}

// Ended tells whether there was such a session and is no more.
func (s *State) Ended(id SessionID) bool {
	return id <= s.lastSession && s.session(id) == nil
}

// Undelivered lists what the session has not acknowledged, at most
// EventsRepeated of it; false if there is no such session.
func (s *State) Undelivered(id SessionID) ([]Outcome, bool) {
	ss := s.session(id)
	if ss == nil || id == ReservedSession {
		return nil, false
	}
	var all []Outcome
	for _, e := range ss.events[:min(len(ss.events), EventsRepeated)] {
		all = append(all, ss.outcome(e))
	}
	return all, true
}
