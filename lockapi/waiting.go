package lockapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A Waiting is an acquire of an earlier process, whose place in the queue this one
// has resumed. Acquire goes on waiting, Abandon withdraws it; one of the two, once.
// What is granted before either is called is held until one of them is, or the
// client is closed.
type Waiting struct {
	session   *session
	acquiring *acquiring
	begun     bool // Acquire or Abandon was called; session.mu guards it
}

// Wants is what is waited for, in the order in which it was asked for.
func (w *Waiting) Wants() []fsm.Want { return append([]fsm.Want(nil), w.acquiring.cmd.Wants...) }

// Owner is whom it is waited for, if that was named: see Grant.Owner.
func (w *Waiting) Owner() string { return named(w.acquiring.cmd.Owner) }

// MaxHold is when the grant will end by itself, from when it is given; 0 is never.
func (w *Waiting) MaxHold() time.Duration { return time.Duration(w.acquiring.cmd.MaxHold) }

// Acquire waits at the same place until it is granted or ctx ends. It is
// Mutex.Acquire in every other way, errors included; a time that the process before
// had set for its wait stands, and is then over with ErrNotAcquired.
func (w *Waiting) Acquire(ctx context.Context) (*Grant, error) {
	if err := w.begin(); err != nil {
		return nil, w.wrapped("acquire", err)
	}
	g, err := w.session.outcome(ctx, w.acquiring)
	if err == nil || !errors.Is(err, ErrSessionGone) {
		return g, w.wrapped("acquire", err)
	}
	q := request{client: w.session.client, wants: w.Wants(), owner: w.Owner(), maxHold: w.MaxHold()}
	return q.acquire(ctx, true)
}

// Abandon leaves the queue. On success neither a hold nor a place is left; when ctx
// ends first the error is ctx's and ErrUnknown, and the client goes on in the
// background.
func (w *Waiting) Abandon(ctx context.Context) error {
	if err := w.begin(); err != nil {
		return w.wrapped("abandon", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	err := w.session.withdraw(gone, w.acquiring, ErrUnknown)
	if errors.Is(err, ErrNotAcquired) {
		return nil
	}
	select {
	case <-w.acquiring.withdrawn:
		return nil
	case <-w.session.ctx.Done():
		if errors.Is(w.session.cause(), ErrSessionGone) {
			return nil
		}
		return w.wrapped("abandon", w.session.cause())
	case <-ctx.Done():
		return w.wrapped("abandon", fmt.Errorf("%w: %w", ErrUnknown, ctx.Err()))
	}
}

func (w *Waiting) begin() error {
	w.session.mu.Lock()
	defer w.session.unlock()
	if w.begun {
		return fmt.Errorf("%w: a wait is acquired or abandoned once", ErrInvalid)
	}
	w.begun = true
	return nil
}

func (w *Waiting) wrapped(did string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("lockapi: %s %s: %w", did, titleOf(w.acquiring.cmd.Wants), err)
}
