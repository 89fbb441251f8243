package lockapi

import (
	"container/heap"
	"errors"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// finish ends a grant for good; unlock tells the world. mu is held.
func (s *session) finish(g *Grant, cause error) {
	if g.cause != nil {
		return
	}
	g.cause = cause
	delete(s.grants, g.id)
	if g.confirmed {
		if s.held--; s.held == 0 {
			s.unwarn(Warning{Kind: WarnAverted})
		}
	}
	if g.place >= 0 {
		heap.Remove(&s.maxHolds, g.place)
	}
	if g.cancel != nil || g.confirmed && errors.Is(cause, ErrLost) {
		s.ended = append(s.ended, ending{g, g.cancel})
	}
}

// hold gives the grant to the application if it is valid now.
func (s *session) hold(g *Grant, now time.Duration) bool {
	if now >= s.validUntil(g) {
		return false
	}
	g.confirmed = true
	s.held++
	if g.until != 0 {
		heap.Push(&s.maxHolds, g)
	}
	return true
}

func (s *session) validUntil(g *Grant) time.Duration {
	until := s.belief.sessionUntil()
	if g.until != 0 {
		until = min(until, s.belief.until(g.until))
	}
	return until
}

// hopeless tells that no renewal will make the grant valid: its own deadline
// has passed by the word of a command that was sent after asked.
func (s *session) hopeless(g *Grant, now, asked time.Duration) bool {
	return g.until != 0 && s.creditedSent >= asked && now >= s.belief.until(g.until)
}

// forget settles a command that was numbered and never sent.
func (s *session) forget(c *fsm.Command) {
	s.mu.Lock()
	s.settleSeq(c.Seq)
	s.unlock()
}
