package verdict

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/model"
)

// Witness is what the service's own order says.
type Witness struct {
	Verdict  Verdict   `json:"-"`
	Ops      int       `json:"ops"` // that say where they took effect
	Findings []Finding `json:"findings,omitempty"`
}

// findingsMax: a service that is wrong is wrong often.
const findingsMax = 20

// Witnessed judges every operation by the position at which the service says that
// it took effect, in about the time that sorting takes:
//
//   - the order of positions agrees with the times of calls and answers;
//   - in that order the model allows each answer. What nobody knows the position
//     of (the end of a session, an operation that was not answered) is put where it
//     is needed first, if it may be there;
//   - waits are granted in the order in which they began;
//   - who is refused, or waits in vain, does so because of somebody.
//
// It finds what a search for an order of a part cannot: a history of any length,
// and half of a session's locks that outlive it. A service that lies about its
// positions deceives it, and not the search.
func Witnessed(h history.History) Witness {
	w := witness{spans: spans(h), alive: make(map[uint64]place), held: make(map[uint64]place), alone: alone(h), doubts: make(map[string][]doubt)}
	var ops []*history.Op
	for i := range h {
		o := &h[i]
		switch {
		case o.Kind == history.Acquire && o.Code == history.Abandoned:
			if over := w.abandoned(o); over != nil {
				ops = append(ops, over)
			}
		case o.Doubtful() || o.At == nil && o.Status == history.OK:
			if o.Kind == history.Acquire || o.Kind == history.Release || o.Kind == history.Close {
				doubt := *o
				doubt.Status = history.Unknown // or its place is not
				w.unknown = append(w.unknown, &doubt)
				w.doubt(o)
			}
		case o.At != nil:
			ops = append(ops, o)
		}
	}
	slices.SortStableFunc(ops, func(a, b *history.Op) int { return position(a).compare(position(b)) })
	w.look(ops)
	w.inTime(ops)
	w.inTurn(ops)
	for _, o := range ops {
		w.idle(o)
		w.take(o)
	}
	out := Witness{Verdict: Pass, Ops: len(ops), Findings: w.found}
	if len(w.found) > 0 {
		out.Verdict = Violated
	}
	return out
}

// A place is a position in the order of effects. What is only looked at is as of
// the whole entry.
type place struct {
	index uint64
	order uint32
}

func position(o *history.Op) place {
	if o.Kind == history.Inspect {
		return place{o.At.Index, math.MaxUint32}
	}
	return place{o.At.Index, o.At.Order}
}

func (p place) compare(q place) int {
	switch {
	case p == q:
		return 0
	case p.index < q.index || p.index == q.index && p.order < q.order:
		return -1
	}
	return 1
}

type witness struct {
	rules   model.Rules
	state   model.State
	spans   map[uint64]*span
	unknown []*history.Op    // not put anywhere yet
	alive   map[uint64]place // where a session is last seen to live
	held    map[uint64]place // where a token is last seen to be held
	alone   map[string]bool  // names that are only wanted by themselves
	doubts  map[string][]doubt
	found   []Finding
}

// look notes what is known of later, so that nothing is put before it that it
// disproves.
func (w *witness) look(ops []*history.Op) { // in the order of positions
	for _, o := range ops {
		at := position(o)
		if o.Code != history.NoSession && o.Kind != history.Inspect && o.Kind != history.Ended {
			w.alive[o.Session] = at
		}
		for _, h := range o.Holders {
			w.alive[h.Session], w.held[h.Token] = at, at
		}
	}
}

// over tells whether what was last seen at p may be gone at o.
func (p place) over(o *history.Op) bool { return p.compare(position(o)) < 0 }

func (w *witness) find(what string, ops ...*history.Op) {
	if len(w.found) >= findingsMax {
		return
	}
	f := Finding{What: what}
	for _, o := range ops {
		f.Ops = append(f.Ops, o.ID)
	}
	w.found = append(w.found, f)
}

