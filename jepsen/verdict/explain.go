package verdict

import (
	"maps"
	"math/bits"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/model"
)

// searchedMax: of more explanations than that not every choice is tried.
const searchedMax = 10

// explain takes o after as little as possible of what may have been before it.
func (w *witness) explain(o *history.Op) bool {
	may := w.explanations(o)
	searched := may[:min(len(may), searchedMax)]
	masks := make([]uint, 1<<len(searched))
	for i := range masks {
		masks[i] = uint(i)
	}
	slices.SortStableFunc(masks, func(a, b uint) int { return bits.OnesCount(a) - bits.OnesCount(b) })
	for _, mask := range masks {
		var chosen []*history.Op
		for i, u := range searched {
			if mask&(1<<i) != 0 {
				chosen = append(chosen, u)
			}
		}
		if w.takeAfter(chosen, o) {
			return true
		}
	}
	return len(may) > len(searched) && w.takeAfter(may, o)
}

func (w *witness) takeAfter(others []*history.Op, o *history.Op) bool {
	next, ok := w.after(others, o)
	if !ok {
		return false
	}
	w.state = next
	for _, u := range others {
		w.note(u)
		w.forget(u)
	}
	w.note(o)
	return true
}

// note remembers that o was taken now.
func (w *witness) note(o *history.Op) { w.taken[placeOf(o)] = len(w.taken) }

// after is the state in which o has had its effect, after some others.
func (w *witness) after(others []*history.Op, o *history.Op) (model.State, bool) {
	state := w.state
	for _, u := range others {
		if next, ok := w.rules.Step(state, u); ok {
			state = next
		}
	}
	return w.rules.Step(state, o)
}

func (w *witness) step(o *history.Op) bool {
	next, ok := w.rules.Step(w.state, o)
	if ok {
		w.state = next
		w.note(o)
	}
	return ok
}

// explanations are what may have had its effect before o and is about what o is
// about, in an order in which each can have it: releases that were not answered,
// ends of sessions, and acquires that were not answered.
func (w *witness) explanations(o *history.Op) (all []*history.Op) {
	seen := make(map[uint64]bool)
	for _, h := range o.Holders {
		seen[h.Session] = true
	}
	names := o.Names()
	var acquires []*history.Op
	for _, u := range w.unknown {
		if u.Kind == history.Acquire && u.Call <= o.Return && seen[u.Session] {
			acquires = append(acquires, u)
			names = append(names, u.Names()...)
		}
	}
	holders := make(map[uint64]bool)
	for _, name := range names {
		for _, session := range w.state.Holders(name) {
			holders[session] = true
		}
	}
	for _, u := range w.unknown {
		if u.Kind == history.Acquire || u.Call > o.Return || !holders[u.Session] {
			continue
		}
		if u.Kind == history.Close && over(w.alive[u.Session], o) || u.Kind == history.Release && w.mayRelease(u, o) {
			all = append(all, u)
		}
	}
	for _, session := range slices.Sorted(maps.Keys(holders)) {
		s := w.spans[session]
		if s == nil || s.closed || !over(w.alive[session], o) {
			continue
		}
		if earliest := s.alive + int64(float64(s.ttl)*(1-drift)); earliest <= o.Return {
			all = append(all, &history.Op{Kind: history.Ended, Session: session, Status: history.OK})
		}
	}
	return append(all, acquires...)
}

// mayRelease tells whether a release may have been before o: nobody sees at o, or
// later, what it released.
func (w *witness) mayRelease(u, o *history.Op) bool {
	// A withdrawal of what is not given changes nothing, and would then be gone.
	if u.Code == history.Abandoned && !w.state.Holds(u.Session, u.Grant) {
		return false
	}
	for _, token := range w.state.Tokens(u.Session, u.Grant) {
		if token != 0 && !over(w.held[token], o) {
			return false
		}
	}
	return true
}

func (w *witness) forget(u *history.Op) {
	if at := slices.Index(w.unknown, u); at >= 0 {
		w.unknown = slices.Delete(w.unknown, at, at+1)
	}
}
