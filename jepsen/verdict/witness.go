package verdict

import (
	"fmt"
	"math"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/model"
)

// Witness is what the service's own order says.
type Witness struct {
	Verdict  Verdict
	Ops      int // that say where they took effect
	Findings []Finding
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
	w, ops := witnessOf(h)
	out := Witness{Verdict: Pass, Ops: ops, Findings: w.found}
	if len(w.found) > 0 {
		out.Verdict = Violated
	}
	return out
}

// witnessOf is the witness once it has taken a history of which so many operations
// say where they took effect.
func witnessOf(h history.History) (w *witness, positions int) {
	w = &witness{
		spans: spans(h), alive: make(map[uint64]history.Position), held: make(map[uint64]history.Position),
		alone: alone(h), doubts: make(map[string][]doubt), taken: make(map[place]int),
	}
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
	slices.SortStableFunc(ops, func(a, b *history.Op) int { return position(a).Compare(position(b)) })
	w.look(ops)
	w.inTime(ops)
	w.inTurn(ops)
	for _, o := range ops {
		w.idle(o)
		w.take(o)
	}
	return w, len(ops)
}

// position is where an operation took effect. What is only looked at is as of the
// whole entry.
func position(o *history.Op) history.Position {
	if o.Kind == history.Inspect {
		return history.Position{Index: o.At.Index, Order: math.MaxUint32}
	}
	return *o.At
}

type witness struct {
	rules   model.Rules
	state   model.State
	spans   map[uint64]*span
	unknown []*history.Op               // not put anywhere yet
	alive   map[uint64]history.Position // where a session is last seen to live
	held    map[uint64]history.Position // where a token is last seen to be held
	alone   map[string]bool             // names that are only wanted by themselves
	doubts  map[string][]doubt
	taken   map[place]int // in which order
	found   []Finding
}

// look notes what is known of later, so that nothing is put before it that it
// disproves.
func (w *witness) look(ops []*history.Op) { // in the order of positions
	for _, o := range ops {
		at := position(o)
		if o.Kind != history.Inspect { // whoever looks speaks for no session
			w.alive[o.Session] = at
		}
		for _, h := range o.Holders {
			w.alive[h.Session], w.held[h.Token] = at, at
		}
	}
}

// over tells whether what was last seen at p may be gone at o.
func over(p history.Position, o *history.Op) bool { return p.Compare(position(o)) < 0 }

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
	w.find(fmt.Sprintf("%s, at %v, cannot be: %s", o, o.At, w.state.Of(o.Names()...)), o)
}
