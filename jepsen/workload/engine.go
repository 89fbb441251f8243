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
	Time    time.Duration
	TTL     time.Duration
	Name    string
	// Open gives a client its way to the service.
	Open func(client int) (lockapi.Backend, error)

	record *history.Recorder

	mu      sync.Mutex // guards the fields below
	beliefs []history.Belief
	wrong   []error
	// The resource: it takes a write with a token that is not less than the
	// greatest so far, as the documentation advises.
	fence   uint64
	value   int
	refused int
}

// Run lets the applications work until time is up or ctx ends. The beliefs are
// what each of them was sure of, and when; the error is what cannot be.
func (e *Engine) Run(ctx context.Context, record *history.Recorder) ([]history.Belief, error) {
	e.record = record
	ctx, cancel := context.WithTimeout(ctx, e.Time)
	defer cancel()
	var running sync.WaitGroup
	for i := range e.Clients {
		running.Go(func() {
			if err := e.live(ctx, i+1); err != nil {
				e.complain(err)
			}
		})
	}
	running.Wait()
	return e.beliefs, errors.Join(e.wrong...)
}

// Writes is how many writes the resource took, and how many it refused from those
// that had been overtaken.
func (e *Engine) Writes() (taken, refused int) { return e.value, e.refused }

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
	for ctx.Err() == nil {
		client, err := lockapi.New(b, lockapi.Options{TTL: e.TTL})
		if err != nil {
			return err
		}
		for ctx.Err() == nil && rng.IntN(50) > 0 { // now and then it is another session
			grant, err := client.Mutex(e.Name).Acquire(ctx)
			if err != nil {
				break
			}
			e.hold(ctx, number, grant, time.Duration(rng.IntN(20))*time.Millisecond)
			over, done := context.WithTimeout(context.WithoutCancel(ctx), e.TTL)
			_ = grant.Release(over)
			done()
		}
		over, done := context.WithTimeout(context.WithoutCancel(ctx), e.TTL)
		_ = client.Close(over)
		done()
	}
	return nil
}

// hold believes in a grant for a while, and writes as long as it does.
func (e *Engine) hold(ctx context.Context, number int, grant *lockapi.Grant, d time.Duration) {
	belief := history.Belief{Client: number, Token: uint64(grant.Token), From: e.record.Now()}
	for until := belief.From + int64(d); ; {
		before := e.record.Now() // the clock first: it was held at that time, or later
		if !grant.Valid() {
			break
		}
		belief.To = before
		e.write(belief.Token)
		if before >= until || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if belief.To == 0 {
		return // it was lost before it was looked at
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.beliefs = append(e.beliefs, belief)
}

// write reads the resource and writes it, as one that takes its time.
func (e *Engine) write(token uint64) {
	e.mu.Lock()
	read := e.value
	e.mu.Unlock()
	time.Sleep(50 * time.Microsecond)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case token < e.fence:
		e.refused++
	case e.value != read:
		e.wrong = append(e.wrong, fmt.Errorf("a write with token %d was lost: the resource went from %d to %d meanwhile", token, read, e.value))
		fallthrough
	default:
		e.fence, e.value = token, read+1
	}
}
