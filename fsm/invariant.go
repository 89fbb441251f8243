package fsm

import "fmt"

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
	s.queues.Ascend(c.waiter)
	c.endQueue()
	s.sessions.Ascend(c.session)
	if c.grants != s.grants.Len() {
		broken("I4: %d grants, of which holds know %d", s.grants.Len(), c.grants)
	}
	if s.parked.Len() != s.queues.Len() || c.waiting != s.queues.Len() {
		broken("I5: %d parked acquires in queues of %d, of which locks know %d",
			s.parked.Len(), s.queues.Len(), c.waiting)
	}
	c.timers()
	if len(s.opens) != s.sessions.Len() {
		broken("I9: %d nonces of %d sessions", len(s.opens), s.sessions.Len())
	}
	return err
}

type checker struct {
	s      *State
	broken func(format string, args ...any) bool
	tokens map[Token]bool
	grants int // of which holds know
	timed  int // deadlines that need a timer

	waiting int    // of which locks know
	queue   string // the name whose queue is walked
	length  uint32 // of the queue so far
	since   Instant
}

func (c *checker) lock(l *lock) bool {
	if !ValidName(l.name) || l.kind != KindLock {
		return c.broken("I1: lock %q of kind %d", l.name, l.kind)
	}
	if len(l.holds) == 0 {
		return c.broken("I2: %q has no holder and %d waiters", l.name, l.waiting)
	}
	if len(l.holds) > 1 || l.holds[0].mode != Exclusive {
		return c.broken("I1: %q has %d exclusive holds", l.name, len(l.holds))
	}
	for i := range l.holds {
		h := &l.holds[i]
		if c.tokens[h.token] || h.token == 0 || h.token > makeToken(c.s.epoch, c.s.lastToken) {
			return c.broken("I3: token %d of %q", h.token, l.name)
		}
		c.tokens[h.token] = true
		if len(h.grants) == 0 || c.s.session(h.session) == nil {
			return c.broken("I4: a hold of %q has no grant, or no session", l.name)
		}
		for k, id := range h.grants {
			g := c.s.grant(h.session, id)
			if k > 0 && id <= h.grants[k-1] || id > c.s.lastGrant ||
				g == nil || g.name != l.name || g.owner != h.owner || g.token != h.token {
				return c.broken("I4: grant %d of %q", id, l.name)
			}
			c.grants++
			if !c.timer(g.timer, g.until, timerGrant, uint64(g.id)) {
				return false
			}
		}
	}
	c.waiting += int(l.waiting)
	return true
}

// waiter sees the queues one after the other, each from its head.
func (c *checker) waiter(w *waiter) bool {
	if w.name != c.queue {
		if !c.endQueue() {
			return false
		}
		c.queue, c.length, c.since = w.name, 0, 0
	}
	c.length++
	switch {
	case c.s.session(w.session) == nil:
		return c.broken("I5: waiter %d is of no session", w.id)
	case c.s.waiter(w.session, w.seq) != w:
		return c.broken("I5: waiter %d is not in its session's waits", w.id)
	case c.s.lock(w.name) == nil:
		return c.broken("I5: waiter %d waits for the idle name %q", w.id, w.name)
	case w.id > c.s.lastWaiter:
		return c.broken("I6: waiter %d was never numbered", w.id)
	case w.since < c.since:
		return c.broken("I6: waiter %d of %q came before the one ahead of it", w.id, w.name)
	}
	c.since = w.since
	return c.timer(w.timer, w.deadline, timerWait, uint64(w.id))
}

func (c *checker) endQueue() bool {
	if l := c.s.lock(c.queue); l != nil && l.waiting != c.length {
		return c.broken("I5: %q counts %d waiters of %d", l.name, l.waiting, c.length)
	}
	return true
}

func (c *checker) session(ss *session) bool {
	grants, waiting := c.s.grantsOf(ss.id), c.s.waitersOf(ss.id)
	switch {
	case int(ss.grants) != len(grants):
		return c.broken("I4: session %d counts %d grants of %d", ss.id, ss.grants, len(grants))
	case int(ss.waiting) != len(waiting):
		return c.broken("I5: session %d counts %d waits of %d", ss.id, ss.waiting, len(waiting))
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
