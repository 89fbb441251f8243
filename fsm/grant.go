package fsm

import "strings"

// A grant is one name of a successful acquire. Those of an acquire of several
// names have one number, and come and go together. The grants of one owner on one
// lock are a hold: they have one token. It is immutable, its timer aside.
type grant struct {
	era     uint64
	id      GrantID
	session SessionID
	seq     Seq   // of the acquire; 0 if another session said it
	key     Nonce // of an acquire on somebody's behalf
	name    string
	owner   string
	mode    Mode
	permits Permits
	token   Token
	since   Instant // of the hold's first grant
	until   Instant // when MaxHold ends it; 0 is never
	timer   *timer  // derived; one for all names
}

// A gift is what a grant is to be, beside its names.
type gift struct {
	seq     Seq
	owner   string
	maxHold Duration
	key     Nonce
}

// grantLess orders by session, number and name.
func grantLess(a, b *grant) bool {
	if a.session != b.session {
		return a.session < b.session
	}
	if a.id != b.id {
		return a.id < b.id
	}
	return a.name < b.name
}

// heldLess orders by name, owner and number.
func heldLess(a, b *grant) bool {
	if a.name != b.name {
		return a.name < b.name
	}
	if a.session != b.session {
		return a.session < b.session
	}
	if a.owner != b.owner {
		return a.owner < b.owner
	}
	return a.id < b.id
}

func sameHold(a, b *grant) bool {
	return a.session == b.session && a.owner == b.owner && a.name == b.name
}

// ownHold is the first grant of the hold that an owner has of a lock, if any.
func (s *State) ownHold(l *lock, r *request) *grant {
	if l.holds == 0 || l.kind == KindSemaphore {
		return nil
	}
	p := &s.probe.hold
	p.name, p.session, p.owner = l.name, r.session, r.owner
	var first *grant
	s.held.AscendGreaterOrEqual(p, func(g *grant) bool {
		if sameHold(g, p) {
			first = g
		}
		return false
	})
	return first
}

// depth is how many grants the hold has that g is the first of.
func (s *State) depth(g *grant) uint32 {
	n := uint32(0)
	s.held.AscendGreaterOrEqual(g, func(other *grant) bool {
		if !sameHold(g, other) {
			return false
		}
		n++
		return true
	})
	return n
}

// give grants all the wants, which admit it.
func (s *State) give(to *session, wants []Want, d gift) Result {
	to = s.own(to)
	s.lastGrant++
	result := Result{Status: StatusOK, Grant: s.lastGrant}
	if to.id != ReservedSession && d.seq == 0 {
		result.Session = to.id
	}
	var timer *timer
	if d.maxHold > 0 {
		result.Until = s.now.Add(d.maxHold)
		timer = s.timers.add(result.Until, timerGrant, uint64(s.lastGrant), to.id)
	}
	var rest []byte
	for i := range wants {
		g, depth := s.hold(to, &wants[i], &d)
		g.until, g.timer = result.Until, timer
		if i == 0 {
			result.Token, result.Count = g.token, depth
		} else {
			rest = g.token.append(rest)
		}
	}
	result.Rest = Tokens(rest)
	to.grants += uint32(len(wants))
	if d.key != (Nonce{}) {
		s.keys[keyOf{to.id, d.key}] = s.lastGrant
	}
	return result
}

// hold adds a grant of one name: to the owner's hold if it has one, with the same
// token; else to a new hold, with a new one.
func (s *State) hold(to *session, w *Want, d *gift) (g *grant, depth uint32) {
	l := s.use(w)
	before := s.ownHold(l, &request{session: to.id, owner: d.owner})
	g = s.spare.grant()
	*g = grant{
		era: s.era, id: s.lastGrant, session: to.id, seq: d.seq, key: d.key,
		name: l.name, mode: w.Mode, permits: w.Permits,
	}
	if before != nil {
		g.owner, g.token, g.since = before.owner, before.token, before.since
		depth = s.depth(before)
	} else {
		s.lastToken++ // I3: tokens never repeat and always rise
		g.owner, g.token, g.since = strings.Clone(d.owner), makeToken(s.epoch, s.lastToken), s.now
		l.take(w.Mode, w.Permits)
		if l.waiting > 0 && l.kind == KindLock {
			s.stirOwner(g)
		}
	}
	l.grants++
	s.grants.ReplaceOrInsert(g)
	s.held.ReplaceOrInsert(g)
	return g, depth + 1
}

