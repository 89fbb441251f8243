package fsm

import (
	"slices"
	"strings"
)

// A lock is a name in use: who holds it, and how many wait. It comes with the
// first acquire of an idle name and goes with the last release.
type lock struct {
	era     uint64
	name    string
	kind    Kind
	holds   []hold // I2: never empty between commands
	waiting uint32 // derived: length of the queue
}

// A hold is a set of grants of one owner on one name, with one token.
type hold struct {
	session SessionID
	owner   string
	mode    Mode
	permits Permits
	token   Token
	since   Instant
	grants  []GrantID // in the order in which they were given; never empty
}

// A grant is one successful acquire. It is immutable, its timer aside.
type grant struct {
	era     uint64
	id      GrantID
	session SessionID
	seq     Seq // of the acquire
	name    string
	owner   string
	token   Token
	until   Instant // when MaxHold ends it; 0 is never
	timer   *timer  // derived
}

func grantLess(a, b *grant) bool {
	if a.session != b.session {
		return a.session < b.session
	}
	return a.id < b.id
}

func (l *lock) clone() *lock {
	c := *l
	c.holds = slices.Clone(l.holds)
	for i := range c.holds {
		c.holds[i].grants = slices.Clone(c.holds[i].grants)
	}
	return &c
}

// add puts h at the end, over the memory of a hold that was removed.
func (l *lock) add(h hold) int {
	i := len(l.holds)
	if i == cap(l.holds) {
		l.holds = append(l.holds, h)
		return i
	}
	l.holds = l.holds[:i+1]
	h.grants = l.holds[i].grants[:0]
	l.holds[i] = h
	return i
}

// remove takes the hold at i away and leaves its memory behind the last one.
func (l *lock) remove(i int) {
	last := len(l.holds) - 1
	left := hold{grants: l.holds[i].grants[:0]}
	copy(l.holds[i:], l.holds[i+1:])
	l.holds[last] = left
	l.holds = l.holds[:last]
}

// held finds the place of an owner's hold; -1 if there is none.
func (l *lock) held(id SessionID, owner string) int {
	return slices.IndexFunc(l.holds, func(h hold) bool {
		return h.session == id && h.owner == owner
	})
}

// acquire grants at once, parks, or refuses.
//
// Nobody overtakes: a1 holds, a2 waits, and a1 releases in the entry in which
// a3 asks. Were a3 let in because the lock is free when its command comes up, a
// stream of such arrivals could keep a2 out for ever. So the release hands the
// lock to a2 before the next command runs, and a lock without a holder has
// nobody waiting (I2).
//
// Re-entry never queues: were an owner made to stand behind a waiter for the
// name that it holds itself, each would wait for the other.
func (s *State) acquire(ss *session, c *Command, hash uint64) Result {
	want := &c.Wants[0]
	if refusal := s.room(ss); refusal.Status != 0 {
		return refusal
	}
	l := s.lock(want.Name)
	if l == nil {
		return s.give(ss, s.newLock(strings.Clone(want.Name), want.Kind), c.Seq, c.Owner, c.MaxHold)
	}
	if l.kind != want.Kind {
		return Result{Status: StatusKindConflict}
	}
	if i := l.held(ss.id, c.Owner); i >= 0 {
		if n := len(l.holds[i].grants); n >= ReentryMax {
			return Result{Status: StatusLimit, Limit: LimitReentry, Value: uint64(n + 1)}
		}
		return s.give(ss, l, c.Seq, c.Owner, c.MaxHold)
	}
	if c.Wait == 0 {
		return Result{Status: StatusBusy}
	}
	return s.park(ss, l, c, hash)
}

// room refuses what would exceed the limits of grants.
func (s *State) room(ss *session) Result {
	if n := s.grants.Len(); n >= GrantsMax {
		return Result{Status: StatusLimit, Limit: LimitGrants, Value: uint64(n + 1)}
	}
	// Whatever is held or waited for may become an event, and what is not
	// acknowledged stays: so they share a bound.
	if n := int(ss.grants) + len(ss.events); n >= SessionHoldsMax {
		return Result{Status: StatusLimit, Limit: LimitSessionHolds, Value: uint64(n + 1)}
	}
	return Result{}
}

