package verdict

import (
	"cmp"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/lockd-io/lockd/jepsen/history"
)

// A place names what the witness takes: what ended a session by that, what was
// withdrawn by the number that it has for the model, else an operation by its own.
type place struct {
	kind history.Kind
	of   uint64
}

func placeOf(o *history.Op) place {
	switch {
	case o.Kind == history.Ended:
		return place{o.Kind, o.Session}
	case o.Kind == history.Release && o.Code == history.Abandoned:
		return place{o.Kind, o.Grant}
	}
	return place{o.Kind, uint64(o.ID)}
}

// An event is a time at which an operation may begin to have its effect, or must
// have had it, or both.
type event struct {
	time         int64
	rank         int // of those at one time: what begins, what is then, what is over
	op           int
	begins, ends bool
}

// narrowed gives the operations of a part less time: one moment to each that the
// witness has taken, in its order, and the end to what it had no need of. So a
// search has next to nothing to choose. An order that it finds is one of the part
// itself, wherever the moments come from, since each is between call and answer:
// no more is asked of an order. That it finds none says nothing. It is false if the
// witness's order does not agree with the times.
func narrowed(part history.History, taken map[place]int) ([]porcupine.Operation, bool) {
	var known []int
	for i := range part {
		if _, is := taken[placeOf(&part[i])]; is {
			known = append(known, i)
		}
	}
	slices.SortFunc(known, func(a, b int) int {
		return cmp.Compare(taken[placeOf(&part[a])], taken[placeOf(&part[b])])
	})
	moments := make(map[place]int64, len(known))
	events := make([]event, 0, 2*len(part))
	now := int64(math.MinInt64)
	for _, i := range known {
		o := &part[i]
		switch {
		case o.End() >= now:
			now = max(now, o.Call)
		case o.Kind == history.Ended:
			continue // the witness needed it late; it was known before
		default:
			return nil, false
		}
		moments[placeOf(o)] = now
		events = append(events, event{now, 1, i, true, true})
	}
	for i := range part {
		o := &part[i]
		if _, is := moments[placeOf(o)]; is {
			continue
		}
		begin := event{o.Call, 0, i, true, false}
		switch {
		case o.Kind == history.Ended || o.End() == math.MaxInt64:
			begin.time = o.End()
		case o.Code == history.Abandoned: // it was not given before it was taken away
			begin.time, begin.rank = max(o.Call, moments[place{history.Release, o.Grant}]), 1
		}
		events = append(events, begin, event{o.End(), 2, i, false, true})
	}
	slices.SortStableFunc(events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.rank, b.rank))
	})
	ops := make([]porcupine.Operation, len(part))
	for at, e := range events {
		o := &ops[e.op]
		o.ClientId, o.Input = part[e.op].Client, &part[e.op]
		if e.begins {
			o.Call = int64(at)
		}
		if e.ends {
			o.Return = int64(at)
		}
	}
	return ops, true
}
