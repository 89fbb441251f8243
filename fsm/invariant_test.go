package fsm

import (
	"math"
	"strings"
	"testing"
)

// busy is a state that has something of everything: s1 holds x twice, once with
// a deadline, and has a loss to hear of; s2 waits for x and y, which s3 holds with
// a deadline, and s3 for x; a semaphore of which s1 and s2, who has two names at
// once, hold two each and s4 wants one; s4 waits on behalf of s1, and nobody holds
// a name by a key and waits for one by another; a member.
func busy(t testing.TB) *State {
	t.Helper()
	s := New()
	for i, lines := range []string{
		"open a\nopen b\nopen c\nopen d\nmember n1",
		"s1#1 acquire lost max=1s",
		"s1#2 acquire x\ns1#3 acquire x max=60s\ns3#1 acquire y max=60s\ns2#1 acquire x,y wait=60s",
		"s3#2 acquire x wait=forever",
		"s1#4 acquire sem permits=2 limit=4\ns2#2 acquire sem,z permits=2,0 limit=4,0",
		"s4#1 acquire sem permits=1 limit=4 wait=forever\ns4#2 acquire x for=s1 secret=a owner=q wait=forever\n" +
			"s4#3 acquire w for=nobody key=k max=60s\ns4#4 acquire x for=nobody key=j max=60s wait=forever",
	} {
		e := Entry{Term: 1, Now: Instant(i) * Instant(Second)}
		for _, line := range strings.Split(lines, "\n") {
			e.Commands = append(e.Commands, parseCommand(t, line))
		}
		s.Apply(Index(i+1), 1, &e)
	}
	if err := s.Check(); err != nil || len(s.session(1).events) != 1 || s.lock("x").waiting != 4 {
		t.Fatal("not the state that the tests are about:", err)
	}
	return s
}

// first is the first grant of a name.
func first(s *State, name string) *grant {
	var found *grant
	s.held.AscendGreaterOrEqual(&grant{name: name}, func(g *grant) bool {
		found = g
		return false
	})
	return found
}

// another gives s2 a hold of x beside that of s1, everything counted.
func another(s *State, mode Mode) {
	s.give(s.session(2), []Want{{Name: "x", Kind: KindLock, Mode: mode}}, gift{seq: 9})
}

// TestCheck breaks each invariant by hand. Check must say which it was.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, says string
		spoil      func(s *State)
	}{
		{"two holders", "I1", func(s *State) { another(s, Exclusive) }},
		{"a reader beside a writer", "I1", func(s *State) { another(s, Shared) }},
		{"a semaphore that is full twice", "I1", func(s *State) { s.lock("sem").limit = 2 }},
		{"a semaphore without a limit", "I1", func(s *State) { s.lock("sem").limit = 0 }},
		{"permits of a lock", "I1", func(s *State) { first(s, "x").permits = 1 }},
		{"a lock that counts wrong", "I1", func(s *State) { s.lock("sem").taken++ }},
		{"a lock of another mode", "I1", func(s *State) { s.lock("x").mode = Shared }},
		{"a semaphore that was a lock", "I1", func(s *State) { s.lock("x").kind = KindSemaphore }},
		{"no name", "I1", func(s *State) { s.locks.ReplaceOrInsert(&lock{kind: KindLock}) }},
		{"waiters and no holder", "I2", func(s *State) {
			for _, name := range []string{"x", "x", "y"} {
				s.drop(first(s, name))
			}
			s.moves = nil
		}},
		{"somebody who could be granted", "I2", func(s *State) {
			s.drop(first(s, "sem"))
			s.moves = nil
		}},
		{"nobody looked", "I2", func(s *State) { s.stir("x") }},
		{"an idle name", "I2", func(s *State) { s.locks.ReplaceOrInsert(&lock{name: "idle", kind: KindLock}) }},
		{"one token for two", "I3", func(s *State) { first(s, "y").token = first(s, "x").token }},
		{"a token to come", "I3", func(s *State) { first(s, "y").token += 20 }},
		{"no token", "I3", func(s *State) { first(s, "y").token = 0 }},
		{"two tokens of one hold", "I3", func(s *State) { first(s, "x").token = 1 }},
		{"a grant that nobody holds", "I4", func(s *State) {
			s.held.Delete(first(s, "z"))
			s.locks.Delete(s.lock("z"))
		}},
		{"a hold without a grant", "I4", func(s *State) { s.grants.Delete(first(s, "y")) }},
		{"a grant of a dead session", "I4", func(s *State) {
			s.grants.ReplaceOrInsert(&grant{id: 1, session: 77, name: "x"})
		}},
		{"a grant to come", "I4", func(s *State) { s.lastGrant = 1 }},
		{"a miscount of grants", "I4", func(s *State) { s.session(1).grants++ }},
		{"the names of a grant differ", "I4", func(s *State) {
			rows := s.namesOf(2, s.grantsOf(2)[0].id)
			rows[1].until = 5
		}},
		{"a grant that its key does not find", "I4", func(s *State) { clear(s.keys) }},
		{"a hold of a dead session", "I4", func(s *State) {
			ss := s.session(3)
			for _, w := range s.waitersOf(3) {
				s.withdraw(w)
			}
			s.sessions.Delete(ss)
			delete(s.opens, ss.nonce)
			s.timers.remove(ss.timer)
		}},
		{"a waiter of a dead session", "I5", func(s *State) {
			ss := s.session(4)
			s.sessions.Delete(ss)
			delete(s.opens, ss.nonce)
			s.timers.remove(ss.timer)
		}},
		{"a waiter in one queue of two", "I5", func(s *State) {
			s.queues.Delete(&s.waiter(2, 1).stands[1])
			s.lock("y").waiting--
		}},
		{"a waiter that is not parked", "I5", func(s *State) { s.parked.Delete(s.waiter(2, 1)) }},
		{"a waiter that its beneficiary does not find", "I5", func(s *State) { s.sponsored.Clear(false) }},
		{"a waiter that its key does not find", "I5", func(s *State) { clear(s.copies) }},
		{"a waiter whose key is granted", "I5", func(s *State) { s.waiter(4, 4).key = nonce("k") }},
		{"a miscount of waiters", "I5", func(s *State) { s.lock("x").waiting-- }},
		{"a miscount of waits", "I5", func(s *State) { s.session(2).waiting++ }},
		{"a waiter without a number", "I6", func(s *State) { s.lastWaiter = 0 }},
		{"a queue out of order", "I6", func(s *State) { s.waiter(2, 1).since = Instant(Hour) }},
		{"a wait without a timer", "I7", func(s *State) { s.timers.remove(s.waiter(2, 1).timer) }},
		{"a timer of nothing", "I7", func(s *State) { s.timers.add(1, timerGrant, 99, 1) }},
		{"a timer at another time", "I7", func(s *State) { s.waiter(2, 1).timer.at++ }},
		{"a timer for a wait for ever", "I7", func(s *State) { s.waiter(3, 2).timer = s.waiter(2, 1).timer }},
		{"a grant without its timer", "I7", func(s *State) { s.timers.remove(s.grant(3, s.grantsOf(3)[0].id).timer) }},
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
