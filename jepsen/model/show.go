package model

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/lockd-io/lockd/jepsen/history"
)

// shows tells whether an inspection may have seen what it says. Of grants that one
// owner has of a name an inspection shows one hold.
func (s State) shows(o *history.Op) bool {
	seen := slices.Clone(o.Holders)
	for _, have := range s.holders(o.Name) {
		at := slices.IndexFunc(seen, func(h history.Holder) bool {
			return h.Session == have.Session && h.Owner == have.Owner && h.Mode == have.Mode && h.Permits == have.Permits &&
				(h.Token == have.Token || h.Token == 0 || have.Token == 0)
		})
		if at < 0 {
			return false
		}
		seen = slices.Delete(seen, at, at+1)
	}
	return len(seen) == 0
}

func (s State) holders(name string) (all []history.Holder) {
	for i := range s.grants {
		g := &s.grants[i]
		for _, h := range g.holds {
			if h.want.Name != name {
				continue
			}
			holder := history.Holder{Session: g.session, Owner: g.owner, Mode: h.want.Mode, Permits: h.want.Permits, Token: h.token}
			again := h.want.Mode != history.Permits && slices.ContainsFunc(all, func(other history.Holder) bool {
				return other.Session == holder.Session && other.Owner == holder.Owner
			})
			if !again {
				all = append(all, holder)
			}
		}
	}
	return all
}

// Equal tells whether two states are one. The order in which grants were given is
// no part of it.
func (s State) Equal(t State) bool {
	return s.token == t.token && slices.Equal(s.ended, t.ended) && len(s.grants) == len(t.grants) && s.key() == t.key()
}

var seed = maphash.MakeSeed()

// Hash is the same for states that are equal.
func (s State) Hash() uint64 {
	return maphash.String(seed, s.key())
}

func (s State) key() string {
	lines := make([]string, len(s.grants))
	for i := range s.grants {
		lines[i] = s.grants[i].String()
	}
	slices.Sort(lines)
	return fmt.Sprint(s.token, s.ended, s.burnt, lines)
}

func (g *grant) String() string {
	holds := slices.Clone(g.holds)
	slices.SortFunc(holds, func(a, b hold) int { return cmp.Compare(a.want.Name, b.want.Name) })
	return fmt.Sprintf("%d/%s #%d %v", g.session, g.owner, g.id, holds)
}

// String is the state for people: who holds what.
func (s State) String() string {
	if len(s.grants) == 0 {
		return "nothing is held"
	}
	var lines []string
	for i := range s.grants {
		g := &s.grants[i]
		for _, h := range g.holds {
			line := fmt.Sprintf("%s: %s by %d", h.want.Name, h.want.Mode, g.session)
			if g.owner != "" {
				line += "/" + g.owner
			}
			if h.want.Mode == history.Permits {
				line += fmt.Sprintf(" (%d of %d)", h.want.Permits, h.want.Limit)
			}
			if h.token != 0 {
				line += fmt.Sprintf(" token %d", h.token)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Holders are the sessions that hold a name.
func (s State) Holders(name string) (sessions []uint64) {
	for _, h := range s.holders(name) {
		sessions = append(sessions, h.Session)
	}
	return sessions
}

// Holds tells whether the session holds the grant with that number.
func (s State) Holds(session, id uint64) bool { return s.find(session, id) >= 0 }

// Tokens are those of a grant that is held.
func (s State) Tokens(session, id uint64) (tokens []uint64) {
	if at := s.findAny(session, id); at >= 0 {
		for _, h := range s.grants[at].holds {
			tokens = append(tokens, h.token)
		}
	}
	return tokens
}

// Of is the state of some names, for people.
func (s State) Of(names ...string) string {
	var lines []string
	for _, name := range names {
		for _, h := range s.holders(name) {
			lines = append(lines, fmt.Sprintf("%s is held by %d/%s (%s, token %d)", name, h.Session, h.Owner, h.Mode, h.Token))
		}
	}
	if len(lines) == 0 {
		return "nothing of it is held"
	}
	return strings.Join(lines, ", ")
}
