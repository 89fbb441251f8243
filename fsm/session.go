package fsm

import (
	"slices"
	"strings"
)

// A session is one client's life: its TTL, what it was answered, what it has
// yet to learn. What it holds and waits for is in the trees, under its number.
type session struct {
	era         uint64
	id          SessionID
	incarnation Incarnation
	secret      Secret  // the hash
	nonce       Nonce   // of the Open
	resumes     []Nonce // of the last Resumes, ResumesKept at most; replaced, never changed
	label       string
	ttl         Duration
	deadline    Instant
	timer       *timer // derived; its time may lag behind deadline

	mark    Seq // below it everything is answered or parked
	lastSeq Seq // the largest executed or burnt; what is above it is new
	window  window

	seen      EventID // acknowledged up to here
	lastEvent EventID
	events    []event // not acknowledged, in order

	grants  uint32 // derived counts
	waiting uint32 // places in queues
}

// An event is an outcome that its session has not acknowledged.
type event struct {
	id     EventID
	kind   OutcomeKind
	seq    Seq // of the acquire, for OutcomeGranted
	result Result
}

func (ss *session) clone() *session {
	c := *ss
	c.window = c.window.clone()
	c.events = slices.Clone(c.events)
	return &c
}

// acknowledge takes what a command says about earlier answers and events.
// Commands overtake each other, so both only rise.
func (ss *session) acknowledge(c *Command) {
	if c.Mark <= c.Seq {
		ss.mark = max(ss.mark, c.Mark)
	}
	ss.see(c.Seen)
}

func (ss *session) see(seen EventID) {
	ss.seen = max(ss.seen, min(seen, ss.lastEvent))
	n := 0
	for n < len(ss.events) && ss.events[n].id <= ss.seen {
		n++
	}
	if n == len(ss.events) {
		ss.events = ss.events[:0]
	} else {
		ss.events = ss.events[n:]
	}
}

// speaker finds the session that c speaks for, or refuses without effect.
func (s *State) speaker(c *Command) (*session, Result) {
	ss := s.session(c.Session)
	switch {
	case ss == nil || c.Session == ReservedSession:
		return nil, Result{Status: StatusSessionGone}
	case c.Op != OpResume && c.Incarnation != ss.incarnation:
		return nil, Result{Status: StatusFenced}
	case (c.Op == OpAttach || c.Op == OpResume) && c.Secret != ss.secret:
		return nil, Result{Status: StatusBadSecret}
	case c.Op == OpResume && ss.superseded(c.Nonce):
		return nil, Result{Status: StatusFenced}
	}
	return ss, Result{}
}

// renewSpeaker gives the session of an acceptable command its whole TTL.
// Refused, fenced and sessionless commands renew nothing.
func (s *State) renewSpeaker(c *Command) {
	if !c.speaks() && c.Op != OpResume {
		return
	}
	if ss, refusal := s.speaker(c); refusal.Status == 0 {
		s.prolong(ss)
	}
}

// prolong moves the deadline and leaves the timer where it is: a session
// renews far more often than it expires, so its timer is corrected when due.
func (s *State) prolong(ss *session) {
	if deadline := s.now.Add(ss.ttl); deadline > ss.deadline {
		s.own(ss).deadline = deadline
	}
}

func (s *State) open(c *Command) Result {
	if id, ok := s.opens[c.Nonce]; ok {
		ss := s.session(id)
		if ss.secret != c.Secret {
			return Result{Status: StatusBadSecret}
		}
		// The answer's time promises a whole TTL, to a repeat as well.
		s.prolong(ss)
		return Result{Status: StatusOK, Session: id}
	}
	if n := s.sessions.Len() - 1; n >= SessionsMax { // but for ReservedSession
		return Result{Status: StatusLimit, Limit: LimitSessions, Value: uint64(n + 1)}
	}
	s.lastSession++
	ss := &session{
		era: s.era, id: s.lastSession, incarnation: 1, secret: c.Secret, nonce: c.Nonce,
		label: strings.Clone(c.Label), ttl: c.TTL, deadline: s.now.Add(c.TTL), mark: 1,
	}
	s.sessions.ReplaceOrInsert(ss)
	s.opens[c.Nonce] = ss.id
	ss.timer = s.timers.add(ss.deadline, timerSession, uint64(ss.id), ss.id)
	return Result{Status: StatusOK, Session: ss.id}
}

