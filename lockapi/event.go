package lockapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// An earlyLoss is a loss of a grant that the client had not heard of.
type earlyLoss struct {
	cause error
	event fsm.EventID // the loss's own
	next  fsm.Seq     // acquires from this one on were sent later
}

// attach asks for the session's events until it gets them. The error is final.
func (s *session) attach() (<-chan fsm.Outcome, error) {
	for n := 0; ; n++ {
		events, err := s.attachOnce()
		switch {
		case err == nil:
			return events, nil
		case s.ctx.Err() != nil:
			return nil, s.cause()
		case final(err):
			return nil, err
		}
		if pause(s.ctx, backoff(n)) != nil {
			return nil, s.cause()
		}
	}
}

// attachOnce gives up after a third of the TTL: the node may be stuck.
func (s *session) attachOnce() (<-chan fsm.Outcome, error) {
	s.mu.Lock()
	s.renewals.last++
	a := Attachment{
		Session: s.id, Incarnation: s.incarnation, Renewal: s.renewals.last,
		Seen: s.seen, Secret: s.secret,
	}
	s.unlock()
	ctx, cancel := context.WithCancel(s.ctx)
	limit := time.AfterFunc(s.ttl/renewShare, cancel)
	events, err := s.backend.Attach(ctx, a)
	if !limit.Stop() && err == nil {
		err = fmt.Errorf("%w: the attach took too long", ErrUnknown)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return events, nil
}

// final tells whether asking again is of no use.
func final(err error) bool {
	for _, kind := range [...]error{ErrSessionGone, ErrFenced, ErrDenied, ErrClosed, ErrInvalid, ErrLimit, ErrUnsupported} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// listen hears events for as long as the session lives.
func (s *session) listen(events <-chan fsm.Outcome) {
	for n := 0; ; n++ {
		for o := range events {
			n = 0
			s.hear(&o)
			if n := len(events); n > 0 && n+2 >= cap(events) { // one may be kept for the end
				s.wantRenewal() // something may have found no room
			}
		}
		if pause(s.ctx, backoff(n)) != nil {
			return
		}
		var err error
		if events, err = s.attach(); err != nil {
			s.end(err)
			return
		}
	}
}

// hear takes one event. Events may come twice or out of order; each counts
// once.
func (s *session) hear(o *fsm.Outcome) {
	if o.Key.Session != s.number() || o.Key.Incarnation != s.incarnation {
		return
	}
	if o.Kind == fsm.OutcomeEnded {
		err := ErrorOf(o.Result)
		if err == nil { // closed in our name
			err = ErrSessionGone
		}
		s.end(err)
		return
	}
	s.mu.Lock()
	fresh, gap := s.note(o.Event)
	if fresh && s.over == nil {
		switch o.Kind {
		case fsm.OutcomeGranted:
			s.hearGranted(o)
		case fsm.OutcomeLoss:
			s.hearLoss(o)
		}
	}
	s.unlock()
	if gap {
		s.wantRenewal()
	}
}

// note tells whether the event is heard for the first time, and whether one
// before it was not heard yet.
func (s *session) note(e fsm.EventID) (fresh, gap bool) {
	if _, again := s.ahead[e]; again || e <= s.seen {
		return false, false
	}
	if e != s.seen+1 {
		s.ahead[e] = struct{}{}
		return true, true
	}
	for s.seen = e; len(s.ahead) > 0; s.seen++ {
		if _, heard := s.ahead[s.seen+1]; !heard {
			break
		}
		delete(s.ahead, s.seen+1)
	}
	return true, len(s.ahead) > 0
}

// hearGranted is the late end of an acquire. A grant that nobody waits for is
// released. (The machine releases it with the abandon, so that this finds nothing to
// do; were there a way round that, the lock would be held by nobody for as long as
// the session lives. One that is held already was told by an answer, too. One from
// before the session was resumed is among what was found then, or has ended, or is of
// a kind that this version does not know, and stays.)
func (s *session) hearGranted(o *fsm.Outcome) {
	if a := s.acquires[o.Key.Seq]; a != nil {
		s.settle(a, o.Result)
		return
	}
	if o.Result.Index <= s.foundAt {
		return
	}
	if o.Result.Status == fsm.StatusOK && s.grants[o.Result.Grant] == nil && !s.client.agent {
		s.drop(drop{grant: o.Result.Grant})
	}
}

func (s *session) hearLoss(o *fsm.Outcome) {
	why := "an operator released it"
	if o.Result.Status == fsm.StatusMaxHold {
		why = "its max hold has passed"
	}
	cause := fmt.Errorf("%w: %s", ErrLost, why)
	if g := s.grants[o.Result.Grant]; g != nil {
		s.finish(g, cause)
		return
	}
	// The loss may have overtaken the grant, which must not be taken for a
	// living one when it comes. It comes as an answer to an acquire that is not
	// settled yet, or as an event that is missing yet.
	for id, l := range s.lostEarly {
		if s.seen >= l.event && s.window.mark >= l.next {
			delete(s.lostEarly, id)
		}
	}
	s.lostEarly[o.Result.Grant] = earlyLoss{cause: cause, event: o.Event, next: s.window.next}
}
