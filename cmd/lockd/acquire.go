package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
)

const (
	// contactTimeout is how long run looks for a node with a leader at first.
	contactTimeout = 30 * time.Second
	// contactTimeoutMin is for a shorter --wait: even --wait 0 is a question.
	contactTimeoutMin = time.Second
	// tryTimeout is how long a try may take to be answered: who does not want to
	// wait does not want to wait for a service that is away either.
	tryTimeout = contactTimeoutMin
)

// acquire waits for the lock as long as the flags and the user allow.
func (f *runFlags) acquire(ctx context.Context, client *lockapi.Client, signals <-chan os.Signal, stderr io.Writer) (*lockapi.Grant, error) {
	start := time.Now()
	ctx, done := untilSignal(ctx, signals)
	grant, err := f.acquireUntil(ctx, client, start, stderr)
	if sig := done(); sig != nil {
		return nil, bySignal(sig)
	}
	return grant, err
}

func (f *runFlags) acquireUntil(ctx context.Context, client *lockapi.Client, start time.Time, stderr io.Writer) (*lockapi.Grant, error) {
	if err := f.contact(ctx, client); err != nil {
		return nil, err
	}
	if err := f.notWithinItself(ctx, client, stderr); err != nil {
		return nil, err
	}
	locks := client.All(f.wants.all()...)
	if !f.wait.limited {
		grant, err := locks.Acquire(ctx)
		return grant, f.judged(err, 0)
	}
	left := f.wait.limit - time.Since(start)
	if left <= 0 {
		return f.try(ctx, locks)
	}
	timed, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	grant, err := locks.Acquire(timed)
	return grant, f.judged(err, f.wait.limit)
}

// try acquires without a queue. A node with a leader was there a moment ago. Were
// it gone now, and the try not bounded, --wait 0 would wait for the next leader,
// which may be for ever.
func (f *runFlags) try(ctx context.Context, locks *lockapi.All) (*lockapi.Grant, error) {
	timed, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	grant, err := locks.TryAcquire(timed)
	return grant, f.judged(err, tryTimeout)
}

// unanswered is the error of nobody having answered in time.
func (f *runFlags) unanswered(within time.Duration) error {
	return &exitError{exitUnavailable, fmt.Errorf("%w for %v at %s: see lockd status", lockapi.ErrUnavailable, within, f.backend)}
}

// contactPatience is how long run looks for a node with a leader.
func (f *runFlags) contactPatience() time.Duration {
	if f.wait.limited {
		return max(contactTimeoutMin, min(contactTimeout, f.wait.limit))
	}
	return contactTimeout
}

// contact sees that there is a node with a leader. From its answer on, run
// keeps trying.
func (f *runFlags) contact(ctx context.Context, client *lockapi.Client) error {
	patience := f.contactPatience()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := client.Inspect(ctx, lockapi.Query{Name: f.wants.names[0]})
	var nobody *remote.UnreachedError
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &nobody) {
		return f.unanswered(patience)
	}
	return err
}

// judged turns the end of an acquire into an exit code; within is how long it had.
// An answer that does not come is not one that somebody else holds the lock: a
// script would take that as done by somebody else.
func (f *runFlags) judged(err error, within time.Duration) error {
	var conflict *lockapi.ConflictError
	switch {
	case errors.As(err, &conflict):
		return &exitError{exitUsage, conflict}
	case errors.Is(err, lockapi.ErrNotAcquired):
		return &exitError{exitNotAcquired, fmt.Errorf("%s: not acquired: somebody else holds it (--wait %v)", f.wants, f.wait.limit)}
	case errors.Is(err, lockapi.ErrUnavailable):
		return fmt.Errorf("%s: %w", f.wants, err)
	case errors.Is(err, context.DeadlineExceeded):
		return &exitError{exitUnavailable, fmt.Errorf("%s: not acquired, and no answer at the end of %v: who holds it is not known; see lockd status", f.wants, within)}
	}
	return err
}
