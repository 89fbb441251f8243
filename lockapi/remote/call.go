package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc"
)

// errNumberTwice is a caller's mistake: the machine would end the session for
// it; here the second command is refused and goes nowhere.
var errNumberTwice = fmt.Errorf("%w: another command with the same number is under way", lockapi.ErrInvalid)

// A call is one caller's wait for the answer to a command. The first call of a
// command carries it; others wait beside. Calls are used again.
type call struct {
	carried
	key fsm.Key
	// session is the one that the command speaks for; nil for opens and
	// attaches. prev and next are its other commands.
	session    *session
	prev, next *call
	also       *call // further callers who wait for the same answer
	feed       *feed // an attach's, to be fed once it is answered

	done   bool // result and err stand, and ready will be
	result fsm.Result
	err    error
	ready  chan struct{} // capacity 1
}

// Carried is what the first call of a command knows of it. All of that is handed on
// to the next when the first caller gives up: were a doubt not, the next one to give
// up would be told that nothing was done.
type carried struct {
	command fsm.Command
	begun   time.Time // when it was first asked for
	// sent is the link on which the command waits for its answer; nil if it
	// must be sent (again).
	sent  *link
	place place // when that was, as the link tells it
	// doubt: it was sent over a link that gave no answer.
	doubt bool
	full  *lockapi.OverloadError // what a node has refused it for; it waits to be sent again
}

// maybe tells whether the command may have taken effect unheard.
func (c *carried) maybe() bool { return c.sent != nil || c.doubt }

// Do implements lockapi.Backend. It waits for as long as ctx lets it; the error
// is then ErrUnknown if c was ever sent, and ErrUnavailable if not, and ctx's
// in either case. A c that cannot be sent is ErrInvalid or ErrUnsupported.
func (b *Backend) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if err := sendable(&c); err != nil {
		return fsm.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return fsm.Result{}, fmt.Errorf("%w: %w", lockapi.ErrUnavailable, err)
	}
	if begins(&c) {
		return b.open(ctx, &c)
	}
	if b.further.Load() != nil {
		var err error
		if b, err = b.carrier(&c); err != nil {
			return fsm.Result{}, err
		}
	}
	return b.do(ctx, &c)
}

// do gets c answered by way of this backend's own stream.
func (b *Backend) do(ctx context.Context, c *fsm.Command) (fsm.Result, error) {
	a, err := b.begin(c, nil)
	if err != nil {
		return fsm.Result{}, err
	}
	return b.await(ctx, a)
}

// sendable refuses what a node would end the stream for.
func sendable(c *fsm.Command) error {
	switch {
	case !rpc.Speakable(c.Op):
		return fmt.Errorf("%w: clients do not send op %d", lockapi.ErrUnsupported, c.Op)
	case c.Behalf != fsm.BehalfSelf:
		return fmt.Errorf("%w: over this protocol a session speaks for itself only", lockapi.ErrUnsupported)
	}
	size := 256 + len(c.Label) + len(c.Owner)
	for i := range c.Wants {
		size += 32 + len(c.Wants[i].Name)
	}
	if size > rpc.CommandSizeMax {
		return fmt.Errorf("%w: a command of %d bytes, at most %d", lockapi.ErrInvalid, size, rpc.CommandSizeMax)
	}
	return nil
}

// speaks tells whether c is said in the name of a session that the stream must
// have attached.
func speaks(c *fsm.Command) bool {
	return c.Op != fsm.OpOpen && c.Op != fsm.OpAttach && c.Op != fsm.OpResume
}

// begin registers a caller for c, and sends c unless another caller has.
func (b *Backend) begin(c *fsm.Command, f *feed) (*call, error) {
	key := c.Key()
	a := b.calls.Get().(*call)
	a.key, a.feed = key, f
	b.mu.Lock()
	defer b.mu.Unlock()
	refusal := b.book.refusal() // once: it may be taken back at any time
	switch {
	case b.closed:
		b.recycle(a)
		return nil, lockapi.ErrClosed
	case anew(c) && refusal != nil:
		b.recycle(a)
		return nil, refusal
	}
	if first := b.inflight[key]; first != nil {
		if !sameCommand(&first.command, c) {
			b.recycle(a)
			return nil, errNumberTwice
		}
		a.also, first.also = first.also, a
		if first.sent != nil && first.sent == b.link {
			b.doubtful(first)
		}
		return a, nil
	}
	a.command, a.begun = *c, time.Now()
	b.inflight[key] = a
	if speaks(c) {
		b.enlist(a)
	}
	b.send(a)
	return a, nil
}

// send sends a's command, if there is a link on which it may speak.
func (b *Backend) send(a *call) {
	l := b.link
	if l == nil || a.sent == l {
		return
	}
	if s := a.session; s != nil && s.attached != l {
		b.reattach(s, l)
		return
	}
	a.doubt = a.doubt || a.sent != nil
	a.sent, a.full = l, nil
	a.place = l.place()
	l.out.Command(&a.command)
}

// await returns a's answer, or gives up when ctx ends. a is not to be used
// afterwards.
func (b *Backend) await(ctx context.Context, a *call) (fsm.Result, error) {
	select {
	case <-a.ready:
	case <-ctx.Done():
		if maybe, full, withdrawn := b.withdraw(a); withdrawn {
			b.recycle(a)
			kind := lockapi.ErrUnavailable
			switch {
			case maybe:
				kind = lockapi.ErrUnknown
			case full != nil:
				kind = full
			}
			return fsm.Result{}, fmt.Errorf("%w: %w", kind, ctx.Err())
		}
		<-a.ready
	}
	r, err := a.result, a.err
	b.recycle(a)
	return r, err
}

func (b *Backend) recycle(a *call) {
	*a = call{ready: a.ready}
	b.calls.Put(a)
}

// withdraw forgets a caller; it is false if he has been, or is being, answered.
func (b *Backend) withdraw(a *call) (maybe bool, full *lockapi.OverloadError, withdrawn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.done {
		return false, nil, false
	}
	first := b.inflight[a.key]
	maybe, full = first.maybe(), first.full
	if first != a {
		before := first
		for before.also != a {
			before = before.also
		}
		before.also = a.also
		return maybe, full, true
	}
	b.discard(a)
	if heir := a.also; heir != nil {
		heir.carried = a.carried
		b.inflight[heir.key] = heir
		if a.session != nil {
			b.enlist(heir)
		}
	}
	b.tidy(a.session)
	return maybe, full, true
}

// discard takes a command out of everything; its session may need tidying.
func (b *Backend) discard(a *call) {
	delete(b.inflight, a.key)
	if a.session != nil {
		a.session.unlist(a)
	}
}

// complete answers everybody who waits for a's command. They are woken with
// wake, without the lock.
func (b *Backend) complete(a *call, r fsm.Result, err error, woken []*call) []*call {
	b.discard(a)
	b.tidy(a.session)
	for ; a != nil; a = a.also {
		a.result, a.err, a.done = r, err, true
		woken = append(woken, a)
	}
	return woken
}

func wake(woken []*call) {
	for i, a := range woken {
		woken[i] = nil
		a.ready <- struct{}{}
	}
}

// sameCommand tells whether two commands with one number ask for the same.
// What they say about earlier answers and events may differ.
func sameCommand(x, y *fsm.Command) bool {
	a, b := *x, *y
	a.Mark, a.Seen, b.Mark, b.Seen = 0, 0, 0, 0
	return string(rpc.AppendCommand(nil, &a)) == string(rpc.AppendCommand(nil, &b))
}
