package fsm

import (
	"cmp"
	"slices"
)

// A keyOf is the idempotency key of an acquire on somebody's behalf.
type keyOf struct {
	session SessionID
	key     Nonce
}

// beneficiary is whom a command's grant belongs to. Whoever speaks for another
// shows that one's secret; for nobody, anybody may speak.
func (s *State) beneficiary(ss *session, c *Command) (*session, Result) {
	switch c.Behalf {
	case BehalfNobody:
		return s.session(ReservedSession), Result{}
	case BehalfAnother:
		if to := s.session(c.For); to != nil && to.secret == c.Secret {
			return to, Result{}
		}
		return nil, Result{Status: StatusNobody}
	default:
		return ss, Result{}
	}
}

// ownSeq is the number by which the holder itself knows its acquire.
func (c *Command) ownSeq() Seq {
	if c.Behalf == BehalfSelf {
		return c.Seq
	}
	return 0
}

// givenBefore finds what an acquire with this key was given. A client that hears
// nothing over HTTP asks again, perhaps through another node, whose session knows
// nothing of the first.
func (s *State) givenBefore(to *session, key Nonce, wants []Want) (Result, bool) {
	id, found := s.keys[keyOf{to.id, key}]
	if !found {
		return Result{}, false
	}
	rows := s.namesOf(to.id, id)
	result := Result{Status: StatusOK, Grant: id, Until: rows[0].until, Count: 1}
	if to.id != ReservedSession {
		result.Session = to.id
	}
	var rest []byte
	for i := range wants {
		row := rowNamed(rows, &wants[i])
		switch {
		case row == nil || len(rows) != len(wants):
			return Result{Status: StatusInvalid}, true // the key of something else
		case i == 0:
			result.Token = row.token
		default:
			rest = row.token.append(rest)
		}
	}
	result.Rest = Tokens(rest)
	return result, true
}

// giveCopies ends the waits that have the key of what was given just now: they are
// copies of its acquire that came by way of other nodes, or of one by which it was
// overtaken. Were they to wait on, the key would have a second grant in the end.
func (s *State) giveCopies(to *session, key Nonce) {
	if key == (Nonce{}) {
		return
	}
	for k := (keyOf{to.id, key}); len(s.copies[k]) > 0; {
		w := s.copies[k][0]
		s.withdraw(w)
		s.stirAll(w)
		r, _ := s.givenBefore(to, w.key, w.wants)
		s.settle(w, r)
	}
}

// keepCopy notes a waiter under its key, in the order of arrival.
func (s *State) keepCopy(w *waiter) {
	if w.key == (Nonce{}) {
		return
	}
	k := keyOf{w.session, w.key}
	all := append(s.copies[k], w)
	slices.SortFunc(all, func(a, b *waiter) int { return cmp.Compare(a.turn, b.turn) })
	s.copies[k] = all
}

func (s *State) forgetCopy(w *waiter) {
	if w.key == (Nonce{}) {
		return
	}
	k := keyOf{w.session, w.key}
	s.copies[k] = slices.DeleteFunc(s.copies[k], func(other *waiter) bool { return other == w })
	if len(s.copies[k]) == 0 {
		delete(s.copies, k)
	}
}

func rowNamed(rows []*grant, w *Want) *grant {
	for _, row := range rows {
		if row.name == w.Name && row.mode == w.Mode && row.permits == w.Permits {
			return row
		}
	}
	return nil
}

// sponsoredOf lists the waits of other sessions on behalf of this one.
func (s *State) sponsoredOf(id SessionID) []*waiter {
	var all []*waiter
	p := &s.probe.waiter
	p.session, p.turn = id, 0
	s.sponsored.AscendGreaterOrEqual(p, func(w *waiter) bool {
		if w.session != id {
			return false
		}
		all = append(all, w)
		return true
	})
	return all
}

func sponsoredLess(a, b *waiter) bool {
	if a.session != b.session {
		return a.session < b.session
	}
	return a.turn < b.turn
}