// renew answers an attach or a renewal. That it renews is done already, by
// renewSpeaker; here it repeats what the session has not acknowledged: an
// event that was lost on the way must reach its session as long as it lives. The
// answer says how far events go, or the last of them could be missed unnoticed.
func (s *State) renew(c *Command) {
	ss, refusal := s.speaker(c)
	if refusal.Status != 0 {
		s.answer(c, refusal)
		return
	}
	ss = s.own(ss)
	ss.see(c.Seen)
	s.answer(c, Result{Status: StatusOK, Session: ss.id, Value: uint64(ss.lastEvent)})
	for _, e := range ss.events[:min(len(ss.events), EventsRepeated)] {
		s.out = append(s.out, ss.outcome(e))
	}
}

// superseded tells a copy of a Resume after which there was another. Were it to begin
// an incarnation again, it would fence the process that lives the session now, and
// nobody would live it then.
func (ss *session) superseded(n Nonce) bool {
	i := slices.Index(ss.resumes, n)
	return i >= 0 && i < len(ss.resumes)-1
}

// resume begins the session's next incarnation. Everything that was said for the
// one before and has not arrived is fenced, so its answers are of no use any more,
// and its numbers are settled. What it holds and waits for goes over.
func (s *State) resume(c *Command) Result {
	ss, refusal := s.speaker(c)
	if refusal.Status != 0 {
		return refusal
	}
	ss = s.own(ss)
	if !slices.Contains(ss.resumes, c.Nonce) {
		kept := ss.resumes[max(0, len(ss.resumes)-ResumesKept+1):]
		ss.resumes = append(slices.Clone(kept), c.Nonce)
		ss.incarnation++
		ss.mark, ss.window = ss.lastSeq+1, window{}
	}
	return Result{
		Status: StatusOK, Session: ss.id, Incarnation: ss.incarnation, Value: uint64(ss.lastSeq + 1),
	}
}

// tell appends an event to the session and to this entry's outcomes, and
// returns r as recorded. ReservedSession is told of nothing.
func (s *State) tell(ss *session, kind OutcomeKind, seq Seq, r Result) Result {
	if ss.id == ReservedSession {
		return r
	}
	ss = s.own(ss)
	ss.lastEvent++
	e := event{id: ss.lastEvent, kind: kind, seq: seq}
	s.out = append(s.out, ss.outcome(e))
	e.result = s.fill(len(s.out)-1, r)
	ss.events = append(ss.events, e)
	return e.result
}

func (ss *session) outcome(e event) Outcome {
	return Outcome{
		Kind: e.kind, Pos: -1, Event: e.id, Result: e.result,
		Key: Key{Class: ClassSeq, Session: ss.id, Incarnation: ss.incarnation, Seq: e.seq},
	}
}

// endSession withdraws what ss waits for, then releases what it holds (in this
// order, or its own waits could be granted in passing), and forgets it.
func (s *State) endSession(ss *session, why Status) {
	waits, sponsored, grants := s.waitersOf(ss.id), s.sponsoredOf(ss.id), s.grantsOf(ss.id)
	for _, w := range waits {
		s.withdraw(w)
	}
	for _, w := range sponsored {
		s.withdraw(w)
	}
	s.sessions.Delete(ss)
	delete(s.opens, ss.nonce)
	s.timers.remove(ss.timer)
	s.out = append(s.out, Outcome{
		Kind: OutcomeEnded, Pos: -1,
		Key: Key{Class: ClassSeq, Session: ss.id, Incarnation: ss.incarnation},
	})
	s.fill(len(s.out)-1, Result{Status: why, Session: ss.id})
	for _, w := range sponsored {
		s.settle(w, Result{Status: StatusNobody})
	}
	for _, g := range grants {
		s.drop(g)
	}
	for _, w := range append(waits, sponsored...) {
		s.stirAll(w)
	}
}
