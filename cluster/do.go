package cluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A doing is one Do that waits. They are used again, since every call needs a
// channel.
type doing struct {
	done   chan struct{} // capacity 1
	result fsm.Result
	err    error
	answer func(fsm.Result, error) // sets the fields and signals done
}

func newDoing() *doing {
	d := &doing{done: make(chan struct{}, 1)}
	d.answer = func(r fsm.Result, err error) {
		d.result, d.err = r, err
		d.done <- struct{}{}
	}
	return d
}

// errNotForCallers: what only a node says to its machine.
var errNotForCallers = fmt.Errorf("cluster: %w: a command of the cluster itself", lockapi.ErrInvalid)

// Do implements lockapi.Backend. When ctx ends first, the error wraps its
// cause, and ErrUnknown if c was sent, or else ErrUnavailable. A command that
// is malformed by itself is answered here and goes nowhere; its Result has no
// Index.
func (n *Node) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if c.Op == fsm.OpTakeover || c.Op == fsm.OpMember {
		return fsm.Result{}, errNotForCallers
	}
	return n.do(ctx, c)
}

func (n *Node) do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if err := ctx.Err(); err != nil {
		return fsm.Result{}, errNeverSent(context.Cause(ctx))
	}
	d := n.doings.Get().(*doing)
	at, err := n.submit(&c, nil, d.answer)
	if err != nil {
		n.doings.Put(d)
		return fsm.Result{}, err
	}
	select {
	case <-d.done:
	case <-ctx.Done():
		sent, withdrawn := n.pendings.withdraw(at)
		if withdrawn {
			n.doings.Put(d)
			if sent {
				return fsm.Result{}, errOutcomeUnknown(context.Cause(ctx))
			}
			return fsm.Result{}, errNeverSent(context.Cause(ctx))
		}
		<-d.done // the answer is on its way, and does not block
	}
	r, err := d.result, d.err
	d.result, d.err = fsm.Result{}, nil
	n.doings.Put(d)
	return r, err
}

// Submit is Do without a goroutine that waits: answer is called exactly once,
// perhaps before Submit returns, with what Do would return. It is called by
// the goroutine that brings the answer, so it must not block, nor call the
// node. It waits for as long as the node lives: while nobody leads, nothing is
// answered. c's slices must not be changed afterwards.
func (n *Node) Submit(c fsm.Command, answer func(fsm.Result, error)) {
	if c.Op == fsm.OpTakeover || c.Op == fsm.OpMember {
		answer(fsm.Result{}, errNotForCallers)
		return
	}
	if _, err := n.submit(&c, nil, answer); err != nil {
		answer(fsm.Result{}, err)
	}
}

// submit checks c, hashes its secret and sends it on. The wait of an answer
// that was given at once is zero. With into, the answer waits until c is applied
// here, and the state as of then is there before the answer.
func (n *Node) submit(c *fsm.Command, into **fsm.View, answer func(fsm.Result, error)) (wait, error) {
	if refusal := c.Validate(n.machine.levelNow()); refusal.Status != 0 {
		answer(refusal, nil)
		return wait{}, nil
	}
	if c.HasSecret() {
		c.Secret = sha256.Sum256(c.Secret[:])
	}
	return n.pendings.submit(c, into, answer)
}

func newDoings() sync.Pool {
	return sync.Pool{New: func() any { return newDoing() }}
}

var _ lockapi.Backend = (*Node)(nil)
