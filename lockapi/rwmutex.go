package lockapi

import (
	"context"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// An RWMutex is one name to be held by any number of readers, or by one writer.
// It is a description, free to make and to copy; any number of goroutines may use
// it. Its methods are those of sync.RWMutex in this package's words: Lock is
// Acquire, RLock is RAcquire, Unlock and RUnlock are Grant.Release.
//
// Nobody overtakes: a reader who comes while a writer waits stands behind him, so
// that readers cannot keep a writer out, and readers next to each other in the
// queue are let in together. As with sync.RWMutex it follows that who reads must
// not wait to read again without an owner: a writer may stand between.
type RWMutex struct{ q request }

// RWMutex is the read-write lock called name. Nothing is sent and name is not
// checked before the first acquire.
func (c *Client) RWMutex(name string) *RWMutex {
	return &RWMutex{request{client: c, want: Exclusive(name)}}
}

// WithOwner is a copy of m that acquires for the given owner: see Mutex.WithOwner.
// An owner who reads may enter again to read, ahead of writers that wait; an
// owner who reads and asks to write, or the reverse, is refused with a
// *ConflictError: a hold has one mode.
func (m *RWMutex) WithOwner(owner string) *RWMutex {
	c := *m
	c.q.owner = owner
	return &c
}

// WithMaxHold is a copy of m whose grants end by themselves after d: see
// Mutex.WithMaxHold.
func (m *RWMutex) WithMaxHold(d time.Duration) *RWMutex {
	c := *m
	c.q.maxHold = d
	return &c
}

// Acquire waits until the lock is held for writing: by nobody else. It is
// Mutex.Acquire in every other way, errors included.
func (m *RWMutex) Acquire(ctx context.Context) (*Grant, error) { return m.q.acquire(ctx, true) }

// TryAcquire is Acquire without a queue: see Mutex.TryAcquire.
func (m *RWMutex) TryAcquire(ctx context.Context) (*Grant, error) { return m.q.acquire(ctx, false) }

// RAcquire waits until the lock is held for reading: perhaps by others who read,
// and by nobody who writes. Its errors are those of Mutex.Acquire. Every reader
// has a token of its own.
func (m *RWMutex) RAcquire(ctx context.Context) (*Grant, error) { return m.shared().acquire(ctx, true) }

// TryRAcquire is RAcquire without a queue: if somebody writes, or waits to, it
// returns ErrNotAcquired.
func (m *RWMutex) TryRAcquire(ctx context.Context) (*Grant, error) {
	return m.shared().acquire(ctx, false)
}

func (m *RWMutex) shared() *request {
	q := m.q
	q.want.Mode = fsm.Shared
	return &q
}
