// Package workload uses a lock service as many clients would who do not trust it
// and are not to be trusted, and records what befell them. It asks for nothing but
// a lockapi.Backend: whatever implements that can be judged.
//
// Clients contend for few names in every mode, forget what they hold, withdraw what
// they wait for, and go away without a word. Some stay with their node; the others
// change it between any two questions, and send one command in eight by two ways at
// once. Each has one operation under way, and after one whose fate it does not know
// it is another client, with another session.
package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/lockapi"
)

// A Load is what clients do, and for how long.
type Load struct {
	Seed     uint64
	Clients  int
	Time     time.Duration
	TTL      time.Duration // of sessions: half as long to twice as long
	Wait     time.Duration // of acquires that wait
	Patience time.Duration // after which a client takes an answer for lost
	Names    []Name
	// Renamed is how often the names are others: an order of a few thousand
	// operations of one name is found, one of a million is not.
	Renamed time.Duration
	// Ways are the backends: each client begins with one of them.
	Ways []lockapi.Backend
	// Pinned clients stay with their way, the others change it at will.
	Pinned int

	record  *history.Recorder
	running sync.WaitGroup
	given   atomic.Uint64 // the number of the grant that was heard of last; 0 is none's

	mu         sync.Mutex // guards complaints
	complaints []error
}

// A Name is what clients want.
type Name struct {
	Name   string
	Shared bool     // it is wanted for reading, too
	Limit  int      // of a semaphore; 0: it is a lock
	With   []string // names that are sometimes wanted together with it
}

// Workloads are the names of loads that a person can ask for.
func Workloads() []string {
	return []string{"mutex", "rwlock", "semaphore", "all", "mixed", EngineName}
}

// EngineName is the workload that is an Engine and not a Load.
const EngineName = "engine"

// Names are what the clients of a Load want, each behind a prefix. It is nil if
// there is no such workload.
func Names(workload, prefix string) []Name {
	a, b, c, s := prefix+"a", prefix+"b", prefix+"c", prefix+"s"
	switch workload {
	case "mutex":
		return []Name{{Name: a}, {Name: b}}
	case "rwlock":
		return []Name{{Name: a, Shared: true}, {Name: b, Shared: true}}
	case "semaphore":
		return []Name{{Name: s, Limit: 3}}
	case "all":
		return []Name{{Name: a, With: []string{b, c}}, {Name: b, With: []string{c}}, {Name: c}}
	case "mixed":
		return []Name{{Name: a, Shared: true, With: []string{b, s}}, {Name: b}, {Name: c, Shared: true}, {Name: s, Limit: 3}}
	default:
		return nil
	}
}

// Run lets the clients work until time is up or ctx ends. The error lists what no
// history can show: one command with two answers.
func (l *Load) Run(ctx context.Context, record *history.Recorder) error {
	l.record = record
	ctx, cancel := context.WithTimeout(ctx, l.Time)
	defer cancel()
	for i := range l.Clients {
		c := &client{
			load: l, number: i + 1, rng: rand.New(rand.NewPCG(l.Seed, uint64(i))),
			backends: l.Ways, way: i % len(l.Ways), pinned: i < l.Pinned,
		}
		l.running.Go(func() { c.live(ctx) })
	}
	l.running.Wait()
	return errors.Join(l.complaints...)
}

// A client is one at a time of those who use the service.
type client struct {
	load     *Load
	number   int // raised by Clients when it becomes another
	rng      *rand.Rand
	backends []lockapi.Backend
	way      int
	pinned   bool
}

func (c *client) backend() lockapi.Backend { return c.backends[c.way] }

// roam changes the way, for those who may.
func (c *client) roam() {
	if !c.pinned {
		c.way = c.rng.IntN(len(c.backends))
	}
}

// impatient clients send twice.
func (c *client) impatient() bool { return !c.pinned && c.rng.IntN(8) == 0 }

func (c *client) complain(format string, args ...any) {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	c.load.complaints = append(c.load.complaints, fmt.Errorf(format, args...))
}

func (c *client) call(o history.Op) *history.Op {
	o.Client, o.Node = c.number, fmt.Sprint(c.way)
	return c.load.record.Call(o)
}

var codes = map[fsm.Status]string{
	fsm.StatusBusy: history.Busy, fsm.StatusTimeout: history.Timeout, fsm.StatusNotHeld: history.NotHeld,
	fsm.StatusSessionGone: history.NoSession, fsm.StatusAbandoned: history.Abandoned,
}

// returned records what came of an operation, and tells whether that is known.
func (c *client) returned(o *history.Op, r fsm.Result, err error) (known bool) {
	switch {
	case errors.Is(err, lockapi.ErrUnknown):
		c.load.record.Return(o, history.Unknown, "")
		return false
	case err != nil:
		c.load.record.Return(o, history.Fail, history.Unavailable)
	case r.Status == fsm.StatusOK:
		o.At = at(r)
		c.load.record.Return(o, history.OK, "")
	default:
		code := codes[r.Status]
		if code == "" {
			code = r.Status.String()
		}
		o.At = at(r)
		c.load.record.Return(o, history.Fail, code)
	}
	return true
}

// at is where an answer was given; nil for one that no entry gave.
func at(r fsm.Result) *history.Position {
	if r.Index == 0 {
		return nil
	}
	return &history.Position{Index: uint64(r.Index), Order: r.Order}
}

// live is one session after the other.
func (c *client) live(ctx context.Context) {
	for ; ctx.Err() == nil; c.number += c.load.Clients {
		if s := c.open(ctx); s != nil {
			s.live(ctx)
			s.stop()
			continue
		}
		select { // nobody is there: come again
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}
