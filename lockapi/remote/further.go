package remote

import (
	"context"
	"fmt"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A node lets one stream speak for rpc.StreamSessionsMax sessions. So a backend whose
// stream is full has a further one, which is a backend like itself: with a stream of
// its own, to a node of the same cluster, and with the sessions that are opened,
// attached or resumed while there is no room here. Each session stays where it was
// begun, so that its commands go by one stream, in order.

// begins tells whether c may bring a stream a session more.
func begins(c *fsm.Command) bool { return !speaks(c) }

// carrier is the backend by whose stream c goes: the one that knows it, or its
// session, or the first with room for another. If c begins a session the carrier
// keeps that room until it has arrived.
func (b *Backend) carrier(c *fsm.Command) (*Backend, error) {
	for x := b; x != nil; x = x.further.Load() {
		if x.carries(c) {
			return x, nil
		}
	}
	if !begins(c) {
		return b, nil // to be told that there is no such session, or that it is another's
	}
	for x := b; ; {
		if x.reserve() {
			return x, nil
		}
		next, err := x.successor()
		if err != nil {
			return nil, err
		}
		x = next
	}
}

// carries tells whether c, or what it speaks for, is this backend's own. If it is
// and begins a session, room is kept for that, as it may be among those counted.
func (b *Backend) carries(c *fsm.Command) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	ours := b.inflight[c.Key()] != nil || c.Session != 0 && b.sessions[c.Session] != nil
	if ours && begins(c) {
		b.coming++
	}
	return ours
}

// reserve keeps room for a session, if there is some, until arrived is called.
func (b *Backend) reserve() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sessions)+b.coming >= b.sessionsMax {
		return false
	}
	b.coming++
	return true
}

func (b *Backend) arrived() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.coming--
}

// successor is the further backend, made if there is none.
func (b *Backend) successor() (*Backend, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if next := b.further.Load(); next != nil || b.closed {
		if next == nil {
			return nil, lockapi.ErrClosed
		}
		return next, nil
	}
	next := newBackend(b.book, b.options)
	next.opening, next.sessionsMax = b.opening, b.sessionsMax
	b.further.Store(next)
	b.log.Info("remote: one stream is full, so there is a further one", "sessions", len(b.sessions))
	return next, nil
}

// enter waits until c, if it opens a session, may be one of those under way, and
// returns what ends that. Were fifty thousand sent at once, the first would have
// opened long before they can be attached, renewed and used, behind all the others,
// and would be over by then.
func (b *Backend) enter(ctx context.Context, c *fsm.Command) (leave func(), err error) {
	if c.Op != fsm.OpOpen {
		return func() {}, nil
	}
	select {
	case b.opening <- struct{}{}:
		return func() { <-b.opening }, nil
	case <-b.ctx.Done():
		return nil, lockapi.ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", lockapi.ErrUnavailable, ctx.Err())
	}
}

// open gets a command answered that may begin a session.
func (b *Backend) open(ctx context.Context, c *fsm.Command) (fsm.Result, error) {
	leave, err := b.enter(ctx, c)
	if err != nil {
		return fsm.Result{}, err
	}
	defer leave()
	by, err := b.carrier(c)
	if err != nil {
		return fsm.Result{}, err
	}
	defer by.arrived()
	return by.do(ctx, c)
}
