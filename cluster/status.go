package cluster

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

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
	if s.Waiting = n.former.status(); s.Waiting == "" && at.id == "" {
		if why := n.unsettled.Load(); why != nil {
			s.Waiting = "this node " + *why
		}
	}
	if id := n.identity.clusterID(); id.known() {
		s.ClusterID = id.String()
	}
	alive := n.alive(at)
	for _, server := range n.servers() {
		id := string(server.ID)
		s.Nodes = append(s.Nodes, lockapi.NodeStatus{
			ID: id, Address: placeOf(server.Address).address, Voter: server.Suffrage == raft.Voter,
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
