package verdict

import (
	"strings"
	"testing"

	"github.com/lockd-io/lockd/jepsen/history"
)

// story is a history in the making: operations of sessions 1 to 4, each of a client
// of its own, on names that are exclusive. Times are those of positions: an operation
// that is at 20 was called at 20 and answered at 21, unless it is said otherwise.
type story []*history.Op

func (s *story) add(o history.Op) *history.Op {
	o.ID, o.Client = len(*s)+1, max(o.Client, int(o.Session))
	o.Call = max(o.Call, indexOf(o.At))
	*s = append(*s, &o)
	return &o
}

func indexOf(p *history.Position) int64 {
	if p == nil {
		return 0
	}
	return int64(p.Index)
}

func (s *story) history() (h history.History) {
	for _, o := range *s {
		if o.Status == "" {
			o.Status = history.OK
		}
		if o.Return == 0 && o.Status != history.Unknown {
			o.Return = max(o.Call, indexOf(o.At)) + 1
		}
		h = append(h, *o)
	}
	return h
}

func wantOf(name string) []history.Want {
	return []history.Want{{Name: name, Mode: history.Exclusive}}
}

// try is granted at once, with that number and token.
func (s *story) try(session, grant uint64, name string, index uint64) *history.Op {
	return s.add(history.Op{Kind: history.Acquire, Session: session, Wants: wantOf(name), Grant: grant, Tokens: []uint64{grant}, Count: 1, At: at(index)})
}

// wait begins at one place and is granted at another.
func (s *story) wait(session, grant uint64, name string, queued, index uint64) *history.Op {
	o := s.try(session, grant, name, index)
	o.Wait, o.Queued, o.Call = -1, at(queued), int64(queued)
	return o
}

func (s *story) refused(session uint64, name, code string, index uint64) *history.Op {
	return s.add(history.Op{Kind: history.Acquire, Session: session, Wants: wantOf(name), Status: history.Fail, Code: code, At: at(index)})
}

func (s *story) release(session, grant, index uint64) *history.Op {
	return s.add(history.Op{Kind: history.Release, Session: session, Grant: grant, At: at(index)})
}

func (s *story) renew(session, index uint64) *history.Op {
	return s.add(history.Op{Kind: history.Renew, Session: session, Client: 10 + int(session), At: at(index)})
}

// look is by a client that has no session.
func (s *story) look(name string, index uint64, holders ...history.Holder) *history.Op {
	return s.add(history.Op{Kind: history.Inspect, Client: 9, Name: name, At: at(index), Holders: holders})
}

func holder(session, token uint64) history.Holder {
	return history.Holder{Session: session, Mode: history.Exclusive, Token: token}
}

// open is with a TTL that is over soon.
func (s *story) open(sessions ...uint64) {
	for _, session := range sessions {
		s.add(history.Op{Kind: history.Open, Session: session, Client: 20 + int(session), TTL: 20, Call: 1, At: at(session)})
	}
}

