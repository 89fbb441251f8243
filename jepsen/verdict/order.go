package verdict

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// inTime: what was answered before another was asked has an earlier position.
func (w *witness) inTime(ops []*history.Op) {
	byCall := slices.Clone(ops)
	slices.SortFunc(byCall, func(a, b *history.Op) int { return cmp.Compare(a.Call, b.Call) })
	byReturn := slices.Clone(ops)
	slices.SortFunc(byReturn, func(a, b *history.Op) int { return cmp.Compare(a.Return, b.Return) })
	var last *history.Op // with the greatest position of those answered before, or one of them
	next := 0
	for _, o := range byCall {
		for ; next < len(byReturn) && byReturn[next].Return < o.Call; next++ {
			if r := byReturn[next]; last == nil || position(r).Compare(position(last)) > 0 {
				last = r
			}
		}
		if last == nil {
			continue
		}
		before, after := position(last), position(o)
		if c := before.Compare(after); c > 0 || c == 0 && o.Kind != history.Inspect {
			w.find(fmt.Sprintf("%s, at %v, was answered before %s, at %v, was asked", last, last.At, o, o.At), last, o)
		}
	}
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
			return came(a).Compare(*came(b))
		})
		var last *history.Op // granted at the greatest position so far; of several readers that share it, any
		for _, o := range queue {
			if o.Count > 1 { // it was entered again
				continue
			}
			if last != nil && position(o).Compare(position(last)) < 0 && !sameOwner(o, last) {
				w.find(fmt.Sprintf("%s, granted at %v, was overtaken by %s, which came later and was granted at %v", last, last.At, o, o.At), last, o)
			}
			if last == nil || position(o).Compare(position(last)) > 0 {
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
