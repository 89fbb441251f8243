package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// errNoLeader: commands wait, nothing is granted, no session expires.
var errNoLeader = errors.New("no leader is known")

// errStopping: the node takes no more commands; others do.
var errStopping = fmt.Errorf("cluster: the node is about to stop: %w", lockapi.ErrClosed)

// Leader is who leads, and its advertised address, as far as this node knows;
// "" while nobody does.
func (n *Node) Leader() (id, address string) {
	at := n.leadership.current()
	return at.id, at.address
}

// LeaderChanges is closed when Leader has changed; ask for the channel first,
// then for the leader.
func (n *Node) LeaderChanges() <-chan struct{} { return n.leadership.current().changed }

// Status is the cluster as this node sees it. Only the leader, and who hears
// from it, know which nodes are alive; this one is.
func (n *Node) Status(context.Context) (lockapi.Status, error) {
	at, facts := n.leadership.current(), n.machine.known()
	s := lockapi.Status{
		Node: n.cfg.ID, Leader: at.id, Term: fsm.Term(n.raft.CurrentTerm()),
		AppliedIndex: facts.applied, Level: facts.level,
	}
	if id := n.identity.clusterID(); id.known() {
		s.ClusterID = id.String()
	}
	alive := n.alive(at)
	for _, server := range n.servers() {
		id := string(server.ID)
		s.Nodes = append(s.Nodes, lockapi.NodeStatus{
			ID: id, Address: string(server.Address), Voter: server.Suffrage == raft.Voter,
			Alive: id == n.cfg.ID || slices.Contains(alive, id),
		})
	}
	slices.SortFunc(s.Nodes, func(a, b lockapi.NodeStatus) int { return strings.Compare(a.ID, b.ID) })
	return s, nil
}

func (n *Node) alive(at *office) []string {
	if at.reign != nil {
		return n.server.lively()
	}
	if told := n.link.alive.Load(); told != nil {
		return *told
	}
	return nil
}

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