// What the witness makes of stories, each about one of its rules: those without
// findings look wrong and are not.
func TestWitnessRules(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(*story)
		want string
	}{
		// Who came first is granted first.
		"a first grant past who waits": {func(s *story) {
			s.try(1, 1, "x", 10)
			s.wait(2, 3, "x", 20, 40)
			s.wait(3, 2, "x", 25, 31)
			s.release(1, 1, 30)
			s.release(3, 2, 35)
		}, "was overtaken"},
		"an owner enters again past who waits": {func(s *story) {
			s.try(1, 1, "x", 10)
			s.wait(2, 3, "x", 20, 40)
			again := s.try(1, 2, "x", 25)
			again.Tokens, again.Count = []uint64{1}, 2
			s.release(1, 1, 30)
			s.release(1, 2, 32)
		}, ""},
		"the other owner of a session past who waits": {func(s *story) {
			s.try(1, 1, "x", 10)
			s.wait(2, 3, "x", 20, 40).Owner = "o"
			other := s.wait(2, 2, "x", 25, 31)
			other.Owner, other.Client = "p", 12
			s.release(1, 1, 30)
			s.release(2, 2, 35).Client = 12
		}, "was overtaken"},
		"of two waits of one owner the later first": {func(s *story) { // which is entered again is not told
			s.try(1, 1, "x", 10)
			first := s.wait(2, 3, "x", 20, 40)
			second := s.wait(2, 2, "x", 25, 31)
			second.Client = 12
			first.Tokens, first.Count, second.Count = []uint64{2}, 0, 0
			s.release(1, 1, 30)
		}, ""},
		"past who waits, behind an owner who does not count": {func(s *story) {
			s.try(1, 1, "x", 10)
			s.wait(2, 4, "x", 20, 60).Count = 0
			other := s.wait(2, 2, "x", 22, 31)
			other.Client, other.Count = 12, 0
			s.wait(3, 3, "x", 25, 41)
			s.release(1, 1, 30)
			s.release(2, 2, 40).Client = 12
			s.release(3, 3, 50)
		}, "was overtaken"},
		"two who were let in at one place": {func(s *story) {
			s.try(1, 1, "x", 10)
			one, two := s.wait(2, 2, "x", 20, 31), s.wait(3, 3, "x", 25, 31)
			one.Wants, two.Wants = []history.Want{{Name: "x", Mode: history.Shared}}, []history.Want{{Name: "x", Mode: history.Shared}}
			s.release(1, 1, 30)
		}, ""},

		"past who waits for another name as well": {func(s *story) {
			s.try(1, 1, "x", 10)
			s.try(3, 2, "y", 12)
			both := s.wait(1, 4, "x", 20, 60) // it has x already, so that it waits in no line for it
			both.Client, both.Owner, both.Count = 11, "o", 0
			both.Wants, both.Tokens = append(wantOf("x"), wantOf("y")...), []uint64{4, 5}
			s.wait(2, 3, "x", 25, 31)
			s.release(1, 1, 30)
			s.release(3, 2, 40)
			s.release(2, 3, 50)
		}, ""},

		// Positions are of one operation each, and agree with the clock.
		"one place for two, one after the other": {func(s *story) {
			s.try(1, 1, "x", 10)
			o := s.release(1, 1, 10)
			o.Call, o.Return = 15, 16
		}, "was answered before"},
		"a look at the place of what it sees": {func(s *story) {
			s.try(1, 1, "x", 10)
			o := s.look("x", 10, holder(1, 1))
			o.Call, o.Return = 15, 16
		}, ""},

		// A refusal is because of somebody.
		"refused because of what was withdrawn long before": {func(s *story) {
			o := s.refused(1, "x", history.Abandoned, 10)
			o.Wait = -1
			s.refused(2, "x", history.Busy, 30)
		}, "nobody held it"},
		"refused because of a session that is over": {func(s *story) {
			s.refused(1, "x", history.NoSession, 10)
			s.refused(2, "x", history.Busy, 30)
		}, "nobody held it"},
		"refused because of what was asked for later": {func(s *story) {
			s.refused(2, "x", history.Busy, 10)
			o := s.refused(1, "x", "", 20)
			o.Status, o.At, o.Return = history.Unknown, nil, 0
		}, "nobody held it"},
		"refused because of another who is refused": {func(s *story) {
			s.refused(1, "x", history.Busy, 10).At = nil
			s.refused(2, "x", history.Busy, 10)
		}, "nobody held it"},
		"refused because of a grant of no place": {func(s *story) {
			s.try(1, 1, "x", 10).At = nil
			s.refused(2, "x", history.Busy, 30)
			s.release(1, 1, 40).At = nil
		}, ""},

		"refused because of what is being withdrawn": {func(s *story) {
			o := s.refused(1, "x", history.Abandoned, 40)
			o.Wait, o.Call = -1, 10
			s.refused(2, "x", history.Busy, 30)
		}, ""},
		"refused together with a name that another holds": {func(s *story) {
			s.try(1, 1, "y", 10)
			s.refused(2, "x", history.Busy, 30).Wants = append(wantOf("x"), wantOf("y")...)
		}, ""},

		// What has no place is put where it may be, and nowhere else.
		"a grant of no place is seen": {func(s *story) {
			s.try(1, 1, "x", 10).At = nil
			s.look("x", 30, holder(1, 1))
		}, ""},
		"what is withdrawn without an answer is seen": {func(s *story) {
			o := s.refused(1, "x", history.Abandoned, 10)
			o.Status, o.Return = history.Unknown, 0 // its place is none
			s.look("x", 30, holder(1, 1))
		}, ""},
		"held by a session that is over, as it is told": {func(s *story) {
			s.open(1)
			s.try(1, 1, "x", 10)
			s.try(2, 2, "x", 40)
			o := s.release(1, 1, 60)
			o.Status, o.Code = history.Fail, history.NoSession
		}, ""},
		"held by a session that is seen to live": {func(s *story) {
			s.open(1)
			s.try(1, 1, "x", 10)
			s.try(2, 2, "x", 40)
			o := s.renew(1, 60)
			o.Call, o.Return = 12, 62 // its TTL is over when the other is granted
		}, "cannot be"},
		"held by a session that has its TTL still": {func(s *story) {
			s.open(1)
			s.try(1, 1, "x", 10)
			s.renew(1, 30)
			s.try(2, 2, "x", 40)
		}, "cannot be"},
		"held by a session that its client closes later": {func(s *story) {
			s.open(1)
			s.try(1, 1, "x", 10)
			s.try(2, 2, "x", 40)
			s.add(history.Op{Kind: history.Close, Session: 1, Call: 60})
		}, "cannot be"},
		"held by a session of which nobody knows whether it was closed": {func(s *story) {
			s.try(1, 1, "x", 10)
			s.add(history.Op{Kind: history.Close, Session: 1, Call: 15, Status: history.Unknown})
			s.try(2, 2, "x", 40)
		}, ""},
		"held by a session that lives after it was maybe closed": {func(s *story) {
			s.try(1, 1, "x", 10)
			s.add(history.Op{Kind: history.Close, Session: 1, Call: 15, Status: history.Unknown})
			s.try(2, 2, "x", 40)
			s.renew(1, 60)
		}, "cannot be"},
		"given once and held twice": {func(s *story) {
			o := s.refused(1, "x", "", 10)
			o.Status, o.At = history.Unknown, nil
			s.look("x", 20, holder(1, 1))
			s.release(1, 1, 30).Client = 11
			s.look("x", 40, holder(1, 2))
		}, "cannot be"},
		"given back without an answer, by a service without tokens": {func(s *story) {
			s.try(1, 1, "x", 10).Tokens = nil
			o := s.release(1, 1, 20)
			o.Status, o.At = history.Unknown, nil
			s.try(2, 2, "x", 40).Tokens = nil
			s.look("x", 60, holder(2, 0))
		}, ""},
		"what its session lost is no sign of its life": {func(s *story) {
			s.open(1)
			s.try(1, 1, "x", 10)
			s.try(1, 2, "y", 12)
			s.add(history.Op{Kind: history.Loss, Session: 1, Grant: 2, Call: 30})
			s.try(2, 3, "x", 35)
		}, ""},
		"half of a session is over, in one look": {func(s *story) {
			s.open(1)
			s.try(1, 1, "x", 10)
			s.try(1, 2, "y", 12)
			s.look("y", 60, holder(1, 2)).Client = 8
			s.look("x", 60)
		}, "cannot be"},
		"not held, it says, and held it is": {func(s *story) {
			s.try(1, 1, "x", 10)
			o := s.release(1, 1, 20)
			o.Status, o.Code = history.Fail, history.NotHeld
		}, "cannot be"},
	} {
		t.Run(name, func(t *testing.T) {
			var s story
			c.tell(&s)
			if err := s.history().Validate(); err != nil {
				t.Fatal(err)
			}
			got := Witnessed(s.history())
			switch {
			case c.want == "" && got.Verdict != Pass:
				t.Fatal(got.Findings)
			case c.want != "" && (got.Verdict != Violated || !strings.Contains(got.Findings[0].What, c.want)):
				t.Fatal(got.Verdict, got.Findings)
			}
		})
	}
}