// release is idempotent: a grant that is gone is simply not held.
func (s *State) release(ss *session, c *Command) Result {
	g, refusal := s.named(ss, c)
	if refusal.Status != 0 {
		return refusal
	}
	result := Result{Status: StatusOK, Grant: g.id, Token: g.token}
	result.Count = s.drop(g)
	return result
}

// drop ends a grant, whichever of its names g is: every hold ends with its last
// one. It returns how many grants the hold of a single name has left.
func (s *State) drop(g *grant) (left uint32) {
	rows := s.namesOf(g.session, g.id)
	s.timers.remove(g.timer)
	if g.key != (Nonce{}) {
		delete(s.keys, keyOf{g.session, g.key})
	}
	if ss := s.session(g.session); ss != nil {
		s.own(ss).grants -= uint32(len(rows))
	}
	for _, row := range rows {
		s.grants.Delete(row)
		s.held.Delete(row)
		l := s.ownLock(s.lock(row.name))
		if other := s.heldStill(l, row); other == nil {
			l.leave(row.permits)
			s.stir(l.name)
		} else {
			left = s.depth(other)
			s.stirOwner(other)
			if left == ReentryMax-1 { // what its owner waits for is passed over again
				s.stir(l.name)
			}
		}
		l.grants--
		s.spare.keepGrant(row, s.era)
	}
	if len(rows) > 1 {
		left = 0
	}
	return left
}

// heldStill is the first grant left of a hold that has lost one; nil if it is over.
func (s *State) heldStill(l *lock, lost *grant) *grant {
	if l.grants == l.holds {
		return nil // nobody has entered again
	}
	return s.ownHold(l, &request{session: lost.session, owner: lost.owner})
}

// extend moves a grant's own deadline, never nearer: the client may believe in
// the later one already. A grant without a deadline stays without.
func (s *State) extend(ss *session, c *Command) Result {
	g, refusal := s.named(ss, c)
	if refusal.Status != 0 {
		return refusal
	}
	until := s.now.Add(c.MaxHold)
	if g.until == 0 || until <= g.until {
		return Result{Status: StatusOK, Grant: g.id, Token: g.token, Until: g.until}
	}
	s.timers.move(g.timer, until)
	for _, row := range s.namesOf(g.session, g.id) {
		later := *row // views may still see row
		later.era, later.until = s.era, until
		s.grants.ReplaceOrInsert(&later)
		s.held.ReplaceOrInsert(&later)
	}
	return Result{Status: StatusOK, Grant: g.id, Token: g.token, Until: until}
}

// named finds the grant that a release or an extension is about: its first name.
func (s *State) named(ss *session, c *Command) (*grant, Result) {
	to, refusal := s.beneficiary(ss, c)
	if refusal.Status != 0 {
		return nil, refusal
	}
	rows := s.namesOf(to.id, c.Grant)
	for _, row := range rows {
		if c.Behalf == BehalfSelf || row.name == c.Wants[0].Name {
			return rows[0], Result{}
		}
	}
	return nil, Result{Status: StatusNotHeld}
}

// namesOf lists a grant name by name. It is valid until the next call.
func (s *State) namesOf(id SessionID, g GrantID) []*grant {
	p := &s.probe.grant
	p.session, p.id, p.name = id, g, ""
	s.rows = s.rows[:0]
	s.grants.AscendGreaterOrEqual(p, func(row *grant) bool {
		if row.session != id || row.id != g {
			return false
		}
		s.rows = append(s.rows, row)
		return true
	})
	return s.rows
}

// grant is the first name of a grant; nil if it is gone.
func (s *State) grant(id SessionID, g GrantID) *grant {
	if rows := s.namesOf(id, g); len(rows) > 0 {
		return rows[0]
	}
	return nil
}

// grantsOf lists what a session holds, each grant by its first name.
func (s *State) grantsOf(id SessionID) []*grant {
	var all []*grant
	p := &s.probe.grant
	p.session, p.id, p.name = id, 0, ""
	s.grants.AscendGreaterOrEqual(p, func(g *grant) bool {
		if g.session != id {
			return false
		}
		if n := len(all); n == 0 || all[n-1].id != g.id {
			all = append(all, g)
		}
		return true
	})
	return all
}
