package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/lockapi"
)

// An Engine is applications, each with a lockapi.Client of its own: what is tried
// is the engine between an application and a backend, and above all when it stops
// believing that a lock is held. All want one name, write to one resource while they
// believe, and never look at the history.
type Engine struct {
	Seed    uint64
	Clients int
	First   int // number of the first client; those of one resource differ
	Time    time.Duration
	TTL     time.Duration
	Name    string
	// Resource is what they write to. It may be one that others share.
	Resource Guarded
	// Clock times what they are sure of: the same for all who want the lock.
	Clock func() int64
	// Work is what they do between reading the resource and writing it: for half of
	// it they look at the lock all the time, then they trust that it is theirs. A
	// pause in the first half is for the client's engine to see, one in the second
	// for the resource.
	Work time.Duration
	// Open gives a client its way to the service.
	Open func(client int) (lockapi.Backend, error)
	// Tell hears of each belief as it grows, for a process that may not live to
	// return it; nil tells nobody.
	Tell func(history.Belief) error

	mu      sync.Mutex // guards the fields below
	beliefs []history.Belief
	wrong   []error
}

// longOneOf: one hold of so many may outlast the TTL, so that what it is believed by is
// renewals. The others are short, so that there are many.
const longOneOf = 50

// Guarded is a Resource, or one of another process.
type Guarded interface {
	Read(Look) (Reading, error)
	Write(Writing) error
	Tally() (Tally, error)
}

var (
	_ Guarded = (*Resource)(nil)
	_ Guarded = (*Shared)(nil)
)

// Run lets the applications work until time is up or ctx ends. The beliefs are
// what each of them was sure of, and when, by the clock; the error is what cannot be.
func (e *Engine) Run(ctx context.Context) ([]history.Belief, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Time)
	defer cancel()
	var running sync.WaitGroup
	for i := range e.Clients {
		running.Go(func() {
			if err := e.live(ctx, e.First+i); err != nil {
				e.complain(err)
			}
		})
	}
	running.Wait()
	return e.beliefs, errors.Join(e.wrong...)
}

func (e *Engine) complain(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wrong = append(e.wrong, err)
}

func (e *Engine) live(ctx context.Context, number int) error {
	b, err := e.Open(number)
	if err != nil {
		return err
	}
	defer b.Close()
	rng := rand.New(rand.NewPCG(e.Seed, uint64(number)))
	var wrong error
	for ctx.Err() == nil && wrong == nil {
		client, err := lockapi.New(b, lockapi.Options{TTL: e.TTL})
		if err != nil {
			return err
		}
		for ctx.Err() == nil && wrong == nil && rng.IntN(50) > 0 { // now and then it is another session
			grant, gaveUp, err := e.acquire(ctx, client, rng)
			if gaveUp {
				continue
			}
			if err != nil {
				break
			}
			d := time.Duration(rng.IntN(20)) * time.Millisecond
			if rng.IntN(longOneOf) == 0 {
				d = time.Duration(rng.Int64N(int64(2 * e.TTL)))
			}
			wrong = e.hold(ctx, number, grant, d)
			over, done := context.WithTimeout(context.WithoutCancel(ctx), e.TTL)
			_ = grant.Release(over)
			done()
		}
		over, done := context.WithTimeout(context.WithoutCancel(ctx), e.TTL)
		_ = client.Close(over)
		done()
	}
	return wrong
}

// acquire waits for the lock; one in three has a deadline, and gives up maybe before
// anybody has heard of it.
func (e *Engine) acquire(ctx context.Context, client *lockapi.Client, rng *rand.Rand) (_ *lockapi.Grant, gaveUp bool, err error) {
	patience, done := ctx, context.CancelFunc(func() {})
	if rng.IntN(3) == 0 {
		patience, done = context.WithTimeout(ctx, time.Duration(rng.Int64N(int64(e.TTL/4))>>rng.IntN(16)))
	}
	defer done()
	grant, err := client.Mutex(e.Name).Acquire(patience)
	return grant, err != nil && patience.Err() != nil, err
}

// hold believes in a grant for a while, and writes as long as it does. The error is
// of the resource, or of a belief that the resource knows to be wrong.
func (e *Engine) hold(ctx context.Context, number int, grant *lockapi.Grant, d time.Duration) error {
	belief := history.Belief{Client: number, Token: uint64(grant.Token), From: e.Clock()}
	defer func() {
		if belief.To == 0 {
			return // it was lost before it was looked at
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.beliefs = append(e.beliefs, belief)
	}()
	for {
		seen, err := e.Resource.Read(Look{Client: number, Token: belief.Token})
		if err != nil {
			return fmt.Errorf("the resource: %w", err)
		}
		sure := e.watch(grant, &belief)
		if belief.To > 0 && e.Tell != nil {
			if err := e.Tell(belief); err != nil {
				return err
			}
		}
		if sure && seen.Overtaken {
			return fmt.Errorf("client %d is sure of the lock with token %d, and the resource has seen a greater one", number, belief.Token)
		}
		if !sure {
			return nil
		}
		time.Sleep(e.Work / 2)
		err = e.Resource.Write(Writing{Client: number, Token: belief.Token, Fenced: seen.Fenced + 1, Unfenced: seen.Unfenced + 1})
		if err != nil {
			return fmt.Errorf("the resource: %w", err)
		}
		if belief.To >= belief.From+int64(d) || ctx.Err() != nil {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// watch looks at the grant, again and again, and tells whether it is still held. It
// does not sleep: what wakes from a pause is then the next look, before anything that
// the service has said meanwhile is heard.
func (e *Engine) watch(grant *lockapi.Grant, belief *history.Belief) (sure bool) {
	for began := e.Clock(); ; {
		now := e.Clock() // the clock first: it was held at that time, or later
		if !grant.Valid() {
			return false
		}
		belief.To = now
		if now >= began+int64(e.Work/2) {
			return true
		}
	}
}
