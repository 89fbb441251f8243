package fsm

import (
	"cmp"
	"slices"
)

// An answer is what a command was told, kept until the client's mark passes it.
type answer struct {
	seq    Seq
	hash   uint64 // of the command; hashBurnt matches any
	result Result
}

// hashBurnt marks a seq that was abandoned before it arrived: whatever comes
// under it is answered like the abandoning.
const hashBurnt = 0

// A window is a ring of answers, found by seq modulo its size. What is below
// the mark is dead and is overwritten, so that moving the mark costs nothing.
type window struct {
	ring []answer // a power of two of them, at most WindowSize
}

func (w window) clone() window { return window{slices.Clone(w.ring)} }

func (w *window) get(seq Seq) *answer {
	if len(w.ring) == 0 {
		return nil
	}
	if a := &w.ring[seq&Seq(len(w.ring)-1)]; a.seq == seq {
		return a
	}
	return nil
}

// put stores a, whose seq is within WindowSize of mark, and grows the ring
// while another living answer is in a's place.
func (w *window) put(a answer, mark Seq) {
	if len(w.ring) == 0 {
		w.ring = make([]answer, 2)
	}
	for {
		old := &w.ring[a.seq&Seq(len(w.ring)-1)]
		if old.seq < mark || old.seq == a.seq {
			*old = a
			return
		}
		w.grow(mark)
	}
}

func (w *window) grow(mark Seq) {
	old := w.ring
	w.ring = make([]answer, 2*len(old))
	for _, a := range old {
		if a.seq >= mark {
			w.ring[a.seq&Seq(len(w.ring)-1)] = a
		}
	}
}

// living lists the answers at and above mark, in order.
func (w *window) living(mark Seq) []answer {
	var all []answer
	for _, a := range w.ring {
		if a.seq >= mark && a.seq > 0 {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b answer) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// recall finds what c was answered before, or why it may not be executed.
func (s *State) recall(ss *session, c *Command, hash uint64) (Result, bool) {
	if c.Seq >= ss.mark+WindowSize {
		return Result{Status: StatusWindow}, true
	}
	if a := ss.window.get(c.Seq); a != nil && c.Seq >= ss.mark {
		if a.hash != hash && a.hash != hashBurnt {
			return Result{Status: StatusSeqReused}, true
		}
		return a.result, true
	}
	if c.Seq > ss.lastSeq {
		return Result{}, false
	}
	if w := s.waiter(ss.id, c.Seq); w != nil {
		if w.hash != hash {
			return Result{Status: StatusSeqReused}, true
		}
		return s.queuedAgain(w), true
	}
	for _, e := range ss.events {
		if e.kind == OutcomeGranted && e.seq == c.Seq {
			return e.result, true
		}
	}
	if c.Seq < ss.mark {
		return Result{Status: StatusOldSeq, At: s.now, Index: s.applied}, true
	}
	return Result{}, false
}
