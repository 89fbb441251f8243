package fsm

import (
	"fmt"
	"slices"
)

// Check tells which invariant the state breaks, by its number in the package
// comment; nil if none. It walks the whole state: for tests and for Restore.
func (s *State) Check() (err error) {
	broken := func(format string, args ...any) bool {
		if err == nil {
			err = fmt.Errorf("fsm: "+format, args...)
		}
		return false
	}
	c := &checker{s: s, broken: broken, tokens: make(map[Token]bool, s.locks.Len())}
	s.locks.Ascend(c.lock)
	s.grants.Ascend(c.grant)
	s.queues.Ascend(c.stand)
	c.endQueue()
	s.parked.Ascend(c.parked)
	s.sessions.Ascend(c.session)
	if c.grants != s.grants.Len() || c.grants != s.held.Len() || c.keys != len(s.keys) {
		broken("I4: %d grants, of which names know %d, %d are held; %d keys of %d",
			s.grants.Len(), c.grants, s.held.Len(), len(s.keys), c.keys)
	}
	if c.stands != s.queues.Len() || c.waiting != s.queues.Len() || s.claims.Len() != s.queues.Len() || c.sponsored != s.sponsored.Len() {
		broken("I5: parked acquires stand in %d queues, locks know of %d, queues have %d; %d of %d sponsored",
			c.stands, c.waiting, s.queues.Len(), s.sponsored.Len(), c.sponsored)
	}
	c.timers()
	if len(s.opens) != s.sessions.Len()-1 {
		broken("I9: %d nonces of %d sessions", len(s.opens), s.sessions.Len()-1)
	}
	if len(s.moves) > 0 {
		broken("I2: %d moves at which nobody has looked", len(s.moves))
	}
	return err
}

type checker struct {
	s      *State
	broken func(format string, args ...any) bool
	tokens map[Token]bool
	grants int    // of which names know
	last   *grant // the one before, in the order of numbers
	keys   int    // idempotency keys of grants
	timed  int    // deadlines that need a timer

	stands    int    // places in queues of which waiters know
	waiting   int    // of which locks know
	sponsored int    // waiters on behalf of other sessions
	queue     string // the name whose queue is walked
	length    uint32 // of the queue so far
	since     Instant
}

// lock counts what is held of a name, and compares.
func (c *checker) lock(l *lock) bool {
	if !ValidName(l.name) || l.kind != KindLock && l.kind != KindSemaphore {
		return c.broken("I1: lock %q of kind %d", l.name, l.kind)
	}
	if l.holds == 0 && l.waiting == 0 {
		return c.broken("I2: %q is idle and not forgotten", l.name)
	}
	counted := lock{era: l.era, name: l.name, kind: l.kind, limit: l.limit, waiting: l.waiting}
	ok := true
	var last *grant
	c.s.held.AscendGreaterOrEqual(&grant{name: l.name}, func(g *grant) bool {
		if g.name != l.name {
			return false
		}
		ok = c.held(&counted, g, last)
		last = g
		return ok
	})
	if !ok {
		return false
	}
	if counted != *l {
		return c.broken("I1: %q counts %+v, and has %+v", l.name, *l, counted)
	}
	c.waiting += int(l.waiting)
	return true
}

// held adds a grant to what is counted of its lock; last is the one before.
func (c *checker) held(counted *lock, g, last *grant) bool {
	l := counted
	again := last != nil && l.kind == KindLock && sameHold(last, g)
	want := Want{Name: g.name, Kind: l.kind, Mode: g.mode, Permits: g.permits, Limit: l.limit}
	switch {
	case want.validate().Status != 0:
		return c.broken("I1: grant %d of %q in mode %d", g.id, l.name, g.mode)
	case again && (last.token != g.token || last.mode != g.mode):
		return c.broken("I3: a hold of %q has tokens %d and %d", l.name, last.token, g.token)
	case !again && (c.tokens[g.token] || g.token == 0 || g.token > makeToken(c.s.epoch, c.s.lastToken)):
		return c.broken("I3: token %d of %q", g.token, l.name)
	case !again && !l.fits(g.mode, g.permits):
		return c.broken("I1: %q is held by more than it admits", l.name)
	}
	if row, found := c.s.grants.Get(g); !found || row != g || c.s.session(g.session) == nil || g.id > c.s.lastGrant {
		return c.broken("I4: grant %d of %q is of no session", g.id, l.name)
	}
	if !again {
		l.take(g.mode, g.permits)
		c.tokens[g.token] = true
	}
	l.grants++
	c.grants++
	return true
}

// stand sees the queues one after the other, each from its head.
func (c *checker) stand(st *stand) bool {
	w, name := st.waiter, st.want.Name
	if name != c.queue {
		if !c.endQueue() {
			return false
		}
		c.queue, c.length, c.since = name, 0, 0
	}
	c.length++
	switch {
	case c.s.session(w.speaker) == nil || c.s.session(w.session) == nil:
		return c.broken("I5: waiter %d is of no session", w.turn)
	case c.s.waiter(w.speaker, w.seq) != w:
		return c.broken("I5: waiter %d is not in its session's waits", w.turn)
	case c.s.lock(name) == nil:
		return c.broken("I5: waiter %d waits for the idle name %q", w.turn, name)
	case w.turn > c.s.lastWaiter:
		return c.broken("I6: waiter %d was never numbered", w.turn)
	case w.since < c.since:
		return c.broken("I6: waiter %d of %q came before the one ahead of it", w.turn, name)
	}
	c.since = w.since
	return true
}

