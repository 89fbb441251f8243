package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A world is everything that there is under one seed. Time is real time, which
// nobody in it knows: processes and leaders have clocks that run a little slow or
// fast.
type world struct {
	rng       *rand.Rand
	now       time.Duration
	agenda    agenda
	entered   int // in the agenda so far
	log       []record
	nodes     []*node
	reign     *reign // nil while nobody leads
	term      fsm.Term
	processes []*process
	callers   []*caller
	ledger    *ledger
	calm      bool     // the network is repaired, and everybody wants to go home
	trace     []string // what happened, if somebody wants to read it
	tracing   bool
}

// record is one entry of the log, and what the first replica made of it.
type record struct {
	index fsm.Index
	term  fsm.Term
	bytes []byte
	chain fsm.Check // zero until somebody has applied it
	image []byte    // the first snapshot of the state behind it
}

// violation is how a broken promise ends a run.
type violation struct{ text string }

func (w *world) fail(format string, args ...any) {
	panic(violation{fmt.Sprintf(format, args...)})
}

func (w *world) note(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, fmt.Sprintf("%8.3fs ", w.now.Seconds())+fmt.Sprintf(format, args...))
	}
}

// An appointment is something to do at a time.
type appointment struct {
	at    time.Duration
	order int
	do    func()
}

type agenda []appointment

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, k int) bool {
	return a[i].at < a[k].at || a[i].at == a[k].at && a[i].order < a[k].order
}
func (a agenda) Swap(i, k int) { a[i], a[k] = a[k], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

func (w *world) after(d time.Duration, do func()) {
	w.entered++
	heap.Push(&w.agenda, appointment{w.now + d, w.entered, do})
}

// run does all that is due until then.
func (w *world) run(until time.Duration) {
	for len(w.agenda) > 0 && w.agenda[0].at <= until {
		a := heap.Pop(&w.agenda).(appointment)
		w.now = a.at
		a.do()
	}
	w.now = until
}

// chance is true once in n times.
func (w *world) chance(n int) bool { return w.rng.IntN(n) == 0 }

// between chooses a span.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)))
}

// oneOf chooses one of all.
func oneOf[T any](w *world, all ...T) T { return all[w.rng.IntN(len(all))] }

// send carries a message: once, never or twice, soon or late, so that it may
// overtake others and be overtaken.
func (w *world) send(deliver func()) {
	if w.calm {
		w.after(w.between(time.Millisecond, 5*time.Millisecond), deliver)
		return
	}
	for range oneOf(w, 1, 1, 1, 1, 1, 1, 1, 2, 0, 0) {
		delay := w.between(time.Millisecond, 30*time.Millisecond)
		if w.chance(8) {
			delay = w.between(time.Millisecond, 2*time.Second)
		}
		w.after(delay, deliver)
	}
}

// A clock is a process's own: it runs at its own rate from its own start.
type clock struct {
	start time.Duration
	drift int64 // in millionths
}

// driftMax is within what a client's belief allows for: two clocks differ by at
// most one part in 1,024.
const driftMax = 450

func (w *world) clock() clock {
	return clock{w.between(0, time.Hour), w.rng.Int64N(2*driftMax+1) - driftMax}
}

func (c clock) read(now time.Duration) time.Duration {
	return c.start + now + now/1e6*time.Duration(c.drift)
}
