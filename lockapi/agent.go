package lockapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// An Agent acquires, releases and extends on behalf of those who do not speak to
// the machine themselves, as a node does for its clients over HTTP. Its own session
// numbers the commands, waits in queues and hears how waits end; the grants are the
// beneficiaries', stay when the agent's session ends, and are nothing that it
// believes in. Any number of goroutines may use it; a node needs one.
//
// Its session is opened by the first command, and when one ends, the next command
// opens another. A command is sent again, as it is, until it is answered; what was
// under way when a session ended is asked for again under the next, and the
// machine knows it by its key.
//
// Only a backend inside a node lets a session speak for others.
type Agent struct {
	client *Client

	mu      sync.Mutex        // guards the fields below
	flights map[keyOf]*flight // acquires with a key of the caller's
	closing bool
	running sync.WaitGroup // flights
}

// A Beneficiary is for whom something is: the holder of a session, which the
// session's secret proves, or nobody, which is the zero value. What is held by
// nobody ends with its MaxHold.
type Beneficiary struct {
	Session fsm.SessionID
	Secret  fsm.Secret
}

// An AgentRequest is what an Agent is to acquire.
type AgentRequest struct {
	For     Beneficiary
	Wants   []fsm.Want
	Owner   string        // "" is one of its own
	Wait    time.Duration // 0 tries only; less than 0 waits for as long as ctx lets it
	MaxHold time.Duration // 0 is no deadline, for whom that is allowed
	// Key, unless zero, is the beneficiary's own number of this request. Who asks
	// with it again, also by another agent, is given the grant of the first time,
	// while that lives. So a request with a key goes on when its ctx has ended, and
	// its Wait must be bounded: whoever asked may ask again to learn of its end.
	Key fsm.Nonce
}

// NewAgent makes an agent over b, which it does not close. It sends nothing. The
// error is ErrInvalid and lists all that is wrong with the options.
func NewAgent(b Backend, o Options) (*Agent, error) {
	c, err := New(b, o)
	if err != nil {
		return nil, err
	}
	c.agent = true
	return &Agent{client: c, flights: make(map[keyOf]*flight)}, nil
}

// Acquire gets the request to its end: the Result says that it is granted (its
// Grant is what Release and Extend take), or how it was refused (Refusal makes an
// error of that). The status is final, never StatusQueued.
//
// When ctx ends, or the agent is closed, the error says what is known: with
// ErrNotAcquired it stood in the queue, and nothing is left of it; with ctx's alone
// nobody had answered, and nothing is left either; with ErrUnavailable it was never
// sent (and with ErrOverloaded, which is returned at once, that is why); with
// ErrUnknown it may yet be granted, and a grant that nobody wants ends with its
// MaxHold or its session. Unless it has a Key, an acquire whose ctx has ended is withdrawn in the
// background, for as long as the agent's session lives.
func (a *Agent) Acquire(ctx context.Context, r AgentRequest) (fsm.Result, error) {
	if r.Key != (fsm.Nonce{}) {
		return a.join(ctx, r)
	}
	r.Key = randomNonce() // so that it can be asked for again under another session
	return a.acquire(ctx, &r)
}

func (a *Agent) acquire(ctx context.Context, q *AgentRequest) (fsm.Result, error) {
	c := a.client
	began := c.options.now()
	for doubt := false; ; doubt = true { // after the first session, whose end left it open
		wait := fsm.Forever
		if q.Wait >= 0 {
			wait = fsm.Duration(max(0, q.Wait-(c.options.now()-began)))
		}
		s, err := c.session(ctx)
		var r fsm.Result
		if err == nil {
			r, err = s.acquireFor(ctx, q.command(wait))
		}
		switch {
		case err == nil && r.Status == fsm.StatusBusy && q.Wait > 0: // it had waited under a session before
			r.Status = fsm.StatusTimeout
			return r, nil
		case err != nil && doubt && !errors.Is(err, ErrSessionGone) && !errors.Is(err, ErrUnknown):
			return r, wrappedFor(q.Wants, fmt.Errorf("%w: %w", ErrUnknown, err))
		case !errors.Is(err, ErrSessionGone):
			return r, wrappedFor(q.Wants, err)
		}
	}
}

func wrappedFor(wants []fsm.Want, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("lockapi: acquire %s: %w", titleOf(wants), err)
}

func (q *AgentRequest) command(wait fsm.Duration) fsm.Command {
	c := fsm.Command{
		Op: fsm.OpAcquire, Wants: q.Wants, Owner: q.Owner, Wait: wait, MaxHold: fsm.Duration(q.MaxHold), Nonce: q.Key,
	}
	q.For.of(&c)
	return c
}

