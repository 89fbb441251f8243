package remote

import (
	"fmt"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// receive takes the outcomes of a frame, and returns whom to wake. Answers are
// as good from a link that has been replaced; refusals concern only the link
// on which the command waits.
func (b *Backend) receive(l *link, outcomes []rpc.Outcome, woken []*call) []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range outcomes {
		o := &outcomes[i]
		if o.Kind != fsm.OutcomeAnswer {
			b.event(&o.Outcome)
			continue
		}
		if a, ours := l.attaches[o.Key]; ours {
			delete(l.attaches, o.Key)
			woken = b.reattached(l, a, o, woken)
			continue
		}
		a := b.inflight[o.Key]
		switch {
		case a == nil: // its caller has gone, or it was answered before
		case o.Refusal == 0:
			l.served.Store(true)
			l.progress(a)
			woken = b.answered(l, a, o.Result, woken)
		case a.sent == l:
			woken = b.refused(l, a, o, woken)
		}
	}
	return woken
}

// event tells a session what befell it.
func (b *Backend) event(o *fsm.Outcome) {
	s := b.sessions[o.Key.Session]
	if s == nil || s.incarnation != o.Key.Incarnation {
		return
	}
	if s.feed != nil {
		s.feed.give(o)
	}
	if o.Kind == fsm.OutcomeEnded {
		// What is under way is still answered, or refused, and then the
		// machine is asked.
		s.over, s.feed = true, nil
		b.tidy(s)
	}
}

// answered takes the machine's answer to a command.
func (b *Backend) answered(l *link, a *call, r fsm.Result, woken []*call) []*call {
	if r.Status == fsm.StatusOK {
		switch a.command.Op {
		case fsm.OpOpen:
			b.proven(l, r.Session, 1, &a.command, nil)
		case fsm.OpResume:
			b.proven(l, r.Session, r.Incarnation, &a.command, nil)
		case fsm.OpAttach:
			b.proven(l, a.command.Session, a.command.Incarnation, &a.command, a.feed)
		case fsm.OpClose:
			a.session.over = true // and its channel will say so
		}
	}
	return b.complete(a, r, nil, woken)
}

// reattached takes the answer to an attach of the backend's own.
func (b *Backend) reattached(l *link, by attaching, o *rpc.Outcome, woken []*call) []*call {
	s := by.session
	if s.attaching == l {
		s.attaching = nil
	}
	switch {
	case o.Refusal == lockdv1.Refusal_REFUSAL_OVERLOADED && o.Full != nil:
		b.later(o.Full, func() {
			if b.link == l && s.attached != l && (s.feed != nil || s.calls != nil) {
				b.reattach(s, l)
			}
		})
	case o.Refusal != 0:
		l.doubt()
	case o.Result.Status == fsm.StatusOK:
		l.served.Store(true)
		b.admit(s, l)
	case by.secret != s.secret: // somebody has attached it with the right one
		b.admit(s, s.attached)
	case o.Result.Status == fsm.StatusSessionGone, o.Result.Status == fsm.StatusFenced, o.Result.Status == fsm.StatusBadSecret:
		l.served.Store(true)
		return b.end(s, o.Result, woken)
	default: // a limit of this node, perhaps
		b.log.Warn("remote: a session cannot be attached here", "session", s.id.String(), "address", l.address, "status", o.Result.Status.String())
		l.doubt()
	}
	return woken
}

// refused takes what the node itself says to a command that waits on l.
func (b *Backend) refused(l *link, a *call, o *rpc.Outcome, woken []*call) []*call {
	a.sent = nil
	switch o.Refusal {
	case lockdv1.Refusal_REFUSAL_NOT_ATTACHED:
		if a.session == nil {
			err := fmt.Errorf("%w: the node does not let anybody open or attach", lockapi.ErrUnsupported)
			if a.doubt { // a node before this one may have
				err = fmt.Errorf("%w: %w", lockapi.ErrUnknown, err)
			}
			return b.complete(a, fsm.Result{}, err, woken)
		}
		if a.session.attached == l {
			a.session.attached = nil
		}
		b.send(a)
	case lockdv1.Refusal_REFUSAL_OVERLOADED:
		b.postpone(a, o.Full)
	case lockdv1.Refusal_REFUSAL_UNAVAILABLE:
		l.doubt()
	default:
		a.doubt = true
		l.doubt()
	}
	return woken
}
