package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

const (
	// drainTimeout: at the end everybody finishes the cycle that he is in. Who
	// cannot by then is called off: there is nobody to answer.
	drainTimeout = 10 * time.Second
	// CloseTimeout bounds the end of the sessions, which end by themselves in time.
	CloseTimeout = 2 * time.Second
	// errorPause keeps a client that fails from asking in a busy loop.
	errorPause = 10 * time.Millisecond
)

// A phase of a run.
type phase int32

const (
	_ phase = iota
	warming
	counting
	over
)

// A Bench is ready to run: its links are made and its sessions open.
type Bench struct {
	plan    Plan
	streams []*stream
	clients []*client
	phase   atomic.Int32
	stopped chan struct{} // closed by the first violation
	stop    sync.Once

	acquire, cycle Histogram
	ends           *Timeline
	began          time.Time // of what counts; set before counting

	mu         sync.Mutex // guards the fields below
	errors     uint64
	firstError string
	violation  string
}

// A stream is a lockapi.Client with a backend of its own.
type stream struct {
	backend lockapi.Backend
	client  *lockapi.Client
}

// A client does one cycle after the other.
type client struct {
	mutex  *lockapi.Mutex
	gate   *gate
	cycles uint64 // that count; read when the client has ended
}

// Open makes the streams, each with a backend that dial gives, and sees that
// every one can lock. On error nothing is left open. The error is ErrInvalid's
// kind if the plan is wrong, dial's, or that of an acquire within ctx.
func Open(ctx context.Context, p Plan, dial func() (lockapi.Backend, error)) (*Bench, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("bench: %w: %w", lockapi.ErrInvalid, err)
	}
	b := &Bench{plan: p, ends: newTimeline(p.Duration), stopped: make(chan struct{})}
	for range p.streams() {
		s, err := open(ctx, p.Prefix+"open"+strconv.Itoa(p.First+len(b.streams)), dial)
		if err != nil {
			return nil, errors.Join(err, b.Close(ctx))
		}
		b.streams = append(b.streams, s)
	}
	one := new(gate)
	for i := range p.Clients {
		c := &client{mutex: b.streams[i%len(b.streams)].client.Mutex(p.name(i)), gate: one}
		if !p.Contended {
			c.gate = new(gate)
		}
		b.clients = append(b.clients, c)
	}
	return b, nil
}

// open makes a stream and a cycle over it, which opens its session.
func open(ctx context.Context, name string, dial func() (lockapi.Backend, error)) (*stream, error) {
	backend, err := dial()
	if err != nil {
		return nil, err
	}
	c, err := lockapi.New(backend, lockapi.Options{})
	if err != nil {
		return nil, errors.Join(err, backend.Close())
	}
	s := &stream{backend, c}
	grant, err := c.Mutex(name).Acquire(ctx)
	if err == nil {
		err = grant.Release(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func (s *stream) close(ctx context.Context) error {
	return errors.Join(s.client.Close(ctx), s.backend.Close())
}

// Close ends the sessions, and with them whatever they still hold. The error is
// ErrUnknown if ctx ended first: they end with their TTL.
func (b *Bench) Close(ctx context.Context) error {
	errs := make(chan error, len(b.streams))
	for _, s := range b.streams {
		go func() { errs <- s.close(ctx) }()
	}
	var err error
	for range b.streams {
		err = errors.Join(err, <-errs)
	}
	return err
}

// Run measures, once: it warms up at start and then counts. When ctx ends, it
// gives what was measured so far. When it returns nothing is held or wanted any
// more, but for what nobody answered within ten seconds.
func (b *Bench) Run(ctx context.Context, start time.Time) Measurement {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var elapsed time.Duration
	if b.sleepUntil(ctx, start) {
		b.phase.Store(int32(warming))
		var running sync.WaitGroup
		for _, c := range b.clients {
			running.Go(func() { b.turn(work, c) })
		}
		if b.sleepUntil(ctx, start.Add(b.plan.Warmup)) {
			b.began = time.Now()
			b.phase.Store(int32(counting))
			b.sleepUntil(ctx, b.began.Add(b.plan.Duration))
			elapsed = time.Since(b.began)
		}
		b.phase.Store(int32(over))
		late := time.AfterFunc(drainTimeout, cancel)
		running.Wait()
		late.Stop()
	}
	m := Measurement{
		Streams: len(b.streams), Processes: 1, Contended: b.plan.Contended, Elapsed: elapsed,
		Acquire: &b.acquire, Cycle: &b.cycle, Ends: b.ends,
		Errors: b.errors, FirstError: b.firstError, Violation: b.violation,
	}
	for _, c := range b.clients {
		m.Cycles = append(m.Cycles, c.cycles)
	}
	return m
}

// sleepUntil tells whether t came before the end.
func (b *Bench) sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-b.stopped:
		return false
	}
}

func (b *Bench) is(p phase) bool { return phase(b.phase.Load()) == p }

// turn does cycles until the run is over.
func (b *Bench) turn(ctx context.Context, c *client) {
	ctx, cancel := context.WithCancel(ctx) // of its own: children of a shared one would queue for its mutex
	defer cancel()
	for !b.is(over) {
		begin := time.Now()
		grant, err := c.mutex.Acquire(ctx)
		if err != nil {
			b.failed(ctx, err)
			continue
		}
		acquired := time.Now()
		counts := b.is(counting)
		if counts {
			b.acquire.Record(acquired.Sub(begin))
		}
		if err := c.gate.enter(grant); err != nil {
			b.violated(err)
		}
		if err := grant.Release(ctx); err != nil {
			b.failed(ctx, err)
			continue
		}
		if end := time.Now(); counts && b.is(counting) {
			b.cycle.Record(end.Sub(begin))
			b.ends.mark(end.Sub(b.began))
			c.cycles++
		}
	}
}

// failed notes an error, unless the bench itself has called the client off.
func (b *Bench) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		err = fmt.Errorf("nobody answered for %v after the end: %w", drainTimeout, err)
	}
	b.mu.Lock()
	if b.errors++; b.errors == 1 {
		b.firstError = err.Error()
	}
	b.mu.Unlock()
	b.sleepUntil(ctx, time.Now().Add(errorPause))
}

// violated notes that the locks are none, and ends the run.
func (b *Bench) violated(err error) {
	b.mu.Lock()
	if b.violation == "" {
		b.violation = err.Error()
	}
	b.mu.Unlock()
	b.stop.Do(func() { close(b.stopped) })
}
