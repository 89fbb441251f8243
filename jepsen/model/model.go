// Package model says what a lock service may answer. It is written from
// docs/guarantees.md and knows nothing of how lockd does it: no queue, no log,
// no entry, only who holds what.
//
// One model has every kind. A mutex is a name that is wanted exclusively, a
// read-write lock one that is also shared, a semaphore one with permits, and an
// acquire of several names is one step over all of them: half of it cannot be
// written down, so that no order explains a half.
package model

import (
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// A hold is one name of a grant.
type hold struct {
	want  history.Want
	token uint64 // 0: not known
	after uint64 // of a first hold whose token is not known: what its token is greater than
}

// A grant is what an acquire was given.
type grant struct {
	id      uint64 // 0: not known, since the acquire was never answered
	session uint64
	owner   string
	holds   []hold
}

// A State is who holds what. It is a value: a step makes another.
type State struct {
	grants []grant  // in the order in which they were given
	ended  []uint64 // sessions, sorted
	burnt  []uint64 // numbers of grants that are not given any more, sorted
	token  uint64   // the largest that was given
}

// Rules are what a service promises beyond exclusion.
type Rules struct {
	// Tries says that a try is refused only because somebody holds the name: no
	// operation of the history waits, so nobody's turn can be before it.
	Tries bool
}

// Step tells whether the service may answer o in state s, and what is so
// afterwards. An operation whose fate is not known takes effect if it can, and
// does nothing otherwise: if it never had an effect, it can be put after all else.
func (r Rules) Step(s State, o *history.Op) (State, bool) {
	switch o.Kind {
	case history.Acquire:
		return r.acquire(s, o)
	case history.Release, history.Loss:
		return s.release(o)
	case history.Extend:
		return s, s.extended(o)
	case history.Close, history.Ended:
		return s.end(o)
	case history.Inspect:
		return s, o.Status != history.OK || s.shows(o)
	default:
		return s, true
	}
}

func (r Rules) acquire(s State, o *history.Op) (State, bool) {
	next, admitted := s.give(o)
	if o.Code == history.Abandoned {
		if at, burnt := slices.BinarySearch(s.burnt, o.Grant); burnt {
			s.burnt = slices.Delete(slices.Clone(s.burnt), at, at+1) // it does not come again
			return s, true
		}
		if !admitted {
			return s, true
		}
		return next, true
	}
	switch o.Status {
	case history.OK:
		return next, admitted
	case history.Unknown:
		if !admitted {
			return s, true
		}
		return next, true
	}
	if o.Code == history.Busy && r.Tries {
		return s, !admitted
	}
	return s, true
}

// give is s with what o asks for given, if it may be.
func (s State) give(o *history.Op) (State, bool) {
	if s.hasEnded(o.Session) {
		return s, false
	}
	g := grant{session: o.Session, owner: o.Owner, holds: make([]hold, len(o.Wants))}
	if o.Status == history.OK || o.Code == history.Abandoned {
		g.id = o.Grant
	}
	next := s
	next.grants = slices.Clone(s.grants)
	depth := uint32(1)
	given := s.token // before o
	for i, want := range o.Wants {
		token := uint64(0)
		if o.Status == history.OK && len(o.Tokens) > 0 {
			token = o.Tokens[i]
		}
		own, n, ok := next.admits(o, &want, token)
		if !ok {
			return s, false
		}
		switch {
		case n == 0 && token != 0:
			if token <= next.token {
				return s, false // tokens rise
			}
			next.token = token
		case n > 0 && token == 0:
			token = own
		}
		g.holds[i] = hold{want: want, token: token}
		if n == 0 && token == 0 && want.Mode != history.Permits {
			g.holds[i].after = given
		}
		depth += n
	}
	if o.Status == history.OK && o.Count != 0 && len(o.Wants) == 1 && o.Wants[0].Mode != history.Permits && o.Count != depth {
		return s, false
	}
	next.grants = append(next.grants, g)
	return next, true
}

// admits tells whether a name can be given to o's owner now; n is how many grants
// of it the owner has, and own their token, which it learns if it was not known.
func (s *State) admits(o *history.Op, want *history.Want, token uint64) (own uint64, n uint32, ok bool) {
	taken := uint64(want.Permits)
	for i := range s.grants {
		g := &s.grants[i]
		for j := range g.holds {
			h := &g.holds[j]
			if h.want.Name != want.Name {
				continue
			}
			mine := g.session == o.Session && g.owner == o.Owner
			switch {
			case h.want.Limit != want.Limit: // a semaphore of another size, or no semaphore
				return 0, 0, false
			case want.Mode == history.Permits:
				taken += uint64(h.want.Permits)
			case mine && h.want.Mode != want.Mode:
				return 0, 0, false
			case mine:
				if h.token != 0 && token != 0 && h.token != token {
					return 0, 0, false // one hold has one token
				}
				n++
				own = max(own, h.token)
			case want.Mode == history.Exclusive || h.want.Mode == history.Exclusive:
				return 0, 0, false
			}
		}
	}
	if want.Mode == history.Permits {
		return 0, 0, taken <= uint64(want.Limit)
	}
	if n > 0 && token != 0 && own == 0 && !s.learn(o, want.Name, token) {
		return 0, 0, false
	}
	return own, n, true
}

// learn gives the owner's holds of a name the token that is known now. It is false
// if the token was given before the hold was: a waits; b, of whom nobody knows the
// token, enters again and is told that it is the one which a had before.
func (s *State) learn(o *history.Op, name string, token uint64) bool {
	for i := range s.grants {
		g := &s.grants[i]
		if g.session != o.Session || g.owner != o.Owner {
			continue
		}
		g.holds = slices.Clone(g.holds)
		for j := range g.holds {
			if g.holds[j].want.Name != name {
				continue
			}
			if token <= g.holds[j].after {
				return false
			}
			g.holds[j].token, g.holds[j].after = token, 0
		}
	}
	s.token = max(s.token, token)
	return true
}

// find is the place of the grant with that number; -1 if it is not held.
func (s State) find(session, id uint64) int {
	return slices.IndexFunc(s.grants, func(g grant) bool { return g.id == id && g.session == session })
}

// findAny is find. The number may also be that of an acquire that was never
// answered: a client asks for nothing more after such a one, so that a session
// has one of them at most.
func (s State) findAny(session, id uint64) int {
	if at := s.find(session, id); at >= 0 {
		return at
	}
	return s.find(session, 0)
}

func (s State) release(o *history.Op) (State, bool) {
	at := s.findAny(o.Session, o.Grant)
	switch {
	case o.Code == history.Abandoned:
		return s.burn(o), true
	case o.Status == history.Fail:
		return s, o.Code != history.NotHeld || s.find(o.Session, o.Grant) < 0
	case at < 0:
		return s, o.Status == history.Unknown
	}
	s.grants = slices.Delete(slices.Clone(s.grants), at, at+1)
	return s, true
}

// burn takes away what an abandoned acquire was given, or sees to it that it is
// not given. An acquire that is abandoned is two operations, this and the giving,
// which have one number that no other has; which comes first is not known.
func (s State) burn(o *history.Op) State {
	if at := s.find(o.Session, o.Grant); at >= 0 {
		s.grants = slices.Delete(slices.Clone(s.grants), at, at+1)
		return s
	}
	if o.Status == history.Unknown {
		return s // it may be given at any later time as well: that this changes nothing makes fewer states
	}
	at, _ := slices.BinarySearch(s.burnt, o.Grant)
	s.burnt = slices.Insert(slices.Clone(s.burnt), at, o.Grant)
	return s
}

func (s State) extended(o *history.Op) bool {
	switch {
	case o.Status == history.OK:
		return s.findAny(o.Session, o.Grant) >= 0
	case o.Status == history.Fail && o.Code == history.NotHeld:
		return s.find(o.Session, o.Grant) < 0
	}
	return true
}

// end ends a session: what it holds is free, and it is given nothing any more.
func (s State) end(o *history.Op) (State, bool) {
	if o.Status == history.Fail || s.hasEnded(o.Session) {
		return s, o.Status != history.OK || o.Kind == history.Ended
	}
	s.grants = slices.DeleteFunc(slices.Clone(s.grants), func(g grant) bool { return g.session == o.Session })
	at, _ := slices.BinarySearch(s.ended, o.Session)
	s.ended = slices.Insert(slices.Clone(s.ended), at, o.Session)
	return s, true
}

func (s State) hasEnded(session uint64) bool {
	_, found := slices.BinarySearch(s.ended, session)
	return found
}
