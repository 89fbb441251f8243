package fsm

import (
	"math"
	"strings"
	"testing"
)

// busy is a state that has something of everything: s1 holds x twice, once with
// a deadline, and has a loss to hear of; s2 and s3 wait for x; a member.
func busy(t testing.TB) *State {
	t.Helper()
	s := New()
	for i, lines := range []string{
		"open a\nopen b\nopen c\nmember n1",
		"s1#1 acquire lost max=1s",
		"s1#2 acquire x\ns1#3 acquire x max=60s\ns2#1 acquire x wait=60s\ns3#1 acquire y",
		"s3#2 acquire x wait=forever",
	} {
		e := Entry{Term: 1, Now: Instant(i) * Instant(Second)}
		for _, line := range strings.Split(lines, "\n") {
			e.Commands = append(e.Commands, parseCommand(t, line))
		}
		s.Apply(Index(i+1), 1, &e)
	}
	if err := s.Check(); err != nil || len(s.session(1).events) != 1 || s.lock("x").waiting != 2 {
		t.Fatal("not the state that the tests are about:", err)
	}
	return s
}

// TestCheck breaks each invariant by hand. Check must say which it was.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, says string
		spoil      func(s *State)
	}{
		{"two holders", "I1", func(s *State) {
			l := s.lock("x")
			l.holds = append(l.holds, hold{session: 2, mode: Exclusive, token: 1, grants: []GrantID{9}})
		}},
		{"a shared hold of a lock", "I1", func(s *State) { s.lock("x").holds[0].mode = Shared }},
		{"a semaphore", "I1", func(s *State) { s.lock("x").kind = KindSemaphore }},
		{"no name", "I1", func(s *State) { s.locks.ReplaceOrInsert(&lock{kind: KindLock}) }},
		{"waiters and no holder", "I2", func(s *State) { s.lock("x").holds = nil }},
		{"an idle name", "I2", func(s *State) { s.locks.ReplaceOrInsert(&lock{name: "idle", kind: KindLock}) }},
		{"one token for two", "I3", func(s *State) { s.lock("y").holds[0].token = s.lock("x").holds[0].token }},
		{"a token to come", "I3", func(s *State) { s.lock("x").holds[0].token += 10 }},
		{"no token", "I3", func(s *State) { s.lock("x").holds[0].token = 0 }},
		{"a hold without a grant", "I4", func(s *State) { s.lock("x").holds[0].grants = nil }},
		{"a hold of no grant's", "I4", func(s *State) { s.grants.Delete(s.grant(1, s.lock("x").holds[0].grants[0])) }},
		{"a grant of no hold", "I4", func(s *State) {
			h := &s.lock("x").holds[0]
			h.grants = h.grants[:1]
		}},
		{"a grant of a dead session", "I4", func(s *State) {
			s.grants.ReplaceOrInsert(&grant{id: 1, session: 77, name: "x"})
		}},
		{"a grant of another name", "I4", func(s *State) { s.grant(1, s.lock("x").holds[0].grants[0]).name = "y" }},
		{"a grant of another token", "I4", func(s *State) { s.grant(1, s.lock("x").holds[0].grants[0]).token++ }},
		{"a grant to come", "I4", func(s *State) { s.lastGrant = 1 }},
		{"a miscount of grants", "I4", func(s *State) { s.session(1).grants++ }},
		{"a hold of a dead session", "I4", func(s *State) {
			ss := s.session(3)
			s.withdraw(s.waitersOf(3)[0])
			s.sessions.Delete(ss)
			delete(s.opens, ss.nonce)
			s.timers.remove(ss.timer)
		}},
		{"a waiter of a dead session", "I5", func(s *State) {
			ss := s.session(2)
			s.sessions.Delete(ss)
			delete(s.opens, ss.nonce)
			s.timers.remove(ss.timer)
		}},
		{"a waiter in no queue", "I5", func(s *State) { s.queues.Delete(s.waiter(2, 1)) }},
		{"a waiter that is not parked", "I5", func(s *State) { s.parked.Delete(s.waiter(2, 1)) }},
		{"a miscount of waiters", "I5", func(s *State) { s.lock("x").waiting-- }},
		{"a miscount of waits", "I5", func(s *State) { s.session(2).waiting++ }},
		{"a waiter for an idle name", "I5", func(s *State) {
			w := &waiter{id: 1, session: 3, seq: 9, name: "idle"}
			s.parked.ReplaceOrInsert(w)
			s.queues.ReplaceOrInsert(w)
			s.session(3).waiting++
		}},
		{"a waiter without a number", "I6", func(s *State) { s.lastWaiter = 0 }},
		{"a queue out of order", "I6", func(s *State) {
			first, second := s.waiter(2, 1), s.waiter(3, 2)
			s.queues.Delete(first)
			s.queues.Delete(second)
			first.id, second.id = second.id, first.id
			first.timer.number = uint64(first.id)
			s.queues.ReplaceOrInsert(first)
			s.queues.ReplaceOrInsert(second)
		}},
		{"a wait without a timer", "I7", func(s *State) { s.timers.remove(s.waiter(2, 1).timer) }},
		{"a timer of nothing", "I7", func(s *State) { s.timers.add(1, timerGrant, 99, 1) }},
		{"a timer at another time", "I7", func(s *State) { s.waiter(2, 1).timer.at++ }},
		{"a timer for a wait for ever", "I7", func(s *State) { s.waiter(3, 2).timer = s.waiter(2, 1).timer }},
		{"a grant without its timer", "I7", func(s *State) { s.grant(1, s.lock("x").holds[0].grants[1]).timer = nil }},
		{"a late timer of a session", "I7", func(s *State) { s.timers.move(s.session(1).timer, math.MaxInt64) }},
		{"a session without a timer", "I7", func(s *State) { s.session(1).timer = nil }},
		{"a session to come", "I7", func(s *State) { s.lastSession = 2 }},
		{"a heap out of order", "I7", func(s *State) { s.timers.swap(0, len(s.timers)-1) }},
		{"a timer that is lost in the heap", "I7", func(s *State) { s.timers[0].place = 1 }},
		{"an answer to come", "I8", func(s *State) { s.session(1).lastSeq = 1 }},
		{"an answer to what is parked", "I8", func(s *State) {
			ss := s.session(2)
			ss.window.put(answer{seq: 1, result: Result{Status: StatusOK}}, ss.mark)
		}},
		{"an answer beyond the window", "I8", func(s *State) {
			ss := s.session(1)
			ss.lastSeq = 5000
			ss.window.put(answer{seq: 5000, result: Result{Status: StatusOK}}, ss.mark)
		}},
		{"a lost event", "I9", func(s *State) { s.session(1).events = nil }},
		{"an acknowledged event", "I9", func(s *State) { s.session(1).seen = 1 }},
		{"a gap in the events", "I9", func(s *State) {
			ss := s.session(1)
			ss.events = append(ss.events, event{id: 3})
			ss.lastEvent = 3
		}},
		{"a session that its nonce does not find", "I9", func(s *State) { s.opens[s.session(1).nonce] = 2 }},
		{"a nonce of no session", "I9", func(s *State) { s.opens[Nonce{9, 9}] = 1 }},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			s := busy(t)
			c.spoil(s)
			if err := s.Check(); err == nil || !strings.Contains(err.Error(), c.says+":") {
				t.Errorf("Check says %v, not %s", err, c.says)
			}
		})
	}
}
