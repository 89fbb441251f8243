package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/lockd-io/lockd/lockapi"
)

// errNoLeader: commands wait, nothing is granted, no session expires.
var errNoLeader = errors.New("no leader is known")

// errStopping: the node takes no more commands; others do.
var errStopping = fmt.Errorf("cluster: the node is about to stop: %w", lockapi.ErrClosed)

// readiness is the office under which this node has caught up.
type readiness struct {
	mu      sync.Mutex // guards the fields below
	office  *office
	changed chan struct{} // closed when office changes
}

// catchUp makes sure, for each new leader, that this node has applied all that
// was acknowledged before: it reads once. A founder waits for its majority too.
func (n *Node) catchUp(ctx context.Context) {
	for ctx.Err() == nil {
		at := n.leadership.current()
		if at.id != "" {
			until, done := at.while(ctx)
			_, err := n.look(until, false)
			done()
			if err != nil {
				pause(ctx, at.changed, redialMax)
				continue
			}
			if n.forming() {
				pause(ctx, at.changed, enlistInterval)
				continue
			}
			n.readiness.set(at)
		}
		select {
		case <-at.changed:
		case <-ctx.Done():
		}
	}
}

func (r *readiness) set(at *office) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.office = at
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *readiness) get() (at *office, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.office, r.changed
}

// Ready is nil if this node serves: somebody leads, and this node has applied
// everything that was acknowledged before that leader was known here; if it
// founds a cluster, a majority of that votes. Otherwise the error says what is
// missing.
func (n *Node) Ready() error {
	at, _ := n.readiness.get()
	return n.readyUnder(at)
}

func (n *Node) readyUnder(caught *office) error {
	at := n.leadership.current()
	switch {
	case n.Err() != nil:
		return n.Err()
	case n.ctx.Err() != nil:
		return lockapi.ErrClosed
	case n.stopping.Load():
		return errStopping
	case at == caught:
		return nil
	case at.id != "":
		return fmt.Errorf("cluster: node %s is catching up with its leader %s", n.cfg.ID, at.id)
	}
	if waits := n.former.status(); waits != "" {
		return fmt.Errorf("cluster: %w: %s", errNoLeader, waits)
	}
	if why := n.unsettled.Load(); why != nil {
		return fmt.Errorf("cluster: %w: this node %s", errNoLeader, *why)
	}
	return fmt.Errorf("cluster: %w", errNoLeader)
}

// WaitReady returns when Ready is nil, when the node has stopped (Err, or
// lockapi.ErrClosed), or when ctx ends; then the error says what is missing.
func (n *Node) WaitReady(ctx context.Context) error {
	for {
		caught, changed := n.readiness.get()
		err := n.readyUnder(caught)
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-n.done:
			if err := n.Err(); err != nil {
				return err
			}
			return lockapi.ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
