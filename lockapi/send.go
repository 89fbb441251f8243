package lockapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// backoffMin and backoffMax bound the pause before a command is sent again.
	// A backend has its own pace; this is for one that gives up at once.
	backoffMin = 10 * time.Millisecond
	backoffMax = 500 * time.Millisecond
	// doubtShare: a command that waits for an answer for this share of the TTL
	// is asked for a second time, so that a node that is stuck does not cost
	// the session.
	doubtShare = 6
)

// backoff is the pause after the n-th failure, from 0; half of it is chance.
func backoff(n int) time.Duration {
	d := min(backoffMin<<min(n, 16), backoffMax)
	return d/2 + rand.N(d/2)
}

// pause waits for d; the error is ctx's if it ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A neverSentError is an error of a command that surely has no effect.
type neverSentError struct{ error }

func (e neverSentError) Unwrap() error { return e.error }

func neverSent(err error) bool { return errors.As(err, new(neverSentError)) }

// do gets c answered: it sends the very same c until the outcome is known or
// ctx ends. Without patience it also returns what the backend says of a c that
// it will not send.
func (s *session) do(ctx context.Context, c *fsm.Command, patient bool) (fsm.Result, error) {
	sent := false
	for n := 0; ; n++ {
		r, err := s.backend.Do(ctx, *c)
		if err == nil {
			return r, nil
		}
		unavailable := errors.Is(err, ErrUnavailable)
		refused := !unavailable && !errors.Is(err, ErrUnknown) && ctx.Err() == nil
		sent = sent || !unavailable && !refused
		switch {
		case overForGood(err) && ctx.Err() == nil:
			s.end(err)
			return r, s.cause()
		case s.client.agent && !patient && !sent && errors.Is(err, ErrOverloaded):
			// Whoever it asks for may wait himself.
		case ctx.Err() == nil && (patient || unavailable || sent):
			if pause(ctx, s.pauseAfter(c, err, n)) == nil {
				continue
			}
		}
		if sent {
			return r, err
		}
		return r, neverSentError{err}
	}
}

// pauseAfter is PauseAfter, but that a renewal does not wait until it is too late: a
// session must not end because somebody has asked it to wait.
func (s *session) pauseAfter(c *fsm.Command, err error, n int) time.Duration {
	d := PauseAfter(err, n)
	if c.Op == fsm.OpRenew {
		d = min(d, s.ttl/doubtShare)
	}
	return d
}

// overForGood tells whether a backend says by an error that no command of the
// session will ever be answered through it.
func overForGood(err error) bool {
	return errors.Is(err, ErrClosed) || errors.Is(err, ErrSessionGone) || errors.Is(err, ErrFenced) || errors.Is(err, ErrDenied)
}

// insist is do with patience and a doubt: if the answer takes too long, the
// same command is given to the backend a second time beside the first, and a
// backend that has another path uses it. The first answer counts.
func (s *session) insist(ctx context.Context, c *fsm.Command) (fsm.Result, error) {
	type answer struct {
		r   fsm.Result
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beside := make(chan answer, 1)
	doubt := time.AfterFunc(s.ttl/doubtShare, func() {
		r, err := s.do(ctx, c, true)
		if err == nil {
			cancel() // the first is not waited for
		}
		beside <- answer{r, err}
	})
	r, err := s.do(ctx, c, true)
	if doubt.Stop() {
		return r, err
	}
	cancel()
	if second := <-beside; err != nil {
		return second.r, second.err
	}
	return r, err
}

// within is ctx, ended by the end of the session as well. release it.
func (s *session) within(ctx context.Context) (within context.Context, release func()) {
	if ctx.Done() == nil {
		return s.ctx, func() {}
	}
	within, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return within, func() {
		stop()
		cancel()
	}
}

// complete gets an urgent command numbered, if it is not yet, and answered,
// however long that takes. The error is why the session is over.
func (s *session) complete(c *fsm.Command, sent time.Duration) (fsm.Result, error) {
	if c.Seq == 0 {
		var err error
		if sent, err = s.issue(s.ctx, c, nil, urgent); err != nil {
			return fsm.Result{}, s.cause()
		}
	}
	r, err := s.insist(s.ctx, c)
	if err != nil {
		return r, s.cause()
	}
	s.conclude(c, sent, r)
	return r, nil
}

// conclude takes the answer to a numbered command that is no acquire.
func (s *session) conclude(c *fsm.Command, sent time.Duration, r fsm.Result) {
	s.mu.Lock()
	s.credit(sent, s.now(), r)
	s.settleSeq(c.Seq)
	s.unlock()
	s.heed(r)
}

// heed ends the session when an answer says that it is over.
func (s *session) heed(r fsm.Result) {
	if endsSession(r.Status) {
		s.end(ErrorOf(r))
	}
}

// endsSession tells whether an answer says that its session is over, at least for
// who was answered so.
func endsSession(status fsm.Status) bool {
	switch status {
	case fsm.StatusSessionGone, fsm.StatusSeqReused, fsm.StatusWindow, fsm.StatusFenced, fsm.StatusBadSecret:
		return true
	default:
		return false
	}
}

// credit takes from an answer that came now what it says about time: it was
// applied at r.At, not before sent, and its session then had its whole TTL.
// What was not believed any more before it came has ended, whatever it says.
// mu is held.
func (s *session) credit(sent, now time.Duration, r fsm.Result) {
	switch r.Status {
	case fsm.StatusOK, fsm.StatusQueued, fsm.StatusBusy, fsm.StatusNotHeld:
	default:
		return // perhaps not of a machine
	}
	s.lapse(now)
	s.belief.credit(sent, r.At)
	s.belief.renewed(r.At, s.ttl)
	s.creditedSent = max(s.creditedSent, sent)
	s.averted(now)
	if s.credited != nil {
		close(s.credited)
		s.credited = nil
	}
}
