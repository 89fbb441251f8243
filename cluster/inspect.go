package cluster

import (
	"context"
	"fmt"
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A linearizable read is a command in the log that does nothing: what was
// acknowledged before it was sent is before it in the log. (raft's own check of
// the leadership is not used. It credits answers that were given before it
// asked: a leader is stopped with such an answer unread in its socket, another
// one is elected and acknowledges a write, the first goes on, reads its old
// state, asks, finds the old answer, and is confirmed.)
//
// All who want to read at a node share one command, which must be sent after
// they asked; who asks while one is under way shares the next.

// reads makes rounds of those who want to read.
type reads struct {
	mu      sync.Mutex // guards the fields below
	current *round     // sent
	next    *round     // gathers
}

// A round is one read command and those who wait for it.
type round struct {
	done chan struct{} // closed when view and err are set
	view *fsm.View     // the state right after the command
	err  error
}

// Inspect implements lockapi.Backend.
func (n *Node) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	if err := q.Validate(); err != nil {
		return lockapi.View{}, fmt.Errorf("cluster: %w", err)
	}
	view, err := n.look(ctx, q.Stale)
	if err != nil {
		return lockapi.View{}, err
	}
	found, err := q.Of(view)
	if err != nil {
		return lockapi.View{}, fmt.Errorf("cluster: %w", err)
	}
	return found, nil
}

// look is the state after everything that was acknowledged before the call, or
// what this node has applied.
func (n *Node) look(ctx context.Context, stale bool) (*fsm.View, error) {
	if stale {
		if err := n.Err(); err != nil {
			return nil, err
		}
		return n.machine.view(), nil
	}
	r := n.reads.join(n.read)
	select {
	case <-r.done:
		return r.view, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("cluster: %w: %w", lockapi.ErrUnavailable, context.Cause(ctx))
	}
}

// join finds the round that is yet to be sent, and sends it if none is under
// way.
func (r *reads) join(send func(*round)) *round {
	r.mu.Lock()
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
	}
	mine := r.next
	first := r.current == nil
	if first {
		r.current, r.next = mine, nil
	}
	r.mu.Unlock()
	if first {
		send(mine)
	}
	return mine
}

// read sends the round's command.
func (n *Node) read(this *round) {
	c := fsm.Command{Op: fsm.OpRead, Nonce: randomNonce()}
	answer := func(_ fsm.Result, err error) {
		this.err = err
		n.reads.finish(this, n.read)
	}
	if _, err := n.submit(&c, &this.view, answer); err != nil {
		answer(fsm.Result{}, err)
	}
}

// finish wakes who shared the round, and sends the next.
func (r *reads) finish(this *round, send func(*round)) {
	close(this.done)
	r.mu.Lock()
	next := r.next
	r.current, r.next = next, nil
	r.mu.Unlock()
	if next != nil {
		send(next)
	}
}
