package lockapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// An acquiring is an acquire that is under way, until nothing of it is left to
// be learned: it was answered, or withdrawn. Its fields but for cmd are
// guarded by session.mu.
type acquiring struct {
	cmd  fsm.Command
	want [1]fsm.Want // cmd.Wants, if that is one
	sent time.Duration

	resumed bool // it was sent by the process before
	parked  bool
	settled bool          // result is final
	done    chan struct{} // closed when settled; nil if it was before anybody waited
	result  fsm.Result
	grant   *Grant // if granted

	abandoned bool
	jobs      int           // what withdraws it and is not done
	withdrawn chan struct{} // closed when nothing is left of it
}

// jobDone notes that one of the things that withdraw a is done.
func (a *acquiring) jobDone() {
	if a.jobs--; a.jobs == 0 {
		close(a.withdrawn)
	}
}

func newAcquiring(ctx context.Context, q *request, wait bool) *acquiring {
	a := &acquiring{cmd: fsm.Command{
		Op: fsm.OpAcquire, Wants: q.wants, Owner: q.owner, MaxHold: fsm.Duration(q.maxHold),
	}}
	if q.wants == nil {
		a.want[0] = q.want
		a.cmd.Wants = a.want[:]
	}
	if !wait {
		return a
	}
	a.cmd.Wait = fsm.Forever
	if end, ok := ctx.Deadline(); ok {
		// Machine time is never ahead, so ctx ends first. This is for clients
		// that do not live to withdraw: their place goes with it.
		if left := max(fsm.Duration(time.Until(end)), 1); left <= fsm.WaitMax {
			a.cmd.Wait = left
		}
	}
	return a
}

// acquire is Acquire within one session. ErrSessionGone says that it is to be
// tried under another.
func (s *session) acquire(ctx context.Context, q *request, wait bool) (*Grant, error) {
	if q.maxHold != 0 {
		if err := validHold(q.maxHold, s.ttl); err != nil {
			return nil, err
		}
	}
	a := newAcquiring(ctx, q, wait)
	if g, err := s.ask(ctx, a); g != nil || err != nil {
		return g, err
	}
	return s.outcome(ctx, a)
}

// ask numbers the acquire and gets it answered. Unless it is granted and valid at
// once, or has failed, its outcome is yet to come.
func (s *session) ask(ctx context.Context, a *acquiring) (*Grant, error) {
	if _, err := s.issue(ctx, &a.cmd, a, ordinary); err != nil {
		if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
			err = unsent(ctx, err)
		}
		return nil, err
	}
	if a.cmd.Owner == "" {
		a.cmd.Owner = s.madeUpOwner(&a.cmd)
	}
	within, release := s.within(ctx)
	r, err := s.do(within, &a.cmd, false)
	release()
	switch {
	case err == nil:
		return s.answered(a, r), nil
	case s.cause() != nil:
		return nil, s.cause()
	default:
		return nil, s.withdraw(ctx, a, err)
	}
}

// madeUpOwner is an owner that nobody else has who acquires for the same session:
// not an acquire of another incarnation, nor an Agent.
func (s *session) madeUpOwner(c *fsm.Command) string {
	by := uint64(c.Incarnation)
	kind := ownerPrefix
	if c.Behalf != fsm.BehalfSelf {
		kind, by = ownerPrefix+"a", uint64(c.Session)
	}
	return kind + strconv.FormatUint(by, 10) + "." + strconv.FormatUint(uint64(c.Seq), 10)
}

// answered takes an answer to the acquire; a grant that is valid at once is
// given to the application.
func (s *session) answered(a *acquiring, r fsm.Result) *Grant {
	s.mu.Lock()
	now := s.now()
	s.credit(a.sent, now, r)
	s.settle(a, r)
	g := a.grant
	if g != nil && (g.cause != nil || !s.hold(g, now)) {
		g = nil
	}
	s.unlock()
	s.heed(r)
	return g
}

// settle takes what an answer or an event says of the acquire: that it waits,
// or how it ended, which counts once. mu is held.
func (s *session) settle(a *acquiring, r fsm.Result) {
	if a.settled {
		return
	}
	if r.Status == fsm.StatusQueued {
		a.parked = true
		s.settleSeq(a.cmd.Seq)
		return
	}
	a.settled, a.result = true, r
	if r.Status == fsm.StatusOK {
		s.granted(a, r)
	}
	delete(s.acquires, a.cmd.Seq)
	s.settleSeq(a.cmd.Seq)
	if a.done != nil {
		close(a.done)
	}
}

// granted makes the grant known before anything else can be heard of it.
func (s *session) granted(a *acquiring, r fsm.Result) {
	if a.abandoned {
		a.jobs++
		s.drop(drop{grant: r.Grant, part: a})
		return
	}
	if a.cmd.Behalf != fsm.BehalfSelf {
		return // it is somebody else's
	}
	g := newGrant(s, &a.cmd, r)
	a.grant = g
	s.grants[g.id] = g
	switch early, lost := s.lostEarly[g.id]; {
	case lost:
		s.finish(g, early.cause)
	case s.over != nil:
		s.finish(g, s.over)
	case s.closing:
		s.finish(g, ErrClosed)
	}
}

// outcome waits until the acquire has ended, and for a grant until it is valid.
func (s *session) outcome(ctx context.Context, a *acquiring) (*Grant, error) {
	asked := time.Duration(-1) // when a renewal was first asked for
	for {
		s.mu.Lock()
		switch {
		case s.over != nil:
			s.unlock()
			return nil, s.cause()
		case a.settled && a.grant == nil:
			s.unlock()
			return nil, refused(a)
		case a.settled && a.grant.cause != nil:
			s.unlock()
			return nil, a.grant.cause
		}
		var wait <-chan struct{}
		if a.settled {
			now := s.now()
			if s.hold(a.grant, now) {
				s.unlock()
				return a.grant, nil
			}
			if asked < 0 {
				asked = now
			}
			if s.hopeless(a.grant, now, asked) {
				s.finish(a.grant, fmt.Errorf("%w: its max hold had passed before the grant was heard of", ErrLost))
				s.drop(drop{grant: a.grant.id})
				s.unlock()
				return nil, a.grant.cause
			}
			if s.credited == nil {
				s.credited = make(chan struct{})
			}
			wait = s.credited
			s.renewals.wanted = true
		} else {
			if a.done == nil {
				a.done = make(chan struct{})
			}
			wait = a.done
		}
		s.unlock()
		if asked >= 0 {
			s.poke()
		}
		select {
		case <-wait:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return nil, s.withdraw(ctx, a, ErrUnknown)
		}
	}
}

// refused is the error of an acquire that ended without a grant.
func refused(a *acquiring) error {
	err := Refusal(a.cmd.Wants, a.result)
	if a.result.Status == fsm.StatusTimeout {
		return fmt.Errorf("%w: %w", err, context.DeadlineExceeded)
	}
	if err == nil {
		err = ErrUnknown // a status that no acquire ends with
	}
	return err
}
