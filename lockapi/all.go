package lockapi

import (
	"context"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// An All is several names that are to be held together, or not at all. It is a
// description, free to make and to copy; any number of goroutines may use it.
//
// It waits in the queues of all its names at once and holds none until it can
// hold every one. So two that want the same names never wait for each other,
// whatever the order in which they name them. While it waits, those who came
// later wait behind it for each of its names, those that are free too; bound the
// wait.
//
// That holds for what is acquired together. Who holds one grant and waits for
// another may wait in a circle with somebody who does the reverse.
type All struct{ q request }

// All is what the wants name: see Exclusive, Shared and Permits. 1 to 64 of them,
// none twice. Nothing is sent and nothing is checked before the first acquire.
func (c *Client) All(wants ...fsm.Want) *All {
	// An empty list stays a list: it is an error, and not another kind of request.
	return &All{request{client: c, wants: append(make([]fsm.Want, 0, len(wants)), wants...)}}
}

// WithOwner is a copy of a that acquires for the given owner: see
// Mutex.WithOwner. What the owner holds already does not keep it waiting.
func (a *All) WithOwner(owner string) *All {
	c := *a
	c.q.owner = owner
	return &c
}

// WithMaxHold is a copy of a whose grants end by themselves after d, all names at
// once: see Mutex.WithMaxHold.
func (a *All) WithMaxHold(d time.Duration) *All {
	c := *a
	c.q.maxHold = d
	return &c
}

// Acquire waits until all the names can be held, and holds them: one grant, with a
// token for each name (Grant.TokenOf), and one Release for all. It is
// Mutex.Acquire in every other way, errors included; those that are about one of
// the names say which.
func (a *All) Acquire(ctx context.Context) (*Grant, error) { return a.q.acquire(ctx, true) }

// TryAcquire is Acquire without a queue: if one of the names cannot be held, it
// returns ErrNotAcquired and holds none.
func (a *All) TryAcquire(ctx context.Context) (*Grant, error) { return a.q.acquire(ctx, false) }
