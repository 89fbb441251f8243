package lockapi

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A Grant is one successful acquire. It ends with Release, or is lost: its
// MaxHold passes, the session ends, an operator releases it, or the client has
// not heard from the service for so long that it may have. A grant that has
// ended never comes back. Any number of goroutines may use it.
type Grant struct {
	// Name is the lock's; of several, that of the first.
	Name string
	// Token is the fencing token of the hold: greater than that of every hold
	// before it. Hand it to what the lock protects with every write, to be
	// refused there if a greater one was seen. Of several names it is the
	// first's, and TokenOf tells the others'.
	Token fsm.Token

	session *session
	id      fsm.GrantID
	want    fsm.Want       // of the first name
	rest    []fsm.HeldView // further names
	owner   string
	count   uint32

	// Guarded by session.mu.
	until     fsm.Instant // its own deadline; 0 is none
	confirmed bool        // the application has it
	place     int         // in session.maxHolds; -1 if not there
	cause     error       // why it has ended; context.Canceled if by Release
	ctx       context.Context
	cancel    context.CancelCauseFunc // nil if nobody has asked for ctx
	release   releasing
}

func newGrant(s *session, c *fsm.Command, r fsm.Result) *Grant {
	wants := c.Wants
	g := &Grant{
		Name: wants[0].Name, Token: r.Token, owner: c.Owner,
		session: s, id: r.Grant, want: wants[0], until: r.Until, count: r.Count, place: -1,
	}
	if len(wants) > 1 {
		tokens := r.Rest.All()
		g.rest = make([]fsm.HeldView, len(wants)-1)
		for i := range g.rest {
			g.rest[i].Want = wants[i+1]
			if i < len(tokens) {
				g.rest[i].Token = tokens[i]
			}
		}
	}
	return g
}

// Held lists what the grant holds, name by name, each with its own fencing token:
// in the order in which it was asked for, of a grant that was resumed in the order
// of names. It stays the same when the grant has ended.
func (g *Grant) Held() []fsm.HeldView {
	return append([]fsm.HeldView{{Want: g.want, Token: g.Token}}, g.rest...)
}

// TokenOf is the fencing token of one of the grant's names; 0, which no hold has,
// if the name is none of them.
func (g *Grant) TokenOf(name string) fsm.Token {
	if name == g.Name {
		return g.Token
	}
	for i := range g.rest {
		if g.rest[i].Name == name {
			return g.rest[i].Token
		}
	}
	return 0
}

// Owner is whom the grant was acquired for with WithOwner; "" if for nobody named.
func (g *Grant) Owner() string { return named(g.owner) }

// named is an owner, but for those that the client makes up.
func named(owner string) string {
	if strings.HasPrefix(owner, ownerPrefix) {
		return ""
	}
	return owner
}

// Context ends when the grant does, and its cause is then ErrLost unless it
// was released (context.Canceled) or its client closed (ErrClosed). Do what
// the lock protects under it. It carries nothing else: join it with your own.
func (g *Grant) Context() context.Context {
	s := g.session
	s.mu.Lock()
	defer s.unlock()
	if g.ctx == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		if g.cause != nil {
			cancel(g.cause)
		}
		g.ctx, g.cancel = ctx, cancel
	}
	return g.ctx
}

// Valid tells whether the lock is surely still held, by a look at the clock at
// this moment. Once it is false it stays so.
func (g *Grant) Valid() bool {
	s := g.session
	s.mu.Lock()
	defer s.unlock()
	s.lapse(s.now())
	return g.cause == nil
}

// ValidUntil is when the grant ends unless it is renewed before, as the client
// does while the service answers: the earliest of its own MaxHold and what is
// known of the session. It is the zero time once the grant has ended.
func (g *Grant) ValidUntil() time.Time {
	s := g.session
	s.mu.Lock()
	defer s.unlock()
	now := s.now()
	s.lapse(now)
	if g.cause != nil {
		return time.Time{}
	}
	return time.Now().Add(s.validUntil(g) - now)
}

// Count is how many grants the hold of the first name had with this one, when it
// was given: 1, or more if its owner had entered before (WithOwner).
func (g *Grant) Count() int { return int(g.count) }

// Extend moves the grant's MaxHold to d from now, never nearer. It does nothing
// to a grant without one. d has the bounds of WithMaxHold.
//
// On success the grant is valid. The error is ErrLost if the grant has ended
// against your will, ErrNotHeld if it was released, or ctx's and ErrUnknown if
// ctx ended first: the deadline is where it was or at most where it was to be.
func (g *Grant) Extend(ctx context.Context, d time.Duration) error {
	if err := validHold(d, g.session.ttl); err != nil {
		return wrapped("extend", g.Name, err)
	}
	return wrapped("extend", g.Name, g.extend(ctx, d))
}

func (g *Grant) extend(ctx context.Context, d time.Duration) error {
	s := g.session
	if gone := g.gone(); gone != nil {
		return gone
	}
	c := fsm.Command{Op: fsm.OpExtend, Grant: g.id, MaxHold: fsm.Duration(d)}
	sent, err := s.issue(ctx, &c, nil, ordinary)
	switch {
	case err != nil && ctx.Err() == nil:
		return g.gone() // the session is over
	case err != nil:
		return err
	}
	within, release := s.within(ctx)
	r, err := s.do(within, &c, false)
	release()
	switch {
	case err == nil:
		return g.extended(&c, sent, r)
	case neverSent(err):
		s.forget(&c)
		return err
	case ctx.Err() == nil:
		return g.gone() // the session is over
	}
	s.mu.Lock()
	s.spawn(func() {
		if r, err := s.complete(&c, sent); err == nil {
			_ = g.extended(&c, sent, r)
		}
	})
	s.unlock()
	return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
}

// extended takes the answer. mu is not held.
func (g *Grant) extended(c *fsm.Command, sent time.Duration, r fsm.Result) error {
	s := g.session
	s.conclude(c, sent, r)
	s.mu.Lock()
	switch {
	case g.cause != nil:
	case r.Status == fsm.StatusNotHeld:
		s.finish(g, fmt.Errorf("%w: the service does not have it any more", ErrLost))
	case r.Status == fsm.StatusOK && g.place >= 0 && r.Until > g.until:
		g.until = r.Until
		heap.Fix(&s.maxHolds, g.place)
	}
	s.unlock()
	if gone := g.gone(); gone != nil {
		return gone
	}
	return ErrorOf(r)
}

// gone is the error of using a grant that has ended; nil if it has not.
func (g *Grant) gone() error {
	s := g.session
	s.mu.Lock()
	defer s.unlock()
	s.lapse(s.now())
	if errors.Is(g.cause, context.Canceled) {
		return ErrNotHeld
	}
	return g.cause
}