// inTime: what was answered before another was asked has an earlier position.
func (w *witness) inTime(ops []*history.Op) {
	byCall := slices.Clone(ops)
	slices.SortFunc(byCall, func(a, b *history.Op) int { return cmpInt(a.Call, b.Call) })
	byReturn := slices.Clone(ops)
	slices.SortFunc(byReturn, func(a, b *history.Op) int { return cmpInt(a.Return, b.Return) })
	var last *history.Op // with the greatest position of those answered before
	next := 0
	for _, o := range byCall {
		for ; byReturn[next].Return < o.Call; next++ {
			if r := byReturn[next]; last == nil || position(r).compare(position(last)) > 0 {
				last = r
			}
		}
		if last == nil {
			continue
		}
		before, after := position(last), position(o)
		if c := before.compare(after); c > 0 || c == 0 && o.Kind != history.Inspect {
			w.find(fmt.Sprintf("%s, at %d.%d, was answered before %s, at %d.%d, was asked",
				last, last.At.Index, last.At.Order, o, o.At.Index, o.At.Order), last, o)
		}
	}
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// inTurn: of two that want one name the one that came first is granted first; a
// try comes and is granted in one. Who holds the name already may enter it again
// before others.
func (w *witness) inTurn(ops []*history.Op) {
	waits := make(map[string][]*history.Op) // granted ones, by name, in the order in which they began
	for _, o := range ops {
		// Of several names one may be the owner's already, and then others pass.
		if o.Kind == history.Acquire && o.Status == history.OK && len(o.Wants) == 1 && came(o) != nil {
			waits[o.Wants[0].Name] = append(waits[o.Wants[0].Name], o)
		}
	}
	for _, queue := range waits {
		slices.SortFunc(queue, func(a, b *history.Op) int {
			return place{came(a).Index, came(a).Order}.compare(place{came(b).Index, came(b).Order})
		})
		var last *history.Op
		for _, o := range queue {
			if o.Count > 1 { // it was entered again
				continue
			}
			if last != nil && position(o).compare(position(last)) < 0 && !sameOwner(o, last) {
				w.find(fmt.Sprintf("%s, granted at %d.%d, was overtaken by %s, which came later and was granted at %d.%d",
					last, last.At.Index, last.At.Order, o, o.At.Index, o.At.Order), last, o)
			}
			if last == nil || position(o).compare(position(last)) > 0 {
				last = o
			}
		}
	}
}

// came is where a granted acquire began to want its names; nil if that is not
// known.
func came(o *history.Op) *history.Position {
	if o.Wait == 0 {
		return o.At
	}
	return o.Queued
}

func sameOwner(a, b *history.Op) bool { return a.Session == b.Session && a.Owner == b.Owner }

// take lets the model take an operation at its position, with as much of what
// nobody knows the position of before it as it needs.
func (w *witness) take(o *history.Op) {
	switch {
	case o.Kind == history.Open || o.Kind == history.Renew:
		return
	case o.Kind == history.Release && o.Code == history.Abandoned:
		w.withdrawn(o)
		return
	case w.step(o):
		return
	}
	if w.explain(o) {
		return
	}
	w.find(fmt.Sprintf("%s, at %d.%d, cannot be: %s", o, o.At.Index, o.At.Order, w.state.Of(o.Names()...)), o)
}

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
		w.forget(u)
	}
	return true
}

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
		if u.Kind == history.Close && w.alive[u.Session].over(o) || u.Kind == history.Release && w.mayRelease(u, o) {
			all = append(all, u)
		}
	}
	for _, session := range slices.Sorted(maps.Keys(holders)) {
		s := w.spans[session]
		if s == nil || s.closed || !w.alive[session].over(o) {
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
	if u.Code == history.Abandoned && !w.state.Holds(u.Session, u.Grant) {
		return false
	}
	for _, token := range w.state.Tokens(u.Session, u.Grant) {
		if token != 0 && !w.held[token].over(o) {
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
