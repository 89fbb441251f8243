package lockapi

import (
	"container/list"
	"context"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// reserve is how many numbers of the window ordinary commands leave to those
// that free something, so that releases and withdrawals pass while acquires
// wait for an answer.
const reserve = 128

// A rank says who goes first when numbers are scarce.
type rank uint8

const (
	ordinary rank = iota + 1
	urgent
)

// A turn is a place in the line for a number.
type turn struct {
	ready chan struct{} // closed when seq is set
	seq   fsm.Seq
}

// issue numbers c as the session's next command and tells when that was: c is
// not sent before. If c is the acquire a, its outcome may be heard of from then
// on. It waits while the window is full, and an ordinary command
// also while lapsed grants are to be released first. The error is ctx's or why
// the session is over; then c was not numbered.
func (s *session) issue(ctx context.Context, c *fsm.Command, a *acquiring, r rank) (time.Duration, error) {
	s.mu.Lock()
	now := s.now()
	s.lapse(now)
	if err := s.refusal(r); err != nil {
		s.unlock()
		return 0, err
	}
	if line := s.line(r); line.Len() > 0 || !s.admissible(r) {
		t := &turn{ready: make(chan struct{})}
		place := line.PushBack(t)
		s.unlock()
		if err := s.await(ctx, t, line, place); err != nil {
			return 0, err
		}
		s.mu.Lock()
		now = s.now()
		s.stamp(c, t.seq)
	} else {
		s.stamp(c, s.window.take())
	}
	if a != nil {
		a.sent = now
		s.acquires[c.Seq] = a
	}
	s.unlock()
	return now, nil
}

// await returns when it is t's turn, or ctx or the session has ended and t has
// left the line.
func (s *session) await(ctx context.Context, t *turn, line *list.List, place *list.Element) error {
	var err error
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.ctx.Done():
		err = s.cause()
	}
	s.mu.Lock()
	if t.seq != 0 {
		s.settleSeq(t.seq) // it came too late, and was never used
	} else {
		line.Remove(place)
	}
	s.unlock()
	return err
}

// issueAtOnce is issue of an urgent command if that needs no waiting.
func (s *session) issueAtOnce(c *fsm.Command) (sent time.Duration, ok bool) {
	s.mu.Lock()
	defer s.unlock()
	if s.over != nil || s.urgent.Len() > 0 || !s.admissible(urgent) {
		return 0, false
	}
	s.stamp(c, s.window.take())
	return s.now(), true
}

func (s *session) refusal(r rank) error {
	if s.over == nil && s.closing && r == ordinary {
		return ErrClosed
	}
	return s.over
}

func (s *session) line(r rank) *list.List {
	if r == urgent {
		return &s.urgent
	}
	return &s.ordinary
}

// admissible tells whether a command of the rank may be numbered now.
func (s *session) admissible(r rank) bool {
	if r == urgent {
		return s.window.room(0)
	}
	return s.lapsed == 0 && s.urgent.Len() == 0 && s.window.room(reserve)
}

// admit lets those in whose turn it is.
func (s *session) admit() {
	for _, r := range [...]rank{urgent, ordinary} {
		line := s.line(r)
		for line.Len() > 0 && s.admissible(r) {
			t := line.Remove(line.Front()).(*turn)
			t.seq = s.window.take()
			close(t.ready)
		}
	}
}

// stamp completes c's header. What it says about answers and events is as of
// now, and stays so however often c is sent.
func (s *session) stamp(c *fsm.Command, seq fsm.Seq) {
	c.Session, c.Incarnation, c.Seq = s.id, s.incarnation, seq
	c.Mark, c.Seen = s.window.mark, s.seen
}

// settleSeq notes that the answer under seq is not needed any more.
func (s *session) settleSeq(seq fsm.Seq) {
	s.window.settle(seq)
	s.admit()
}
