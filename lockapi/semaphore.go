package lockapi

import (
	"context"
	"time"
)

// A Semaphore is a number of permits that owners share: at most its limit are
// held at any time. It is a description, free to make and to copy; any number of
// goroutines may use it.
//
// The limit is declared by whoever uses the name first, and all others must say
// the same while anybody holds permits or waits for some: who says another is
// refused with a *ConflictError that tells the declared one.
//
// Permits are given first come, first served: who wants many is not overtaken by
// those who want few. Every acquire has permits and a token of its own, which
// Grant.Release gives back; none enters again what it has, also not with an owner,
// since more permits are more.
type Semaphore struct {
	q     request
	limit int
}

// Semaphore is the semaphore called name, with this many permits in all. Nothing
// is sent and nothing is checked before the first acquire.
func (c *Client) Semaphore(name string, limit int) *Semaphore {
	return &Semaphore{request{client: c, want: Permits(name, 0, limit)}, limit}
}

// WithOwner is a copy of s that acquires for the given owner, which lists show. At
// most 128 bytes of UTF-8, and not beginning with "~". "" is no explicit owner.
func (s *Semaphore) WithOwner(owner string) *Semaphore {
	c := *s
	c.q.owner = owner
	return &c
}

// WithMaxHold is a copy of s whose grants end by themselves after d: see
// Mutex.WithMaxHold.
func (s *Semaphore) WithMaxHold(d time.Duration) *Semaphore {
	c := *s
	c.q.maxHold = d
	return &c
}

// Acquire waits until n permits are free for it and nobody is ahead, and holds
// them. n is 1 to the limit. It is Mutex.Acquire in every other way, errors
// included.
func (s *Semaphore) Acquire(ctx context.Context, n int) (*Grant, error) {
	return s.acquire(ctx, n, true)
}

// TryAcquire is Acquire without a queue: if n permits are not free, or somebody
// waits, it returns ErrNotAcquired.
func (s *Semaphore) TryAcquire(ctx context.Context, n int) (*Grant, error) {
	return s.acquire(ctx, n, false)
}

func (s *Semaphore) acquire(ctx context.Context, n int, wait bool) (*Grant, error) {
	if err := invalidPermits(int64(n), int64(s.limit)); err != nil {
		return nil, s.q.wrapped(err)
	}
	q := s.q
	q.want.Permits = permits(n)
	return q.acquire(ctx, wait)
}