func (s *State) newLock(name string, kind Kind) *lock {
	l := s.spare.lock()
	*l = lock{era: s.era, name: name, kind: kind, holds: l.holds[:0]}
	s.locks.ReplaceOrInsert(l)
	return l
}

// give adds a grant: to the owner's hold if it has one, with the same token;
// else to a new hold, with a new one.
func (s *State) give(ss *session, l *lock, seq Seq, owner string, maxHold Duration) Result {
	ss, l = s.own(ss), s.ownLock(l)
	s.lastGrant++
	i := l.held(ss.id, owner)
	if i < 0 {
		s.lastToken++ // I3: tokens never repeat and always rise
		i = l.add(hold{
			session: ss.id, owner: strings.Clone(owner), mode: Exclusive,
			token: makeToken(s.epoch, s.lastToken), since: s.now,
		})
	}
	h := &l.holds[i]
	h.grants = append(h.grants, s.lastGrant)
	g := s.spare.grant()
	*g = grant{
		era: s.era, id: s.lastGrant, session: ss.id, seq: seq,
		name: l.name, owner: h.owner, token: h.token,
	}
	if maxHold > 0 {
		g.until = s.now.Add(maxHold)
		g.timer = s.timers.add(g.until, timerGrant, uint64(g.id), ss.id)
	}
	s.grants.ReplaceOrInsert(g)
	ss.grants++
	return Result{
		Status: StatusOK, Grant: g.id, Token: g.token, Until: g.until, Count: uint32(len(h.grants)),
	}
}

// releaseGrant is idempotent: a grant that is gone is simply not held.
func (s *State) releaseGrant(ss *session, id GrantID) Result {
	g := s.grant(ss.id, id)
	if g == nil {
		return Result{Status: StatusNotHeld}
	}
	left := s.dropGrant(g)
	return Result{Status: StatusOK, Grant: g.id, Token: g.token, Count: left}
}

// dropGrant ends a grant; the hold ends with its last one, and the lock is
// handed over in the same step. It returns how many grants the hold has left.
func (s *State) dropGrant(g *grant) uint32 {
	s.grants.Delete(g)
	s.timers.remove(g.timer)
	if ss := s.session(g.session); ss != nil {
		s.own(ss).grants--
	}
	l := s.ownLock(s.lock(g.name))
	i := l.held(g.session, g.owner)
	h := &l.holds[i]
	h.grants = slices.DeleteFunc(h.grants, func(id GrantID) bool { return id == g.id })
	left := uint32(len(h.grants))
	if left == 0 {
		l.remove(i)
		s.handOver(l)
	}
	s.spare.keepGrant(g, s.era)
	return left
}

// handOver grants a free lock to the head of its queue, or forgets the name.
func (s *State) handOver(l *lock) {
	if len(l.holds) > 0 {
		return
	}
	w := s.head(l)
	if w == nil {
		s.locks.Delete(l)
		s.spare.keepLock(l, s.era)
		return
	}
	s.unpark(w)
	s.settle(w, s.give(s.session(w.session), l, w.seq, w.owner, w.maxHold))
}

// extend moves a grant's own deadline, never nearer: the client may believe in
// the later one already. A grant without a deadline stays without.
func (s *State) extend(ss *session, id GrantID, d Duration) Result {
	g := s.grant(ss.id, id)
	if g == nil {
		return Result{Status: StatusNotHeld}
	}
	if until := s.now.Add(d); g.until != 0 && until > g.until {
		later := *g // views may still see g
		later.era, later.until = s.era, until
		s.timers.move(later.timer, until)
		s.grants.ReplaceOrInsert(&later)
		g = &later
	}
	return Result{Status: StatusOK, Grant: g.id, Token: g.token, Until: g.until}
}

func (s *State) grantsOf(id SessionID) []*grant {
	var all []*grant
	s.probe.grant.session, s.probe.grant.id = id, 0
	s.grants.AscendGreaterOrEqual(&s.probe.grant, func(g *grant) bool {
		if g.session != id {
			return false
		}
		all = append(all, g)
		return true
	})
	return all
}
