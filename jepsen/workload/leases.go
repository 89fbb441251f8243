package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/lockapi"
)

// Leases is a Load for a service that has no sessions and no queue: each lock has
// a TTL of its own, and is tried for. It needs one function, not a Backend.
//
// Clients try, hold for a moment, or longer than the TTL, renew what can be
// renewed, go away without a word, and give back twice, also what they have lost by
// then. A Backend would hide that: it has to know a session's end before it asks.
//
// In the history each lock is a session: it opens with the TTL, acquires and
// releases. All fields but Lock may be left zero.
type Leases struct {
	// Lock tries to have the name for ttl, at least, from the call on. The error is
	//
	//	lockapi.ErrNotAcquired  if somebody had it, which is held against the service if nobody can have had it
	//	lockapi.ErrUnavailable  if it was not taken, for whatever other reason
	//	any other, as of a timeout, if it may or may not have been taken
	Lock func(ctx context.Context, name string, ttl time.Duration) (Lease, error)

	Seed     uint64
	Clients  int           // 0: 8
	Time     time.Duration // 0: 10 s
	TTL      time.Duration // of a lock; 0: 1 s
	Patience time.Duration // of a call's context; 0: 2 s
	Names    []string      // nil: two. Every two TTLs they are others: see Load.Renamed

	record *history.Recorder
	locks  atomic.Uint64 // so many were tried for
}

// A Lease is a lock that somebody has.
type Lease struct {
	// Token is greater than any that was given before; 0: the service has none.
	Token uint64
	// Unlock gives back this lock and no other. It may be called again, and after the
	// TTL. The error is nil if it was held until now, lockapi.ErrNotHeld if it was not,
	// lockapi.ErrUnavailable if nothing was done, any other if that is not known; a
	// service that does not tell whether it was held has ErrUnknown.
	Unlock func(ctx context.Context) error
	// Renew has the TTL begin anew with the call, with errors as Unlock has them. It is
	// nil if the service cannot.
	Renew func(ctx context.Context) error
}

// Run lets the clients work until time is up or ctx ends.
func (l *Leases) Run(ctx context.Context, record *history.Recorder) {
	l.record = record
	l.complete()
	ctx, cancel := context.WithTimeout(ctx, l.Time)
	defer cancel()
	var running sync.WaitGroup
	for i := range l.Clients {
		c := &tenant{Leases: l, number: i + 1, rng: rand.New(rand.NewPCG(l.Seed, uint64(i)))}
		running.Go(func() {
			for ; ctx.Err() == nil; c.number += l.Clients {
				for c.turn(ctx) {
				}
				// Were there no rest, a service that is down would be given doubts as fast as
				// it refuses them, and of too many no order is found.
				pause(ctx, l.TTL/4)
			}
		})
	}
	running.Wait()
}

func (l *Leases) complete() {
	if l.Clients == 0 {
		l.Clients = 8
	}
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.TTL == 0 {
		l.TTL = time.Second
	}
	if l.Patience == 0 {
		l.Patience = 2 * time.Second
	}
	if len(l.Names) == 0 {
		l.Names = []string{"a", "b"}
	}
}

// A tenant is one at a time of those who try. It is another after what it does not
// know the end of, and after it went away.
type tenant struct {
	*Leases
	number int
	rng    *rand.Rand
}

// asks has a call recorded with its outcome. lost is the code of ErrNotHeld.
func (c *tenant) asks(ctx context.Context, o history.Op, lost string, call func(context.Context, *history.Op) error) (err error, known bool) {
	o.Client = c.number
	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	op := c.record.Call(o)
	switch err = call(ctx, op); {
	case err == nil:
		c.record.Return(op, history.OK, "")
	case errors.Is(err, lockapi.ErrUnknown):
		c.record.Return(op, history.Unknown, "")
		return err, false
	case errors.Is(err, lockapi.ErrNotAcquired):
		c.record.Return(op, history.Fail, history.Busy)
	case errors.Is(err, lockapi.ErrNotHeld):
		c.record.Return(op, history.Fail, lost)
	case errors.Is(err, lockapi.ErrUnavailable):
		c.record.Return(op, history.Fail, history.Unavailable)
	default:
		c.record.Return(op, history.Unknown, "")
		return err, false
	}
	return err, true
}

// turn is one lock, from the try to the end. It is false if the client is no more.
func (c *tenant) turn(ctx context.Context) (goesOn bool) {
	if ctx.Err() != nil {
		return false
	}
	round := c.record.Now() / int64(2*c.TTL)
	name := fmt.Sprintf("%s/%d", c.Names[c.rng.IntN(len(c.Names))], round)
	session := c.locks.Add(1)
	var lease Lease
	// It lives from the call of what it asks for, so that it has to be before that.
	_, _ = c.asks(ctx, history.Op{Kind: history.Open, Session: session, TTL: int64(c.TTL)}, "", func(context.Context, *history.Op) error { return nil })
	try := history.Op{Kind: history.Acquire, Session: session, Wants: []history.Want{{Name: name, Mode: history.Exclusive}}}
	err, known := c.asks(ctx, try, history.Unavailable, func(ctx context.Context, o *history.Op) (err error) {
		if lease, err = c.Lock(ctx, name, c.TTL); err == nil {
			o.Grant = session
			if lease.Token != 0 {
				o.Tokens = []uint64{lease.Token}
			}
		}
		return err
	})
	switch {
	case !known:
		return false
	case err != nil:
		pause(ctx, time.Duration(c.rng.IntN(20))*time.Millisecond)
		return true
	default:
		return c.has(ctx, session, lease)
	}
}

// has is what a client does with a lock that it has.
func (c *tenant) has(ctx context.Context, session uint64, lease Lease) (goesOn bool) {
	if c.rng.IntN(2) == 0 {
		pause(ctx, time.Duration(c.rng.IntN(10))*time.Millisecond)
	}
	switch n := c.rng.IntN(100); {
	case n < 2: // a crash
		return false
	case n < 8 && lease.Renew != nil:
		pause(ctx, c.TTL*time.Duration(c.rng.IntN(120))/100)
		renew := history.Op{Kind: history.Renew, Session: session}
		if _, known := c.asks(ctx, renew, history.NoSession, func(ctx context.Context, _ *history.Op) error { return lease.Renew(ctx) }); !known {
			return false
		}
		pause(ctx, c.TTL*time.Duration(c.rng.IntN(120))/100)
	case n < 12: // forgets the time
		pause(ctx, c.TTL*time.Duration(50+c.rng.IntN(150))/100)
	}
	lost := history.NoSession // it ran out
	for range 1 + c.rng.IntN(10)/9 {
		release := history.Op{Kind: history.Release, Session: session, Grant: session}
		err, known := c.asks(ctx, release, lost, func(ctx context.Context, _ *history.Op) error { return lease.Unlock(ctx) })
		if !known {
			return false
		}
		if err == nil {
			lost = history.NotHeld // it was given back
		}
	}
	return true
}
