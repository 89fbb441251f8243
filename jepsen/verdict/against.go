package verdict

import (
	"fmt"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// against is what plainly speaks against an acquire that no order explains, for
// people: who had the name and did not give it back, or what token came before. It
// is empty if it is not as plain as that. part is with the ends of sessions.
func against(part history.History, o *history.Op) (why string, ops []int) {
	if o.Kind != history.Acquire || o.Status != history.OK {
		return "", nil
	}
	for i := range part {
		other := &part[i]
		if other.Kind != history.Acquire || other.Status != history.OK || other.ID == o.ID || len(ops) == 2 {
			continue
		}
		mine := other.Session == o.Session && other.Owner == o.Owner
		for j, want := range other.Wants {
			at := slices.IndexFunc(o.Wants, func(w history.Want) bool { return w.Name == want.Name })
			if at < 0 || mine || want.Mode == history.Permits {
				continue
			}
			before := other.Return < o.Call
			switch {
			case before && len(o.Tokens) > 0 && len(other.Tokens) > 0 && other.Tokens[j] >= o.Tokens[at]:
				why += fmt.Sprintf("; operation %d was given a token before that is not smaller: %s", other.ID, other)
			case before && (want.Mode == history.Exclusive || o.Wants[at].Mode == history.Exclusive) && !mayBeOver(part, other, o.Return):
				why += fmt.Sprintf("; operation %d has it still: %s", other.ID, other)
			default:
				continue
			}
			ops = append(ops, other.ID)
			break
		}
	}
	return why, ops
}

// mayBeOver tells whether what an acquire was given may have ended by a time.
func mayBeOver(part history.History, acquire *history.Op, by int64) bool {
	return slices.ContainsFunc(part, func(o history.Op) bool {
		if o.Call >= by || o.Session != acquire.Session {
			return false
		}
		switch o.Kind {
		case history.Release, history.Loss:
			return o.Grant == acquire.Grant && o.Call > acquire.Call && (o.Status != history.Fail || o.Code == history.NoSession)
		case history.Close, history.Ended:
			return true
		}
		return false
	})
}
