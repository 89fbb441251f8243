package verdict

import (
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// abandonedGrant is the number of what an abandoned acquire may have been given:
// greater than any that a service tells.
const abandonedGrant = 1 << 63

// abandoned puts two operations into the history for each acquire that was
// withdrawn: that it is given, if it can be, and that it is so no more. Both are
// between its call and the answer to the withdrawal, if there is one, in either
// order, and what is not given by then is not given any more.
func abandoned(h history.History) history.History {
	next := 0
	for i := range h {
		next = max(next, h[i].ID+1)
	}
	all := make(history.History, 0, len(h))
	for _, o := range h {
		if o.Kind != history.Acquire || o.Code != history.Abandoned {
			all = append(all, o)
			continue
		}
		o.Grant = abandonedGrant + uint64(o.ID)
		over := o
		over.ID, over.Kind = next, history.Release
		next++
		all = append(all, o, over)
	}
	return all
}

// settled is a part without what was withdrawn, but for what somebody may have seen
// until then: sessions of which a token is shown that no answer has told. If that
// has an order, so has the part: what is given and taken away at once changes
// nothing. It is found much sooner, and nearly always there. (Without what was seen there
// is none, and the search would only begin anew.)
func settled(part history.History) history.History {
	told := make(map[uint64]bool)
	for i := range part {
		for _, token := range part[i].Tokens {
			told[token] = true
		}
	}
	seen := make(map[uint64]bool)
	for i := range part {
		for _, h := range part[i].Holders {
			if !told[h.Token] {
				seen[h.Session] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(part), func(o history.Op) bool { return o.Code == history.Abandoned && !seen[o.Session] })
}

// abandoned notes that an acquire that was withdrawn may be given until then. What
// it returns is the withdrawal, at its position; nil if that is not known.
func (w *witness) abandoned(o *history.Op) (over *history.Op) {
	given, release := *o, *o
	given.Status, given.Grant = history.Unknown, abandonedGrant+uint64(o.ID)
	release.Kind, release.Grant = history.Release, given.Grant
	w.unknown = append(w.unknown, &given)
	w.doubt(o)
	if o.At == nil || o.Status == history.Unknown {
		w.unknown = append(w.unknown, &release)
		return nil
	}
	return &release
}

// withdrawn takes away what was given of an acquire, and what may be.
func (w *witness) withdrawn(over *history.Op) {
	w.step(over)
	w.unknown = slices.DeleteFunc(w.unknown, func(u *history.Op) bool { return u.Grant == over.Grant })
}
