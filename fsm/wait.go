package fsm

import "strings"

// A waiter is a parked acquire. It stands in the queue of each of its names, in
// the one global order of all waiters. It is immutable, its timer aside.
type waiter struct {
	request
	speaker  SessionID // who said the acquire, and hears how it ends
	seq      Seq       // of the acquire, in the speaker's numbers
	hash     uint64    // of the command, to know a repeat
	key      Nonce     // of an acquire on somebody's behalf
	wants    []Want
	stands   []stand // derived: one for each of wants
	maxHold  Duration
	since    Instant
	deadline Instant // when the wait times out; 0 is never
	timer    *timer  // derived
}

// A stand is a waiter's place in the queue of one name.
type stand struct {
	waiter *waiter
	want   *Want
}

func parkedLess(a, b *waiter) bool {
	if a.speaker != b.speaker {
		return a.speaker < b.speaker
	}
	return a.seq < b.seq
}

func queueLess(a, b *stand) bool {
	if a.want.Name != b.want.Name {
		return a.want.Name < b.want.Name
	}
	return a.waiter.turn < b.waiter.turn
}

// sponsored tells whether w waits on behalf of a session that may end before.
func (w *waiter) sponsored() bool {
	return w.session != w.speaker && w.session != ReservedSession
}

// ownSeq is the number by which the holder itself knows its acquire.
func (w *waiter) ownSeq() Seq {
	if w.session != w.speaker {
		return 0
	}
	return w.seq
}

// park queues an acquire behind all others of its names.
func (s *State) park(ss, to *session, c *Command, hash uint64) Result {
	if refusal := s.roomToWait(ss, c); refusal.Status != 0 {
		return refusal
	}
	s.lastWaiter++
	w := &waiter{
		request: request{session: to.id, owner: strings.Clone(c.Owner), turn: s.lastWaiter},
		speaker: ss.id, seq: c.Seq, hash: hash, key: c.Nonce,
		wants: make([]Want, len(c.Wants)), maxHold: c.MaxHold, since: s.now,
	}
	copy(w.wants, c.Wants)
	for i := range w.wants {
		w.wants[i].Name = s.use(&w.wants[i]).name
	}
	if c.Wait > 0 {
		w.deadline = s.now.Add(c.Wait)
	}
	return Result{Status: StatusQueued, Place: s.enqueue(w)}
}

func (s *State) roomToWait(ss *session, c *Command) Result {
	for i := range c.Wants {
		if l := s.lock(c.Wants[i].Name); l != nil && l.waiting >= NameWaitersMax {
			return Result{Status: StatusLimit, Limit: LimitNameWaiters, Value: uint64(l.waiting + 1), Place: uint32(i + 1)}
		}
	}
	if n := int(ss.waiting) + len(ss.events) + len(c.Wants); n > SessionWaitersMax {
		return Result{Status: StatusLimit, Limit: LimitSessionWaiters, Value: uint64(n)}
	}
	if n := s.queues.Len() + len(c.Wants); n > WaitersMax {
		return Result{Status: StatusLimit, Limit: LimitWaiters, Value: uint64(n)}
	}
	return Result{}
}

// enqueue puts w into its tables and returns its place in the longest queue.
func (s *State) enqueue(w *waiter) (place uint32) {
	if w.deadline > 0 {
		w.timer = s.timers.add(w.deadline, timerWait, uint64(w.turn), w.speaker)
		w.timer.seq = w.seq
	}
	s.parked.ReplaceOrInsert(w)
	s.keepCopy(w)
	if w.sponsored() {
		s.sponsored.ReplaceOrInsert(w)
	}
	s.own(s.session(w.speaker)).waiting += uint32(len(w.wants))
	w.stands = make([]stand, len(w.wants))
	for i := range w.stands {
		w.stands[i] = stand{waiter: w, want: &w.wants[i]}
		s.queues.ReplaceOrInsert(&w.stands[i])
		s.claims.ReplaceOrInsert(&w.stands[i])
		l := s.ownLock(s.lock(w.wants[i].Name))
		l.waiting++
		place = max(place, l.waiting)
	}
	return place
}

// withdraw takes a waiter out of its queues.
func (s *State) withdraw(w *waiter) {
	s.parked.Delete(w)
	s.forgetCopy(w)
	if w.sponsored() {
		s.sponsored.Delete(w)
	}
	s.timers.remove(w.timer)
	s.own(s.session(w.speaker)).waiting -= uint32(len(w.wants))
	for i := range w.stands {
		s.queues.Delete(&w.stands[i])
		s.claims.Delete(&w.stands[i])
		l := s.ownLock(s.lock(w.wants[i].Name))
		l.waiting--
	}
}

// settle ends the wait of w, which is out of its queues, with r. That is an event
// and, until the mark has passed the acquire, its answer as well: once the
// event is acknowledged, a late copy of the acquire would look new otherwise,
// and what it acquired would be held by nobody who knows of it.
func (s *State) settle(w *waiter, r Result) {
	ss := s.own(s.session(w.speaker))
	r = s.tell(ss, OutcomeGranted, w.seq, r)
	if w.seq >= ss.mark {
		ss.window.put(answer{seq: w.seq, hash: w.hash, result: r}, ss.mark)
	}
}

// walkQueue visits the queue of a name from its head until visit is false. Walks
// within walks need probes of their own: the tree compares with them on its way.
func (s *State) walkQueue(p *standProbe, name string, visit func(*stand) bool) {
	p.want.Name, p.waiter.turn = name, 0
	p.stand = stand{waiter: &p.waiter, want: &p.want}
	s.queues.AscendGreaterOrEqual(&p.stand, func(st *stand) bool {
		return st.want.Name == name && visit(st)
	})
}

// queuedAgain answers a repeat of an acquire that still waits.
func (s *State) queuedAgain(w *waiter) Result {
	longest := uint32(0)
	for i := range w.wants {
		place := uint32(0)
		s.walkQueue(&s.probe.outer, w.wants[i].Name, func(st *stand) bool {
			place++
			return st.waiter != w
		})
		longest = max(longest, place)
	}
	return Result{Status: StatusQueued, At: s.now, Index: s.applied, Place: longest}
}

func (s *State) waitersOf(id SessionID) []*waiter {
	var all []*waiter
	p := &s.probe.waiter
	p.speaker, p.seq = id, 0
	s.parked.AscendGreaterOrEqual(p, func(w *waiter) bool {
		if w.speaker != id {
			return false
		}
		all = append(all, w)
		return true
	})
	return all
}