// parked sees every waiter once.
func (c *checker) parked(w *waiter) bool {
	c.stands += len(w.stands)
	for i := range w.stands {
		if st, found := c.s.queues.Get(&w.stands[i]); !found || st != &w.stands[i] || !c.s.claims.Has(st) {
			return c.broken("I5: waiter %d does not stand in the queue of %q", w.turn, w.wants[i].Name)
		}
	}
	if w.key != (Nonce{}) {
		k := keyOf{w.session, w.key}
		if _, given := c.s.keys[k]; given || !slices.Contains(c.s.copies[k], w) {
			return c.broken("I5: waiter %d has a key that was granted, or does not find it", w.turn)
		}
	}
	if w.sponsored() {
		if c.sponsored++; !c.s.sponsored.Has(w) {
			return c.broken("I5: waiter %d is not found by session %d", w.turn, w.session)
		}
	}
	if c.s.grantable(w) {
		return c.broken("I2: waiter %d waits for nobody", w.turn)
	}
	return c.timer(w.timer, w.deadline, timerWait, uint64(w.turn))
}

// grant sees every grant name by name; those of one number are together.
func (c *checker) grant(g *grant) bool {
	first := c.last == nil || c.last.session != g.session || c.last.id != g.id
	if !first && (c.last.timer != g.timer || c.last.until != g.until || c.last.owner != g.owner || c.last.key != g.key) {
		return c.broken("I4: the names of grant %d differ", g.id)
	}
	c.last = g
	if !first {
		return true
	}
	if g.key != (Nonce{}) {
		if c.keys++; c.s.keys[keyOf{g.session, g.key}] != g.id {
			return c.broken("I4: grant %d is not found by its key", g.id)
		}
	}
	return c.timer(g.timer, g.until, timerGrant, uint64(g.id))
}

func (c *checker) endQueue() bool {
	if l := c.s.lock(c.queue); l != nil && l.waiting != c.length {
		return c.broken("I5: %q counts %d waiters of %d", l.name, l.waiting, c.length)
	}
	return true
}

func (c *checker) session(ss *session) bool {
	grants, waiting := 0, 0
	for _, w := range c.s.waitersOf(ss.id) {
		waiting += len(w.wants)
	}
	for _, g := range c.s.grantsOf(ss.id) {
		grants += len(c.s.namesOf(ss.id, g.id))
	}
	if int(ss.grants) != grants {
		return c.broken("I4: session %d counts %d grants of %d", ss.id, ss.grants, grants)
	}
	if ss.id == ReservedSession {
		return len(ss.events) == 0 && ss.waiting == 0 || c.broken("I9: ReservedSession was told of something")
	}
	switch {
	case int(ss.waiting) != waiting:
		return c.broken("I5: session %d counts %d places of %d", ss.id, ss.waiting, waiting)
	case ss.timer == nil || ss.timer.at > ss.deadline || ss.id > c.s.lastSession:
		return c.broken("I7: session %d has no timer, or a late one", ss.id)
	}
	for _, a := range ss.window.living(ss.mark) {
		if a.seq >= ss.mark+WindowSize || a.seq > ss.lastSeq || c.s.waiter(ss.id, a.seq) != nil {
			return c.broken("I8: session %d answers seq %d with mark %d", ss.id, a.seq, ss.mark)
		}
	}
	next := ss.seen + 1
	for _, e := range ss.events {
		if e.id != next {
			return c.broken("I9: session %d has event %d where %d is due", ss.id, e.id, next)
		}
		next++
	}
	if next != ss.lastEvent+1 {
		return c.broken("I9: session %d lost events %d to %d", ss.id, next, ss.lastEvent)
	}
	if c.s.opens[ss.nonce] != ss.id {
		return c.broken("I9: session %d is not found by its nonce", ss.id)
	}
	c.timed++
	return true
}

// timer checks that a deadline has its timer, and none has one without.
func (c *checker) timer(t *timer, at Instant, kind uint8, number uint64) bool {
	if at == 0 {
		return t == nil || c.broken("I7: a timer for what has no deadline")
	}
	c.timed++
	if t == nil || t.at != at || t.kind != kind || t.number != number {
		return c.broken("I7: deadline %d of kind %d, number %d has no timer", at, kind, number)
	}
	return true
}

func (c *checker) timers() {
	heap := c.s.timers
	if len(heap) != c.timed {
		c.broken("I7: %d timers for %d deadlines", len(heap), c.timed)
	}
	for i, t := range heap {
		if t.place != i || i > 0 && t.before(heap[(i-1)/2]) {
			c.broken("I7: timer at place %d is out of order", i)
		}
	}
}
