package verdict

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lockd-io/lockd/jepsen/history"
)

// A first violation is the answer before which there still was an order; info is of
// all that was known then, and of nothing later.
type first struct {
	op   history.Op
	info porcupine.LinearizationInfo
}

// firstOf finds the first violation in a part that has no order, by halving: what
// has no order at some time has none later. Each search may take limit; it is false
// if one took longer.
func firstOf(m porcupine.Model, part history.History, limit time.Duration) (first, bool) {
	answers := slices.DeleteFunc(slices.Clone(part), func(o history.Op) bool { return o.End() == math.MaxInt64 })
	slices.SortFunc(answers, func(a, b history.Op) int { return cmp.Compare(a.End(), b.End()) })
	decided := true
	var found first
	at := sort.Search(len(answers), func(i int) bool {
		result, info := porcupine.CheckOperationsVerbose(m, operations(until(part, answers[i].End())), limit)
		decided = decided && result != porcupine.Unknown
		if result != porcupine.Illegal {
			return false
		}
		found = first{op: answers[i], info: info} // the earliest so far
		return true
	})
	return found, decided && at < len(answers)
}

// until is what was known of a part at some time.
func until(part history.History, t int64) (known history.History) {
	for _, o := range part {
		if o.Call > t {
			continue
		}
		if o.End() > t {
			o.Status, o.Return = history.Unknown, 0
		}
		known = append(known, o)
	}
	return known
}

func (f *first) String() string {
	return fmt.Sprintf("there is one until %v, and none with the answer that came then: %s", time.Duration(f.op.End()), f.op.String())
}

// marked is what a picture of it shows.
func (f *first) marked() porcupine.LinearizationInfo {
	f.info.AddAnnotations([]porcupine.Annotation{{
		ClientId: f.op.Client, Start: f.op.End(), Description: "first violation", Details: f.String(),
		BackgroundColor: "#b00020", TextColor: "#ffffff",
	}})
	return f.info
}
