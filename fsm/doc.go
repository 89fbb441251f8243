// Package fsm is the lock machine: commands in, outcomes out.
//
// It is a value. It has no clock, no goroutine, no file and no socket, and no
// order of a map or random number shows in what it does. Whoever can put
// commands in an order can run it: package cluster orders them by Raft,
// lockapi/mem by a mutex. Machines that apply the same entries at the same
// indexes are equal, byte for byte.
//
// # The nouns
//
// A session is one client's life: number, incarnation, TTL, what it holds and
// waits for, what it was answered. An owner is who holds: a session and an id
// of the caller's choice. A hold is a set of grants of one owner on one name,
// with one fencing token; of a semaphore each grant is one. A grant is one
// successful acquire, of one name or of several at once; it may have a deadline of
// its own (MaxHold). A waiter is a parked acquire, with a place in the queue of
// each of its names.
//
// A command asks; an entry of the log carries many; Apply runs one entry. An
// outcome answers a command, or tells a session what befell it. What a session
// must not miss (the end of a wait, a loss) is an event: numbered per session,
// kept in the state and repeated until acknowledged.
//
// # A worked history
//
//	entry 1  Takeover                       -> ok term=1
//	entry 2  Open nonce=a ttl=10s           -> ok session=1
//	         Open nonce=b ttl=10s           -> ok session=2
//	entry 3  s1#1 Acquire "x" wait forever  -> ok grant=1 token=1
//	         s2#1 Acquire "x" wait forever  -> queued place=1
//	entry 4  s1#2 Release grant=1           -> ok
//	                                        => s2 event 1: #1 granted, token=2
//	entry 5  s2#2 Acquire "y"               -> ok grant=3 token=3
//	entry 6  s2#2 Acquire "y" (again)       -> ok grant=3 token=3, as of entry 5
//
// # Time
//
// Machine time is an argument: each entry carries a stamp, and the state keeps
// the greatest that was stamped in the term of the entry's own place in the
// log. Nothing here asks what time it is. See Entry and Apply.
//
// # Exactly once
//
// A command is (session, incarnation, seq). A repeat with the same content
// gets the first answer; with another content it ends the session. The client's
// mark lets answers be forgotten, so a window of WindowSize of them suffices. An
// acquire that must wait is answered `queued` at once and lives in the queue,
// outside the window, however long it waits; its end is an event and, until the
// mark has passed the acquire, its answer.
//
// # Invariants
//
// Check tests them; code, tests and docs/guarantees.md cite them.
//
//	I1  A lock has at most one exclusive hold, and then no shared one; the
//	    permits of a semaphore that are held are at most its limit.
//	I2  A waiter never waits for nobody: each has a name that is held by somebody
//	    in its way, or for which somebody waits who came before.
//	I3  Tokens never repeat and always rise, over all names.
//	I4  Every grant belongs to one hold of a living session, and every hold has
//	    a grant.
//	I5  Every waiter belongs to living sessions and stands in the queue of each
//	    name that it wants.
//	I6  A queue is in the order of arrival; nobody overtakes.
//	I7  Every deadline has a timer that is not late, and nothing else has one.
//	I8  A session's answers lie within its window, and what is parked is not
//	    among them.
//	I9  A session's events have no gap between what is acknowledged and the last.
package fsm
