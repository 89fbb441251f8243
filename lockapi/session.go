package lockapi

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// ownerPrefix begins the owners that the client makes up.
	ownerPrefix = "~"
	// reopenPauseMax is how long a session that follows one that died young
	// waits before it opens.
	reopenPauseMax = 500 * time.Millisecond
)

// A session is the client's side of one session of the machine, from Open to
// its end. Its files: issue.go numbers commands, send.go gets them answered,
// acquire.go, abandon.go and grant.go say what they mean, event.go hears what befalls the
// session, renew.go keeps it alive, lapse.go ends what is no longer believed.
type session struct {
	client  *Client
	backend Backend
	now     func() time.Duration
	born    time.Duration
	secret  fsm.Secret
	// ttl and incarnation are set before opened is closed, and not changed after.
	ttl         time.Duration
	incarnation fsm.Incarnation
	ctx         context.Context // ends with the session
	cancel      context.CancelCauseFunc
	opened      chan struct{} // closed once commands may be sent
	wake        chan struct{} // capacity 1: the keeper is to look again
	tasks       sync.WaitGroup

	// mu guards the fields below, those of its grants, acquirings and turns. It
	// is never held while the Backend, a context or a logger is called, and
	// released by unlock. It is taken after Client.mu where both are.
	mu      sync.Mutex
	id      fsm.SessionID // 0 until opened
	over    error         // why the session has ended
	closing bool          // by Client.Close
	belief  belief
	ended   []ending // unlock tells them

	window   window
	urgent   list.List // of *turn: releases and what withdraws
	ordinary list.List // of *turn: all else

	acquires map[fsm.Seq]*acquiring // unanswered, parked, or being abandoned
	grants   map[fsm.GrantID]*Grant // not ended, as far as is known
	held     int                    // those that an application has
	warned   bool                   // it was told that they are in danger
	maxHolds grantHeap              // those of held with a deadline of their own

	drops    []drop // grants to be released in the background
	droppers int    // goroutines that do it
	lapsed   int    // drops of lapsed grants that are not answered yet

	seen      fsm.EventID               // every event up to this one was heard
	ahead     map[fsm.EventID]struct{}  // events heard beyond seen
	lostEarly map[fsm.GrantID]earlyLoss // losses that overtook their grant
	foundAt   fsm.Index                 // as of when the session was resumed; 0 if it was not
	renewals  renewals
	credited  chan struct{} // closed at the next credit; nil if nobody waits for it
	// creditedSent is the latest time at which a credited command was first sent.
	creditedSent time.Duration
}

func newSession(c *Client) *session {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &session{
		client: c, backend: c.backend, now: c.options.now, ttl: c.options.TTL, incarnation: 1,
		born: c.options.now(), ctx: ctx, cancel: cancel,
		opened: make(chan struct{}), wake: make(chan struct{}, 1),
		belief:    belief{margin: marginOf(c.options.TTL)},
		window:    newWindow(1),
		acquires:  make(map[fsm.Seq]*acquiring),
		grants:    make(map[fsm.GrantID]*Grant),
		ahead:     make(map[fsm.EventID]struct{}),
		lostEarly: make(map[fsm.GrantID]earlyLoss),
	}
	fillRandom(s.secret[:])
	return s
}

func fillRandom(b []byte) { _, _ = rand.Read(b) } // it crashes rather than fail

func randomNonce() fsm.Nonce {
	var b [16]byte
	fillRandom(b[:])
	return fsm.Nonce{Hi: binary.LittleEndian.Uint64(b[:8]), Lo: binary.LittleEndian.Uint64(b[8:])}
}

// live is the session's life: open, attach, keep alive. It returns when the
// session is over and all its goroutines have ended.
func (s *session) live(rest time.Duration) {
	defer s.tasks.Wait()
	if pause(s.ctx, rest) != nil {
		return
	}
	if err := s.begin(); err != nil {
		s.end(err)
		return
	}
	close(s.opened)
	s.client.options.Logger.Info("session opened", "session", s.number(), "ttl", s.ttl)
	s.keep()
}

// begin opens the session, writes down which it is, and hears its events.
func (s *session) begin() error {
	if err := s.client.fileFree(); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	if err := s.client.fileSession(s); err != nil {
		s.renounce()
		return err
	}
	return s.follow()
}

