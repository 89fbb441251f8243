package fsm

// Apply runs one entry of the log and tells what came of it: an answer to each
// of its commands, and whatever else came to pass. It is a function of the
// state and its arguments alone: two states that are equal stay equal.
//
// Within an entry, first every session that speaks in it is renewed, then what
// is due is expired, then the commands run. (Renewing first: a leader's disk
// stalls for six seconds, and the renewals of ten thousand sessions with a TTL
// of five pile up behind it. The next entry is stamped six seconds later and
// carries them all. Were what is due expired first, every one of these
// sessions would die in the very entry that renews it.)
//
// Indexes must rise. The outcomes are valid until the next Apply.
func (s *State) Apply(at Index, term Term, e *Entry) []Outcome {
	if at <= s.applied {
		panic("fsm: an entry was applied out of order")
	}
	s.out, s.applied, s.term = s.out[:0], at, term
	if e.Term == term && e.Now > s.now {
		s.now = e.Now
	}
	for i := range e.Commands {
		s.renewSpeaker(&e.Commands[i])
	}
	s.pos = -1
	s.sweep()
	for i := range e.Commands {
		s.pos = i
		s.run(&e.Commands[i])
		s.handOver()
	}
	s.link()
	return s.out
}

// run answers one command.
func (s *State) run(c *Command) {
	refusal := c.Validate(s.level)
	// A refusal with a usable seq is recorded under it, so that it stays one.
	if numbered := c.Key().Class == ClassSeq && c.Seq > 0; refusal.Status != 0 && !numbered {
		s.answer(c, refusal)
		return
	}
	switch c.Op {
	case OpOpen:
		s.answer(c, s.open(c))
	case OpTakeover:
		s.answer(c, Result{Status: StatusOK, Term: s.term})
	case OpRead:
		s.answer(c, Result{Status: StatusOK})
	case OpMember:
		s.answer(c, s.setMember(c))
	case OpResume:
		s.answer(c, s.resume(c))
	case OpAttach, OpRenew:
		s.renew(c)
	default:
		s.sequenced(c, refusal)
	}
}

// sequenced runs a command at most once: a repeat gets the first answer again.
// malformed is what Validate said of it.
func (s *State) sequenced(c *Command, malformed Result) {
	ss, refusal := s.speaker(c)
	if refusal.Status != 0 {
		s.answer(c, refusal)
		return
	}
	ss = s.own(ss)
	ss.acknowledge(c)
	hash := c.hash()
	if repeat, found := s.recall(ss, c, hash); found {
		switch repeat.Status {
		case StatusSeqReused, StatusWindow:
			s.answer(c, repeat)
			s.endSession(ss, repeat.Status)
		default:
			s.repeat(c, repeat)
		}
		return
	}
	ss.lastSeq = max(ss.lastSeq, c.Seq)

	// The answer stands before what follows from it (hand-overs, losses).
	slot := len(s.out)
	s.answer(c, Result{})
	result := malformed
	if result.Status == 0 {
		result = s.execute(ss, c, hash)
	}
	result = s.fill(slot, result)
	if c.Op == OpClose && result.Status == StatusOK {
		return // the session is gone, and its window with it
	}
	if result.Status != StatusQueued {
		s.own(ss).window.put(answer{seq: c.Seq, hash: hash, result: result}, ss.mark)
	}
}

// execute branches; the arms compute.
func (s *State) execute(ss *session, c *Command, hash uint64) Result {
	switch c.Op {
	case OpAcquire:
		return s.acquire(ss, c, hash)
	case OpRelease:
		return s.release(ss, c)
	case OpExtend:
		return s.extend(ss, c)
	case OpAbandon:
		return s.abandon(ss, c.Target)
	case OpClose:
		s.endSession(ss, StatusOK)
		return Result{Status: StatusOK}
	default:
		return Result{Status: StatusLevel}
	}
}

// answer appends a command's answer, given by this entry.
func (s *State) answer(c *Command, r Result) Result {
	s.out = append(s.out, Outcome{Kind: OutcomeAnswer, Key: c.Key(), Pos: s.pos})
	return s.fill(len(s.out)-1, r)
}

// fill completes the outcome at slot with r, which it returns as recorded.
func (s *State) fill(slot int, r Result) Result {
	r.At, r.Index, r.Order = s.now, s.applied, uint32(slot)+1
	s.out[slot].Result = r
	return r
}

// repeat answers with what an earlier entry has answered, time and place too.
func (s *State) repeat(c *Command, r Result) {
	s.out = append(s.out, Outcome{Kind: OutcomeAnswer, Key: c.Key(), Pos: s.pos, Result: r})
}

func (s *State) setMember(c *Command) Result {
	if _, known := s.Member(c.Member.ID); !known && s.members.Len() >= MembersMax {
		return Result{Status: StatusLimit, Limit: LimitMembers, Value: uint64(s.members.Len() + 1)}
	}
	m := c.Member.own()
	s.members.ReplaceOrInsert(&m)
	return Result{Status: StatusOK}
}
