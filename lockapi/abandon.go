package lockapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// grace is how long a call whose context has ended waits for the word that
// nothing is left behind, before it says that it does not know.
const grace = 100 * time.Millisecond

// withdraw sees to it that an acquire whose ctx has ended leaves neither a
// hold nor a place in the queue, and tells how far that has come. What was
// answered in the last moment counts.
func (s *session) withdraw(ctx context.Context, a *acquiring, why error) error {
	s.mu.Lock()
	a.withdrawn = make(chan struct{})
	switch {
	case s.over != nil:
	case !a.settled && neverSent(why):
		delete(s.acquires, a.cmd.Seq)
		s.settleSeq(a.cmd.Seq)
		s.unlock()
		return unsent(ctx, why)
	case !a.settled:
		a.abandoned = true
		a.jobs++
		s.spawn(func() { s.abandon(a) })
	case a.result.Status != fsm.StatusOK:
		close(a.withdrawn)
		s.unlock()
		return refused(a)
	case a.grant == nil: // somebody else's
		a.jobs++
		s.drop(drop{grant: a.result.Grant, part: a})
	case a.grant.cause == nil:
		s.finish(a.grant, context.Canceled)
		a.jobs++
		s.drop(drop{grant: a.grant.id, part: a})
	default:
		close(a.withdrawn)
		s.unlock()
		return a.grant.cause
	}
	s.unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	cause := ctx.Err()
	if cause == nil {
		cause = why
	}
	select {
	case <-a.withdrawn:
		return s.nothingLeft(a, cause)
	case <-s.ctx.Done():
		if errors.Is(s.cause(), ErrSessionGone) && a.cmd.Behalf == fsm.BehalfSelf { // and everything of it
			return s.nothingLeft(a, cause)
		}
		return fmt.Errorf("%w: %w", ErrUnknown, cause)
	case <-timer.C:
		return fmt.Errorf("%w: %w", ErrUnknown, cause)
	}
}

// nothingLeft is the error of an acquire that was withdrawn because of cause. That
// somebody else holds the lock is for the machine to say, and it has said so if
// the acquire stood in the queue, or was refused. Without that it is the cause
// alone: whoever leaves his work to the holder would leave it to nobody.
func (s *session) nothingLeft(a *acquiring, cause error) error {
	s.mu.Lock()
	defer s.unlock()
	if a.parked || a.settled && errors.Is(ErrorOf(a.result), ErrNotAcquired) {
		return fmt.Errorf("%w: %w", ErrNotAcquired, cause)
	}
	return cause
}

// unsent is the error of what was never sent: why, and ctx's if that has ended.
func unsent(ctx context.Context, why error) error {
	err := ctx.Err()
	switch full := new(OverloadError); {
	case err == nil:
		return why
	case errors.As(why, &full):
		return fmt.Errorf("%w: %w", full, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// abandon withdraws an acquire that is not answered, or waits. Until this is
// answered the acquire's number is not settled, so that the machine still
// knows how it was answered.
func (s *session) abandon(a *acquiring) {
	defer func() {
		s.mu.Lock()
		a.jobDone()
		s.unlock()
	}()
	c := fsm.Command{Op: fsm.OpAbandon, Target: a.cmd.Seq}
	sent, ok := s.issueAtOnce(&c)
	if !ok && !a.resumed {
		// The window is full, perhaps of acquires like this one: were all to
		// wait for room, none would come. An answer to this one makes some.
		r, err := s.insist(s.ctx, &a.cmd)
		if err != nil {
			return
		}
		s.answered(a, r)
		if r.Status != fsm.StatusQueued {
			return
		}
	}
	if _, err := s.complete(&c, sent); err != nil {
		return // with the session everything of it ends
	}
	s.mu.Lock()
	delete(s.acquires, a.cmd.Seq)
	s.settleSeq(a.cmd.Seq)
	s.unlock()
}
