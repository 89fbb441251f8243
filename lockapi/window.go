package lockapi

import "github.com/lockd-io/lockd/fsm"

// A window gives out the numbers of a session's commands and knows the mark:
// below it everything is settled, that is answered, parked or abandoned. The
// machine keeps answers from the mark on, fsm.WindowSize of them, and ends a
// session that goes beyond; a command's own mark is what it goes by, so a
// number that is less than WindowSize over the mark is always safe.
type window struct {
	next    fsm.Seq                     // to be given out
	mark    fsm.Seq                     // the lowest that is not settled
	settled [fsm.WindowSize / 64]uint64 // bit seq % WindowSize, for those from mark on
}

// newWindow begins with the number first.
func newWindow(first fsm.Seq) window { return window{next: first, mark: first} }

// room tells whether another number may be given out if reserve numbers are to
// stay free.
func (w *window) room(reserve int) bool {
	return int(w.next-w.mark) < fsm.WindowSize-reserve
}

// take gives out a number; only when there is room.
func (w *window) take() fsm.Seq {
	w.next++
	return w.next - 1
}

func (w *window) place(seq fsm.Seq) (word *uint64, bit uint64) {
	i := seq % fsm.WindowSize
	return &w.settled[i/64], 1 << (i % 64)
}

// settle notes that the answer under seq is not needed any more. Again is
// nothing.
func (w *window) settle(seq fsm.Seq) {
	if seq < w.mark || seq >= w.next {
		return
	}
	word, bit := w.place(seq)
	*word |= bit
	for w.mark < w.next {
		word, bit := w.place(w.mark)
		if *word&bit == 0 {
			return
		}
		*word &^= bit
		w.mark++
	}
}