// of makes c a command on the beneficiary's behalf.
func (b *Beneficiary) of(c *fsm.Command) {
	c.Behalf = fsm.BehalfNobody
	if b.Session != fsm.ReservedSession {
		c.Behalf, c.For, c.Secret = fsm.BehalfAnother, b.Session, b.Secret
	}
}

// acquireFor is acquire within one session, on somebody's behalf. ErrSessionGone
// says that it is to be asked for under another: it may have been granted.
func (s *session) acquireFor(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	a := &acquiring{cmd: c}
	if _, err := s.ask(ctx, a); err != nil {
		if a.cmd.Seq == 0 { // not even numbered
			return fsm.Result{}, err
		}
		return fsm.Result{}, doubtful(err)
	}
	for {
		s.mu.Lock()
		settled, r, over := a.settled, a.result, s.over
		if a.done == nil {
			a.done = make(chan struct{})
		}
		s.unlock()
		switch {
		case settled && !endsSession(r.Status):
			return r, nil
		case over != nil:
			return fsm.Result{}, doubtful(over)
		}
		select {
		case <-a.done:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return fsm.Result{}, s.withdraw(ctx, a, ErrUnknown)
		}
	}
}

// doubtful is the error of an acquire that may have been granted to somebody when
// the agent was closed.
func doubtful(err error) error {
	if errors.Is(err, ErrClosed) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

// Release ends a grant of the beneficiary's, which name must be a name of. The
// Result says that it is done, or StatusNotHeld: it ended before. When ctx ends
// first, the error is ctx's and ErrUnknown, and the agent goes on, or
// ErrUnavailable, and nothing was done.
func (a *Agent) Release(ctx context.Context, to Beneficiary, name string, g fsm.GrantID) (fsm.Result, error) {
	c := fsm.Command{Op: fsm.OpRelease, Grant: g, Wants: []fsm.Want{{Name: name}}}
	to.of(&c)
	r, err := a.do(ctx, c, urgent)
	return r, wrapped("release", name, err)
}

// Extend moves the deadline of a grant of the beneficiary's, which name must be a
// name of, to d from now, never nearer. Its end is that of Release.
func (a *Agent) Extend(ctx context.Context, to Beneficiary, name string, g fsm.GrantID, d time.Duration) (fsm.Result, error) {
	c := fsm.Command{Op: fsm.OpExtend, Grant: g, Wants: []fsm.Want{{Name: name}}, MaxHold: fsm.Duration(d)}
	to.of(&c)
	r, err := a.do(ctx, c, ordinary)
	return r, wrapped("extend", name, err)
}

// do gets a command answered, under as many sessions as it takes.
func (a *Agent) do(ctx context.Context, c fsm.Command, rank rank) (fsm.Result, error) {
	for doubt := false; ; {
		s, err := a.client.session(ctx)
		var r fsm.Result
		if err == nil {
			numbered := c
			var sent bool
			r, sent, err = s.command(ctx, &numbered, rank)
			doubt = doubt || sent && err != nil
		}
		switch {
		case err == nil && doubt && r.Status == fsm.StatusNotHeld:
			// It may have been the same command, under a session before.
			return r, fmt.Errorf("%w: the grant is not held now", ErrUnknown)
		case err == nil && !endsSession(r.Status):
			return r, nil
		case err != nil && !errors.Is(err, ErrSessionGone):
			if doubt && !errors.Is(err, ErrUnknown) {
				err = fmt.Errorf("%w: %w", ErrUnknown, err)
			}
			return fsm.Result{}, err
		}
	}
}

// command gets c numbered and answered within one session; sent tells whether it
// may have effect although there is an error.
func (s *session) command(ctx context.Context, c *fsm.Command, rank rank) (r fsm.Result, sent bool, err error) {
	at, err := s.issue(ctx, c, nil, rank)
	if err != nil {
		return r, false, unsent(ctx, err)
	}
	within, release := s.within(ctx)
	r, err = s.do(within, c, false)
	release()
	switch {
	case err == nil:
		s.conclude(c, at, r)
		return r, false, nil
	case neverSent(err):
		s.forget(c)
		if over := s.cause(); over != nil {
			return r, false, over
		}
		return r, false, unsent(ctx, err)
	case s.cause() != nil:
		return r, true, s.cause()
	}
	s.mu.Lock()
	later := *c
	s.spawn(func() { _, _ = s.complete(&later, at) })
	s.unlock()
	return r, true, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
}

// Close withdraws what waits and ends the agent's session; grants stay. Acquires
// under way return ErrClosed, and ErrUnknown if they were sent. Its errors are
// those of Client.Close.
func (a *Agent) Close(ctx context.Context) error {
	a.mu.Lock()
	a.closing = true
	a.mu.Unlock()
	err := a.client.Close(ctx)
	a.running.Wait()
	return err
}
