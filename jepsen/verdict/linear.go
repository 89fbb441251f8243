package verdict

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/model"
)

// Linear is what the search for an order found.
type Linear struct {
	Verdict  Verdict
	Ops      int // that were in an order, or not
	Parts    int // names, or groups of names that were wanted together
	Shown    int // operations, of Ops, whose order was found once the witness's was shown
	Findings []Finding

	// Of the first part without an order:
	model porcupine.Model
	info  porcupine.LinearizationInfo
}

// drift is the share of a TTL by which clocks may differ.
const drift = 0.01

// Linearizable looks for an order of all operations that agrees with the times of
// calls and answers and that the model allows, by the algorithm of Wing and Gong
// as Lowe has it (porcupine). What it finds is an order by times and answers alone:
// a service that lies about positions is judged by what it does. They are looked at
// where the search takes long, to show it an order to try; see narrowed. limit is
// for the search of each part; the two tries before it take a tenth of that each.
func Linearizable(h history.History, limit time.Duration) Linear {
	if err := h.Validate(); err != nil {
		return Linear{Verdict: Violated, Findings: []Finding{{What: "no history: " + err.Error()}}}
	}
	whole := h
	taken := sync.OnceValue(func() map[place]int { // few need it
		w, _ := witnessOf(whole)
		return w.taken
	})
	h, early := expiries(h, drift)
	split, foreign := parts(abandoned(h))
	out := Linear{Verdict: Pass, Findings: append(early, foreign...)}
	if len(out.Findings) > 0 {
		out.Verdict = Violated
	}
	short := max(limit/10, 1) // 0 is for ever
	for _, part := range split {
		out.Ops += placed(part)
		out.Parts++
		m := modelOf(part)
		if porcupine.CheckOperationsTimeout(m, operations(settled(part)), short) == porcupine.Ok {
			continue
		}
		if ops, agrees := narrowed(part, taken()); agrees && porcupine.CheckOperationsTimeout(m, ops, short) == porcupine.Ok {
			out.Shown += placed(part)
			continue
		}
		result, info := porcupine.CheckOperationsVerbose(m, operations(part), limit)
		switch result {
		case porcupine.Ok:
			continue
		case porcupine.Illegal:
			out.Verdict = Violated
			finding := Finding{What: "no order of what befell " + namesOf(part) + " explains its answers", Ops: idsOf(part)}
			if out.model.Step == nil {
				out.model, out.info = m, info
				if f, found := firstOf(m, part, short); found {
					out.info = f.marked()
					why, by := against(part, &f.op)
					finding = Finding{What: finding.What + "; " + f.String() + why, Ops: append([]int{f.op.ID}, by...)}
				}
			}
			out.Findings = append(out.Findings, finding)
		default:
			if out.Verdict == Pass {
				out.Verdict = Undecided
			}
			out.Findings = append(out.Findings, Finding{What: fmt.Sprintf("no order of %d operations of %s found in %v", len(part), namesOf(part), limit)})
		}
	}
	return out
}

// placed counts what is in this part alone (what ends a session may be in several)
// and was not put there for another.
func placed(part history.History) (n int) {
	for i := range part {
		o := &part[i]
		if o.Kind != history.Ended && o.Kind != history.Close && (o.Kind != history.Release || o.Code != history.Abandoned) {
			n++
		}
	}
	return n
}

// Drawn tells whether there is a part without an order to be drawn.
func (l *Linear) Drawn() bool { return l.model.Step != nil }

// Picture draws the first part that has no order, up to where there is none and
// with that marked, as a page of HTML. It is false if there is none.
func (l *Linear) Picture(w io.Writer) (bool, error) {
	if !l.Drawn() {
		return false, nil
	}
	return true, porcupine.Visualize(l.model, l.info, w)
}

func modelOf(part history.History) porcupine.Model {
	rules := model.Rules{Tries: true}
	for i := range part {
		if o := &part[i]; o.Kind == history.Acquire && o.Wait != 0 {
			rules.Tries = false
		}
	}
	return porcupine.Model{
		Init: func() any { return model.State{} },
		Step: func(state, input, _ any) (bool, any) {
			next, ok := rules.Step(state.(model.State), input.(*history.Op))
			return ok, next
		},
		Equal:             func(a, b any) bool { return a.(model.State).Equal(b.(model.State)) },
		Hash:              func(s any) uint64 { return s.(model.State).Hash() },
		DescribeOperation: func(input, _ any) string { return input.(*history.Op).String() },
		DescribeState:     func(s any) string { return s.(model.State).String() },
	}
}

func operations(part history.History) []porcupine.Operation {
	last := int64(0)
	for i := range part {
		last = max(last, part[i].Call, part[i].Return)
	}
	ops := make([]porcupine.Operation, len(part))
	for i := range part {
		o := &part[i]
		end := o.End()
		if end == math.MaxInt64 {
			end = last + 1 // after all else; a picture has an end
		}
		ops[i] = porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: end}
	}
	return ops
}

// shownMax is how many of something a finding names.
const shownMax = 8

func namesOf(part history.History) string {
	seen := make(map[string]bool)
	text := ""
	for i := range part {
		for _, name := range part[i].Names() {
			if seen[name] {
				continue
			}
			seen[name] = true
			switch {
			case len(seen) > shownMax:
				return text + ", ..."
			case text != "":
				text += ", "
			}
			text += fmt.Sprintf("%q", name)
		}
	}
	return text
}

func idsOf(part history.History) (ids []int) {
	for i := range part[:min(len(part), shownMax)] {
		ids = append(ids, part[i].ID)
	}
	return ids
}
