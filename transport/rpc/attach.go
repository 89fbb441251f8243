package rpc

import (
	"context"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// attached is a session for which a stream may speak.
type attached struct {
	// cancel ends the telling of its events; nil if the session was opened on
	// this stream and never attached.
	cancel context.CancelFunc
}

// attach lets c's session in, if the secret is right, and then tells its
// events until they end or the stream does.
func (s *stream) attach(c *fsm.Command, opens bool) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	events, err := s.server.backend.Attach(ctx, lockapi.Attachment{
		Session: c.Session, Incarnation: c.Incarnation, Renewal: c.Seq, Seen: c.Seen, Secret: c.Secret,
	})
	o := outcomeOf(c.Key(), fsm.Result{Status: fsm.StatusOK}, err)
	mine := &attached{cancel: cancel}

	s.mu.Lock()
	s.done(opens)
	if s.over || err != nil {
		if !s.over {
			s.out.outcome(&o)
		}
		s.mu.Unlock()
		return
	}
	if before := s.sessions[c.Session]; before != nil && before.cancel != nil {
		before.cancel() // the backend ends it as well
	}
	s.sessions[c.Session] = mine
	s.out.outcome(&o)
	s.mu.Unlock()

	for event := range events {
		if !s.event(&event, mine) {
			return
		}
	}
}

// event sends one event; false when the stream is over. The backend keeps back
// what a slow client has no room for.
func (s *stream) event(o *fsm.Outcome, to *attached) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.out.Size() > backlogSizeMax {
		if s.wait() != nil {
			return false
		}
	}
	if s.over {
		return false
	}
	s.out.outcome(&Outcome{Outcome: *o})
	if o.Kind == fsm.OutcomeEnded && s.sessions[o.Key.Session] == to {
		delete(s.sessions, o.Key.Session)
	}
	return true
}