// follow hears the session's events from now on.
func (s *session) follow() error {
	events, err := s.attach()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.spawn(func() { s.listen(events) })
	s.unlock()
	return nil
}

// renounce ends a session that was opened and cannot be used. If that fails, its
// TTL ends it.
func (s *session) renounce() {
	ctx, cancel := context.WithTimeout(s.ctx, s.ttl)
	defer cancel()
	s.mu.Lock()
	c := fsm.Command{Op: fsm.OpClose}
	s.stamp(&c, s.window.take())
	s.unlock()
	_, _ = s.do(ctx, &c, false)
}

// open gets the session its number. It goes on until it is answered.
func (s *session) open() error {
	c := fsm.Command{
		Op: fsm.OpOpen, Nonce: randomNonce(), Secret: s.secret,
		TTL: fsm.Duration(s.ttl), Label: s.client.options.Label,
	}
	sent := s.now()
	r, err := s.insist(s.ctx, &c)
	if err != nil {
		return err
	}
	if err := ErrorOf(r); err != nil {
		return err
	}
	s.mu.Lock()
	s.id = r.Session
	s.credit(sent, s.now(), r)
	s.unlock()
	return nil
}

// number is the session's id; 0 before it has one and when it is over.
func (s *session) number() fsm.SessionID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// cause is why the session is over; nil while it is not.
func (s *session) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// An ending is a grant that has ended, and its context as of then: one that is asked
// for later has ended already.
type ending struct {
	grant  *Grant
	cancel context.CancelCauseFunc // nil if nobody had asked
}

// unlock releases mu and then tells the world which grants have ended: that
// may run anybody's code.
func (s *session) unlock() {
	ended, stop := s.ended, s.renewals.stop
	s.ended = nil
	if s.lapsed == 0 {
		stop = nil
	} else {
		s.renewals.stop = nil
	}
	s.mu.Unlock()
	if stop != nil { // the release of what has lapsed comes first, and renews
		stop()
	}
	for _, e := range ended {
		g := e.grant
		if e.cancel != nil {
			e.cancel(g.cause)
		}
		if errors.Is(g.cause, ErrLost) {
			s.client.options.Logger.Warn("grant lost", "name", g.Name, "token", g.Token, "cause", g.cause)
		}
	}
}

// spawn runs f beside, unless the session is over. mu is held.
func (s *session) spawn(f func()) {
	if s.over == nil {
		s.tasks.Go(f)
	}
}

// end is the end of the session: what it holds is lost. Only the first end
// counts.
func (s *session) end(cause error) {
	s.mu.Lock()
	if s.over != nil {
		s.unlock()
		return
	}
	s.over = cause
	s.perish(fmt.Errorf("%w: %w", ErrLost, cause))
	for _, g := range s.grants {
		s.finish(g, fmt.Errorf("%w: %w", ErrLost, cause))
	}
	s.unlock()
	s.cancel(cause)
	if !errors.Is(cause, ErrClosed) {
		s.client.options.Logger.Warn("session ended", "session", s.number(), "cause", cause)
	}
}

// close ends the session at the machine. Grants end first, because the machine
// may give them away as soon as the command is sent.
func (s *session) close(ctx context.Context) error {
	defer s.end(ErrClosed)
	s.mu.Lock()
	s.closing = true
	s.perish(ErrClosed)
	for _, g := range s.grants {
		s.finish(g, ErrClosed)
	}
	s.unlock()
	select {
	case <-s.opened:
	default:
		return nil // it has nothing, and nobody will ever speak for it
	}
	c := fsm.Command{Op: fsm.OpClose}
	sent, err := s.issue(ctx, &c, nil, urgent)
	if err == nil {
		within, done := s.within(ctx)
		var r fsm.Result
		if r, err = s.do(within, &c, true); err == nil {
			s.conclude(&c, sent, r)
			if r.Status == fsm.StatusOK {
				err = s.client.unfile(s)
			}
		}
		done()
	}
	if err == nil || s.cause() != nil { // over is what it was to be
		return nil
	}
	if errors.Is(err, ErrSessionFile) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
}
