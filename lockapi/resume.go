package lockapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// Resumed is what the process before this one has left.
type Resumed struct {
	// Grants are what its session holds, by number, all of them valid when Resume
	// returned: also those of which it never heard. Use them, or release them.
	Grants []*Grant
	// Waits are what its session waits for, in the order in which it asked.
	Waits []*Waiting
}

// Resume goes on with the session of an earlier process, which wrote it to the
// same Options.SessionFile: a process that crashes and comes back within the TTL
// keeps its locks, and its places in queues. It must come before the first acquire.
//
// The process before must be dead. If it is not, or if two resume one file, the
// last one goes on and the others are fenced: the service heeds them no more, their
// grants are lost with ErrFenced, and they acquire nothing. They learn that from
// their next answer, about a third of a TTL later if they say nothing but renewals,
// or stop believing by themselves; until then both believe in the same grants,
// whose tokens are the same.
//
// Owners stay (Grant.Owner), so that WithOwner enters again what the owner holds.
//
// The errors: fs.ErrNotExist if there is no file, and ErrSessionGone if its session
// is over with all that it held: acquire as usual, a new session is written down.
// ErrDenied if the file's secret is not the session's: it is of another cluster,
// or of one that was made anew. ErrSessionFile if the file cannot be used. ErrInvalid
// without Options.SessionFile or after an acquire. When ctx ends first, its error
// and ErrUnknown: nothing was lost, and Resume may be called again.
func (c *Client) Resume(ctx context.Context) (*Resumed, error) {
	s, done, err := c.resuming(ctx)
	if err != nil {
		return nil, wrapped("resume", "", err)
	}
	found := <-done
	if found.err == nil {
		return found.resumed, nil
	}
	return nil, wrapped("resume", "", c.unresumed(ctx, s, found.err))
}

// errGivenUp is why a session is over for acquires that waited for it to be resumed:
// they look for another.
var errGivenUp = fmt.Errorf("%w: its resume was given up", ErrSessionGone)

// A resumption is how a resume has ended.
type resumption struct {
	resumed *Resumed
	err     error
}

// resuming begins to resume. The client's session is then the one of the file.
func (c *Client) resuming(ctx context.Context) (*session, <-chan resumption, error) {
	path := c.options.SessionFile
	if path == "" {
		return nil, nil, fmt.Errorf("%w: Options.SessionFile is not set", ErrInvalid)
	}
	r, err := readRecord(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("no session to go on with: %w; acquire as usual", err)
	} else if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing:
		return nil, nil, ErrClosed
	case c.fenced():
		return nil, nil, ErrFenced
	case c.current != nil && (c.current.cause() == nil || c.current.number() != 0): // also if it is fenced just now
		return nil, nil, fmt.Errorf("%w: a session is resumed before the first acquire, and once", ErrInvalid)
	case c.resumes == (fsm.Nonce{}):
		c.resumes = randomNonce()
	}
	s := newSession(c)
	s.id, s.secret = r.session, r.secret
	c.current = s
	done := make(chan resumption, 1)
	nonce := c.resumes
	c.tasks.Go(func() { s.liveOn(ctx, nonce, done) })
	return s, done, nil
}

// unresumed leaves the client as it may go on from a resume that has failed.
func (c *Client) unresumed(ctx context.Context, s *session, err error) error {
	c.mu.Lock()
	if c.current == s && !c.fenced() && !c.closing {
		c.current = nil
	}
	c.mu.Unlock()
	switch {
	case errors.Is(err, errGivenUp):
		return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	case errors.Is(err, ErrSessionGone):
		if failed := c.unfile(s); failed != nil {
			return failed
		}
		return fmt.Errorf("%w: what it held is lost; acquire as usual", err)
	case errors.Is(err, ErrDenied):
		return fmt.Errorf("%w: %s is of another cluster; remove it to begin a new session", err, c.options.SessionFile)
	}
	return err
}

// liveOn is live for a session that is resumed.
func (s *session) liveOn(ctx context.Context, nonce fsm.Nonce, done chan<- resumption) {
	defer s.tasks.Wait()
	stop := context.AfterFunc(ctx, func() { s.end(errGivenUp) })
	found, err := s.takeOver(nonce)
	if !stop() || err != nil {
		s.end(err)
		err = s.cause()
		done <- resumption{err: err}
		return
	}
	s.client.record(record{session: s.id, secret: s.secret})
	close(s.opened)
	s.client.options.Logger.Info("session resumed", "session", s.number(), "incarnation", s.incarnation,
		"grants", len(found.Grants), "waits", len(found.Waits))
	done <- resumption{resumed: found}
	s.keep()
}

// takeOver raises the incarnation, finds out what the session has, and believes in
// it.
//
// What it waits for is read first, then what it holds. A wait becomes a grant, and
// nothing else becomes anything: whoever spoke for the session is fenced. So what
// is granted between the two is in both, and what is granted later is told by an
// event, which is repeated until it is acknowledged, about a wait that is known.
func (s *session) takeOver(nonce fsm.Nonce) (*Resumed, error) {
	c := fsm.Command{Op: fsm.OpResume, Session: s.id, Secret: s.secret, Nonce: nonce}
	sent := s.now()
	r, err := s.insist(s.ctx, &c)
	if err == nil {
		err = ErrorOf(r)
	}
	if err != nil {
		return nil, err
	}
	var left fsm.SessionView
	if err := s.read(&left); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.ttl, s.incarnation = time.Duration(left.TTL), r.Incarnation
	s.belief.margin = marginOf(s.ttl)
	s.window, s.seen = newWindow(fsm.Seq(r.Value)), left.Seen
	s.credit(sent, s.now(), r)
	grants, waits := s.adopt(&left)
	s.unlock()
	if err := s.follow(); err != nil {
		return nil, err
	}
	if err := s.refresh(); err != nil {
		return nil, err
	}
	return s.handed(grants, waits), nil
}
