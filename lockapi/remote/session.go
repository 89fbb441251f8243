package remote

import (
	"context"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A session is what the backend must know to speak for one over any link: the
// secret, and what waits for it to be attached.
type session struct {
	id          fsm.SessionID
	incarnation fsm.Incarnation
	renewal     fsm.Seq
	secret      fsm.Secret // zero if this backend was never given it

	attached  *link // commands go through on this link
	attaching *link // an attach is under way on this link
	calls     *call // its unanswered commands
	feed      *feed // hears its events; nil if nobody does
	over      bool  // forget it when nothing waits any more
}

// enlist adds a to what waits for its session. A session that is not known is
// attached without its secret: the machine then says whether there is no such
// session, or that it is another's.
func (b *Backend) enlist(a *call) {
	s := b.sessions[a.command.Session]
	if s == nil {
		s = b.know(a.command.Session, a.command.Incarnation)
	}
	a.session = s
	a.prev, a.next = nil, s.calls
	if s.calls != nil {
		s.calls.prev = a
	}
	s.calls = a
}

func (s *session) unlist(a *call) {
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		s.calls = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
	a.prev, a.next = nil, nil
}

// know makes a session known, and others forgotten that nobody speaks for: by a walk
// over all, so not again before there are twice as many as are left.
func (b *Backend) know(id fsm.SessionID, i fsm.Incarnation) *session {
	if len(b.sessions) >= b.forgetAt {
		for id, s := range b.sessions {
			if s.calls == nil && s.feed == nil && (b.link == nil || s.attached != b.link) {
				delete(b.sessions, id)
			}
		}
		b.forgetAt = max(sessionsKept, 2*len(b.sessions))
	}
	s := &session{id: id, incarnation: i}
	b.sessions[id] = s
	return s
}

// tidy forgets a session that is over once nothing waits for it.
func (b *Backend) tidy(s *session) {
	if s != nil && s.calls == nil && s.feed == nil && (s.over || s.secret == fsm.Secret{}) && b.sessions[s.id] == s {
		delete(b.sessions, s.id)
	}
}

// attaching is an attach of the backend's own account, and the secret that it
// was made with: the right one may become known while it is under way.
type attaching struct {
	session *session
	secret  fsm.Secret
}

// reattach has s attached on l, on the backend's own account.
func (b *Backend) reattach(s *session, l *link) {
	if s.attaching == l {
		return
	}
	s.attaching = l
	c := b.attachCommand(lockapi.Attachment{
		Session: s.id, Incarnation: s.incarnation, Renewal: s.renewal, Secret: s.secret,
	})
	l.attaches[c.Key()] = attaching{s, s.secret}
	l.out.Command(&c)
}

// attachCommand gives the attach a number of this backend's: a node does not
// send it on.
func (b *Backend) attachCommand(a lockapi.Attachment) fsm.Command {
	b.nonce.Lo++
	return fsm.Command{
		Op: fsm.OpAttach, Session: a.Session, Incarnation: a.Incarnation, Seq: a.Renewal,
		Seen: a.Seen, Secret: a.Secret, Nonce: b.nonce,
	}
}

// Attach implements lockapi.Backend. The session is attached again by itself
// whenever the link is replaced; when the machine then says that it is over,
// the channel says so too, and closes.
func (b *Backend) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	b, err := b.carrier(&fsm.Command{Op: fsm.OpAttach, Session: a.Session})
	if err != nil {
		return nil, err
	}
	defer b.arrived()
	b.mu.Lock()
	c := b.attachCommand(a)
	b.mu.Unlock()
	f := newFeed(&b.work)
	waiting, err := b.begin(&c, f)
	if err != nil {
		return nil, err
	}
	r, err := b.await(ctx, waiting)
	if err == nil {
		err = lockapi.ErrorOf(r)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	context.AfterFunc(ctx, func() { b.unsubscribe(a.Session, f) })
	return f.events, nil
}

func (b *Backend) unsubscribe(id fsm.SessionID, f *feed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f.close()
	if s := b.sessions[id]; s != nil && s.feed == f {
		s.feed = nil
		b.tidy(s)
	}
}

// proven notes that c, which carried a secret, was answered OK on l for an
// incarnation of the session.
func (b *Backend) proven(l *link, id fsm.SessionID, i fsm.Incarnation, c *fsm.Command, f *feed) {
	s := b.sessions[id]
	if s == nil {
		s = b.know(id, 0)
	}
	if i > s.incarnation || s.secret == (fsm.Secret{}) { // what was resumed begins its renewals anew
		s.incarnation, s.renewal = i, 0
	}
	s.secret = c.Secret
	if c.Op == fsm.OpAttach {
		s.renewal = c.Seq
	}
	if f != nil {
		if s.feed != nil {
			s.feed.close()
		}
		s.feed = f
	}
	b.admit(s, l)
}

// admit sends what has waited for s to be attached, which it is on l. An answer
// from a link that has been replaced says nothing of the present one: to believe it
// would cost an attach more.
func (b *Backend) admit(s *session, l *link) {
	if l == b.link || s.attached == nil {
		s.attached = l
	}
	for a := s.calls; a != nil; a = a.next {
		b.send(a)
	}
}

// end is the end of a session, as the machine told it: everything that waits
// is answered so.
func (b *Backend) end(s *session, r fsm.Result, woken []*call) []*call {
	s.over = true
	if s.feed != nil {
		s.feed.give(&fsm.Outcome{
			Kind: fsm.OutcomeEnded, Pos: -1, Result: r,
			Key: fsm.Key{Class: fsm.ClassSeq, Session: s.id, Incarnation: s.incarnation},
		})
		s.feed = nil
	}
	for s.calls != nil {
		woken = b.complete(s.calls, r, nil, woken)
	}
	b.tidy(s)
	return woken
}
