package fsm

// Kinds of deadline, in the order in which those of one instant fall due: a
// wait whose time is up is over before the lock that it waits for is freed.
const (
	timerWait uint8 = iota + 1
	timerGrant
	timerSession
)

// A timer is a deadline in the heap. It is derived state: no snapshot has it.
type timer struct {
	at      Instant
	kind    uint8
	number  uint64 // of the waiter, grant or session: the last tie-break
	session SessionID
	seq     Seq // of a waiter
	place   int // in the heap
}

func (t *timer) before(u *timer) bool {
	if t.at != u.at {
		return t.at < u.at
	}
	if t.kind != u.kind {
		return t.kind < u.kind
	}
	return t.number < u.number
}

// timerHeap is a binary heap whose members know their places, so that one that
// is no longer wanted is taken out rather than left to fall due.
type timerHeap []*timer

func (h *timerHeap) add(at Instant, kind uint8, number uint64, id SessionID) *timer {
	t := &timer{at: at, kind: kind, number: number, session: id, place: len(*h)}
	*h = append(*h, t)
	h.up(t.place)
	return t
}

// remove takes t out; nil is no timer.
func (h *timerHeap) remove(t *timer) {
	if t == nil {
		return
	}
	old, last, i := *h, len(*h)-1, t.place
	old.swap(i, last)
	old[last] = nil
	*h = old[:last]
	if i < last {
		h.fix(i)
	}
}

// move gives t another time.
func (h timerHeap) move(t *timer, at Instant) {
	t.at = at
	h.fix(t.place)
}

func (h timerHeap) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h timerHeap) swap(i, k int) {
	h[i], h[k] = h[k], h[i]
	h[i].place, h[k].place = i, k
}

func (h timerHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h[i].before(h[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h timerHeap) down(i int) bool {
	start := i
	for {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < len(h); k++ {
			if h[k].before(h[least]) {
				least = k
			}
		}
		if least == i {
			return i > start
		}
		h.swap(i, least)
		i = least
	}
}
