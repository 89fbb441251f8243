package fsm

import "strings"

// A lock is a name in use: what it is, and how much of it is taken. It comes with
// the first acquire of an idle name and goes when nobody holds it or waits for it.
// Who holds it is in State.held, who waits for it in State.queues.
type lock struct {
	era   uint64
	name  string
	kind  Kind
	limit Permits // a semaphore's declared limit; else 0

	// Derived.
	mode    Mode   // of the holds of a lock; 0 if it has none
	holds   uint32 // of owners; of a semaphore one for each grant
	grants  uint32 // more than holds if an owner has entered again
	waiting uint32 // length of the queue
	taken   uint64 // permits of a semaphore
}

// fits tells whether one hold more is compatible with those that are (I1).
func (l *lock) fits(mode Mode, permits Permits) bool {
	switch {
	case l.kind == KindSemaphore:
		return l.taken+uint64(permits) <= uint64(l.limit)
	case mode == Shared:
		return l.mode != Exclusive
	default:
		return l.holds == 0
	}
}

// take counts one hold more, leave one less.
func (l *lock) take(mode Mode, permits Permits) {
	l.holds++
	l.taken += uint64(permits)
	if l.kind == KindLock {
		l.mode = mode
	}
}

func (l *lock) leave(permits Permits) {
	l.holds--
	l.taken -= uint64(permits)
	if l.holds == 0 {
		l.mode = 0
	}
}

// conflict refuses a want that does not agree with what the name is.
func (l *lock) conflict(w *Want) Result {
	switch {
	case l.kind != w.Kind:
		return Result{Status: StatusKindConflict}
	case l.limit != w.Limit:
		return Result{Status: StatusLimitConflict, Value: uint64(l.limit)}
	}
	return Result{}
}

// use gives the lock of a name, to be changed, and makes it if the name is idle.
func (s *State) use(w *Want) *lock {
	if l := s.lock(w.Name); l != nil {
		return s.ownLock(l)
	}
	l := s.spare.lock()
	*l = lock{era: s.era, name: strings.Clone(w.Name), kind: w.Kind, limit: w.Limit}
	s.locks.ReplaceOrInsert(l)
	return l
}

// forget ends a name that is idle.
func (s *State) forget(l *lock) {
	s.locks.Delete(l)
	s.spare.keepLock(l, s.era)
}
