package lockapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A Client is one life at the service: it has a session, keeps it alive, and
// holds what is acquired through it. It may be used by any number of
// goroutines; a process needs one.
//
// The session is opened by the first acquire. If it ends against the client's
// will, all grants are lost and the next acquire opens another.
type Client struct {
	backend Backend
	options Options // with defaults
	owned   bool    // Close closes backend
	agent   bool    // it acquires for others only
	heralds heralds

	mu      sync.Mutex // guards the fields below; never held while the Backend is called
	current *session   // nil before the first acquire
	filed   record     // what this client has written to its session file, or resumed from it
	resumes fsm.Nonce  // the number of its resume, however often it was tried
	closing bool
	closed  chan struct{} // closed when Close is done
	err     error         // of Close; read after closed
	tasks   sync.WaitGroup
}

// New makes a client over b, which it does not close. It sends nothing. The
// error is ErrInvalid and lists all that is wrong with the options.
func New(b Backend, o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("lockapi: %w", err)
	}
	return &Client{backend: b, options: o.withDefaults(), heralds: heralds{call: o.OnWarning}, closed: make(chan struct{})}, nil
}

// Inspect reads locks, or a session: what every acknowledged change left, unless q is stale.
// It takes no lock and opens no session. It asks again while nobody answers,
// until ctx ends.
func (c *Client) Inspect(ctx context.Context, q Query) (View, error) {
	view, err := c.inspect(ctx, q)
	return view, wrapped("inspect", q.Name, err)
}

func (c *Client) inspect(ctx context.Context, q Query) (View, error) {
	for n := 0; ; n++ {
		view, err := c.backend.Inspect(ctx, q)
		again := errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknown)
		if err == nil || !again || errors.Is(err, ErrClosed) || ctx.Err() != nil {
			return view, err
		}
		if ended := pause(ctx, PauseAfter(err, n)); ended != nil {
			return View{}, fmt.Errorf("%w: %w", ErrUnavailable, ended)
		}
	}
}

// Session is the number of the session, as lists show it; 0 while there is
// none. It changes when a session is lost.
func (c *Client) Session() fsm.SessionID {
	c.mu.Lock()
	s := c.current
	c.mu.Unlock()
	if s == nil {
		return 0
	}
	return s.number()
}

// Close ends the session: what it holds is released and its waits withdrawn, and
// its session file removed.
// All grants have ended before the service hears of it, and acquires that wait
// return ErrClosed. When ctx ends first the error is ctx's and ErrUnknown: the
// client is closed nevertheless, and the session ends with its TTL at the
// latest. A second Close waits for the first and returns the same.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	first := !c.closing
	c.closing = true
	s := c.current
	c.mu.Unlock()
	if !first {
		select {
		case <-c.closed:
			return c.err
		case <-ctx.Done():
			return wrapped("close", "", fmt.Errorf("%w: %w", ErrUnknown, ctx.Err()))
		}
	}
	var err error
	if s != nil {
		err = s.close(ctx)
	}
	c.tasks.Wait() // everything in it obeys the session's context, which has ended
	if c.owned {
		err = errors.Join(err, c.backend.Close())
	}
	c.err = wrapped("close", "", err)
	close(c.closed)
	return c.err
}

// session gives the session that lives, and opens one if there is none. When
// ctx ends first, nothing was sent in the caller's name.
func (c *Client) session(ctx context.Context) (*session, error) {
	s, err := c.summon()
	if err != nil {
		return nil, err
	}
	select {
	case <-s.opened:
		return s, nil
	case <-s.ctx.Done():
		return s, s.cause()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// summon gives the current session, which may be about to open.
func (c *Client) summon() (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, ErrClosed
	}
	if c.current != nil {
		switch cause := c.current.cause(); { // looked at once: it may end in between
		case cause == nil:
			return c.current, nil
		case errors.Is(cause, ErrFenced):
			return nil, ErrFenced
		}
	}
	rest := time.Duration(0)
	if last := c.current; last != nil {
		// A session that died young must not be followed at once by another.
		rest = min(max(0, c.options.TTL/renewShare-(c.options.now()-last.born)), reopenPauseMax)
	}
	c.current = newSession(c)
	s := c.current
	c.tasks.Go(func() { s.live(rest) })
	return s, nil
}

// fenced tells whether another process lives this life now. It is read off the
// session: a grant's end may be heard before anything else could be noted.
func (c *Client) fenced() bool { // under mu
	return c.current != nil && errors.Is(c.current.cause(), ErrFenced)
}

// wrapped gives err its context: what was done, to which name.
func wrapped(did, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case name == "":
		return fmt.Errorf("lockapi: %s: %w", did, err)
	default:
		return fmt.Errorf("lockapi: %s %q: %w", did, name, err)
	}
}
