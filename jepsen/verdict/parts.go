package verdict

import (
	"github.com/lockd-io/lockd/jepsen/history"
)

// parts splits a history so that each part can be judged by itself: names that
// were ever wanted together are in one part, with all that befell them. What ends
// a session is in every part in which the session acquired something. (So half of
// a session's locks that survive it are not seen here; the witness sees them.)
//
// Operations that touch no name are left out. What is found already is that
// something was done to a grant that nobody was given.
func parts(h history.History) (all []history.History, found []Finding) {
	names := make(sets)
	for i := range h {
		all := h[i].Names()
		for _, name := range all {
			names.join(all[0], name)
		}
	}
	type ofSession struct{ session, grant uint64 }
	grants := make(map[ofSession]string)  // one of the names of each grant
	unanswered := make(map[uint64]string) // and of what a session may have been given
	sessions := make(map[uint64]map[string]bool)
	for i := range h {
		if o := &h[i]; o.Kind == history.Acquire {
			root := names.root(o.Wants[0].Name)
			if sessions[o.Session] == nil {
				sessions[o.Session] = make(map[string]bool)
			}
			sessions[o.Session][root] = true
			switch {
			case o.Status == history.OK || o.Code == history.Abandoned:
				grants[ofSession{o.Session, o.Grant}] = root
			case o.Status == history.Unknown:
				unanswered[o.Session] = root
			}
		}
	}
	index := make(map[string]int)
	put := func(root string, o history.Op) {
		at, known := index[root]
		if !known {
			at = len(all)
			index[root] = at
			all = append(all, nil)
		}
		all[at] = append(all[at], o)
	}
	for i := range h {
		switch o := h[i]; o.Kind {
		case history.Acquire, history.Inspect:
			put(names.root(o.Names()[0]), o)
		case history.Release, history.Extend, history.Loss:
			root, known := grants[ofSession{o.Session, o.Grant}]
			if !known {
				root, known = unanswered[o.Session]
			}
			switch {
			case known:
				put(root, o)
			case o.Status == history.OK:
				found = append(found, Finding{What: o.String() + ": that session was never given it", Ops: []int{o.ID}})
			}
		case history.Close, history.Ended:
			for root := range sessions[o.Session] {
				put(root, o)
			}
		}
	}
	return all, found
}

// sets are names, each with one of those that it belongs together with.
type sets map[string]string

func (s sets) root(name string) string {
	for {
		up, known := s[name]
		if !known || up == name {
			return name
		}
		if over, known := s[up]; known {
			s[name] = over // the next look is shorter
		}
		name = up
	}
}

func (s sets) join(a, b string) {
	if a, b = s.root(a), s.root(b); a != b {
		s[b] = a
	}
}
