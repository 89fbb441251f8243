package remote

import (
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport/rpc"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// still is a backend that sends nothing, and a link of its.
func still() (*Backend, *link) {
	b := &Backend{book: newBook(nil), sessions: make(map[fsm.SessionID]*session), inflight: make(map[fsm.Key]*call), forgetAt: sessionsKept}
	b.calls.New = func() any { return &call{ready: make(chan struct{}, 1)} }
	b.link = &link{out: rpc.NewPacker(), news: make(chan struct{}, 1), attaches: make(map[fsm.Key]attaching)}
	return b, b.link
}

// What befell the incarnation before is not told to the one that has resumed the
// session: least of all that it is over, which says only that it was fenced.
func TestEventsOfAnotherIncarnation(t *testing.T) {
	b, l := still()
	f := newFeed(&b.work)
	b.proven(l, 7, 2, &fsm.Command{Op: fsm.OpResume, Session: 7, Secret: fsm.Secret{1}}, f)
	ended := func(i fsm.Incarnation) *fsm.Outcome {
		return &fsm.Outcome{Kind: fsm.OutcomeEnded, Key: fsm.Key{Session: 7, Incarnation: i}}
	}
	b.event(ended(1))
	if len(f.events) > 0 || b.sessions[7] == nil || b.sessions[7].over {
		t.Error("the end of the incarnation before is that of this one")
	}
	b.event(ended(2))
	if o, open := <-f.events; !open || o.Key.Incarnation != 2 {
		t.Errorf("its own end: %+v", o)
	}
}

// An answer that comes late takes nothing back: the session stays at the incarnation
// that it has reached, and attaches again with the number of the last attach.
func TestLateAnswersTakeNothingBack(t *testing.T) {
	b, l := still()
	resume := fsm.Command{Op: fsm.OpResume, Session: 7, Secret: fsm.Secret{1}}
	attach := fsm.Command{Op: fsm.OpAttach, Session: 7, Incarnation: 2, Seq: 5, Secret: fsm.Secret{1}}
	b.proven(l, 7, 2, &resume, nil)
	b.proven(l, 7, 2, &attach, nil)
	b.proven(l, 7, 1, &resume, nil) // of the resume before
	s := b.sessions[7]
	if s.incarnation != 2 || s.renewal != 5 {
		t.Errorf("incarnation %d, renewal %d", s.incarnation, s.renewal)
	}
	b.proven(l, 7, 3, &resume, nil)
	if s.incarnation != 3 || s.renewal != 0 {
		t.Errorf("what was resumed once more: incarnation %d, renewal %d", s.incarnation, s.renewal)
	}
}

// A node that does not know whether a command was done has not refused it: whoever
// gives up then is told that nobody knows.
func TestUnknownOfANodeIsADoubt(t *testing.T) {
	for refusal, doubt := range map[lockdv1.Refusal]bool{
		lockdv1.Refusal_REFUSAL_UNKNOWN: true, lockdv1.Refusal_REFUSAL_UNAVAILABLE: false, lockdv1.Refusal(99): true,
	} {
		b, l := still()
		a := &call{carried: carried{sent: l}}
		b.refused(l, a, &rpc.Outcome{Refusal: refusal}, nil)
		if a.maybe() != doubt {
			t.Errorf("%v: it may have been done: %t", refusal, a.maybe())
		}
	}
}
