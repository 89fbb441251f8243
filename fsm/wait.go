package fsm

import "strings"

// A waiter is a place in a queue: a parked acquire. It is immutable, its timer
// aside. Its id is its place in the one global order of all waiters.
type waiter struct {
	id          WaiterID
	session     SessionID
	incarnation Incarnation
	seq         Seq
	hash        uint64 // of the command, to know a repeat
	name        string
	owner       string
	mode        Mode
	permits     Permits
	maxHold     Duration
	since       Instant
	deadline    Instant // when the wait times out; 0 is never
	timer       *timer  // derived
}

func parkedLess(a, b *waiter) bool {
	if a.session != b.session {
		return a.session < b.session
	}
	return a.seq < b.seq
}

func queueLess(a, b *waiter) bool {
	if a.name != b.name {
		return a.name < b.name
	}
	return a.id < b.id
}

// park queues an acquire behind all others of its name.
func (s *State) park(ss *session, l *lock, c *Command, hash uint64) Result {
	for _, bound := range [...]struct {
		used, most int
		limit      LimitID
	}{
		{int(l.waiting), NameWaitersMax, LimitNameWaiters},
		{int(ss.waiting) + len(ss.events), SessionWaitersMax, LimitSessionWaiters},
		{s.parked.Len(), WaitersMax, LimitWaiters},
	} {
		if bound.used >= bound.most {
			return Result{Status: StatusLimit, Limit: bound.limit, Value: uint64(bound.used + 1)}
		}
	}
	ss, l = s.own(ss), s.ownLock(l)
	s.lastWaiter++
	want := &c.Wants[0]
	w := &waiter{
		id: s.lastWaiter, session: ss.id, incarnation: c.Incarnation, seq: c.Seq, hash: hash,
		name: l.name, owner: strings.Clone(c.Owner), mode: want.Mode, permits: want.Permits,
		maxHold: c.MaxHold, since: s.now,
	}
	if c.Wait > 0 {
		w.deadline = s.now.Add(c.Wait)
		w.timer = s.timers.add(w.deadline, timerWait, uint64(w.id), ss.id)
		w.timer.seq = w.seq
	}
	s.parked.ReplaceOrInsert(w)
	s.queues.ReplaceOrInsert(w)
	ss.waiting++
	l.waiting++
	return Result{Status: StatusQueued, Place: l.waiting}
}

// unpark takes a waiter out of its queue and of its session's waits.
func (s *State) unpark(w *waiter) {
	s.parked.Delete(w)
	s.queues.Delete(w)
	s.timers.remove(w.timer)
	s.own(s.session(w.session)).waiting--
	s.ownLock(s.lock(w.name)).waiting--
}

// withdraw takes a waiter away for good. Nobody else moves: whoever waits
// behind it still waits for the holder.
func (s *State) withdraw(w *waiter) { s.unpark(w) }

// settle ends the wait of w, which is out of its queue, with r. That is an event
// and, until the mark has passed the acquire, its answer as well: once the
// event is acknowledged, a late copy of the acquire would look new otherwise,
// and what it acquired would be held by nobody who knows of it.
func (s *State) settle(w *waiter, r Result) {
	ss := s.own(s.session(w.session))
	r = s.tell(ss, OutcomeGranted, w.seq, r)
	if w.seq >= ss.mark {
		ss.window.put(answer{seq: w.seq, hash: w.hash, result: r}, ss.mark)
	}
}

// head is the first in the queue; nil if nobody waits.
func (s *State) head(l *lock) *waiter {
	if l.waiting == 0 {
		return nil
	}
	var first *waiter
	s.probe.waiter.name, s.probe.waiter.id = l.name, 0
	s.queues.AscendGreaterOrEqual(&s.probe.waiter, func(w *waiter) bool {
		first = w
		return false
	})
	return first
}

// queuedAgain answers a repeat of an acquire that still waits.
func (s *State) queuedAgain(w *waiter) Result {
	place := uint32(0)
	s.probe.waiter.name, s.probe.waiter.id = w.name, 0
	s.queues.AscendGreaterOrEqual(&s.probe.waiter, func(other *waiter) bool {
		place++
		return other.id < w.id
	})
	return Result{Status: StatusQueued, At: s.now, Index: s.applied, Place: place}
}

// abandon withdraws the acquire with the seq target, however far it has come.
// An acquire that has not arrived is burnt: an abandon may overtake its
// acquire by way of another node, and what came later would hold or queue for
// nobody, for ever.
func (s *State) abandon(ss *session, target Seq) Result {
	burnt := Result{Status: StatusAbandoned, At: s.now, Index: s.applied}
	if w := s.waiter(ss.id, target); w != nil {
		s.withdraw(w)
	} else {
		// The event first: dropping the grant may add another to the list.
		for i := range ss.events {
			if e := &ss.events[i]; e.kind == OutcomeGranted && e.seq == target {
				e.result = burnt
			}
		}
		if g := s.acquired(ss, target); g != nil {
			s.dropGrant(g)
		}
	}
	if target >= ss.mark {
		ss.window.put(answer{seq: target, hash: hashBurnt, result: burnt}, ss.mark)
	}
	return Result{Status: StatusOK}
}

// acquired finds the living grant that the acquire with this seq was given.
// Below the mark no answer tells which: the event that did may be acknowledged
// already, by a renewal that overtook the abandon. Few acquires are abandoned
// so late that a walk over the session's grants is worth an index.
func (s *State) acquired(ss *session, seq Seq) *grant {
	if seq >= ss.mark {
		if a := ss.window.get(seq); a != nil {
			if g := s.grant(ss.id, a.result.Grant); g != nil && g.seq == seq {
				return g
			}
		}
		return nil
	}
	for _, g := range s.grantsOf(ss.id) {
		if g.seq == seq {
			return g
		}
	}
	return nil
}

func (s *State) waitersOf(id SessionID) []*waiter {
	var all []*waiter
	s.probe.waiter.session, s.probe.waiter.seq = id, 0
	s.parked.AscendGreaterOrEqual(&s.probe.waiter, func(w *waiter) bool {
		if w.session != id {
			return false
		}
		all = append(all, w)
		return true
	})
	return all
}
