package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// voterTimeout bounds how long a change of the membership waits for raft's main
// loop to take it.
const voterTimeout = 5 * time.Second

// errNotLeader: only a leader changes the membership.
var errNotLeader = errors.New("cluster: this node does not lead")

// servers are the members of raft's latest configuration. Its addresses are
// places.
func (n *Node) servers() []raft.Server {
	r := n.started.Load()
	if r == nil {
		return nil
	}
	f := r.GetConfiguration() // from memory
	if f.Error() != nil {
		return nil
	}
	return slices.Clone(f.Configuration().Servers) // raft gives its own
}

// placed is where a member is by raft's latest configuration.
func (n *Node) placed(id string) (at place, known bool) {
	for _, s := range n.servers() {
		if string(s.ID) == id {
			at = placeOf(s.Address)
			at.id, known = id, true
		}
	}
	return at, known
}

// member is what this node knows of another: its address from the membership,
// its instance from the state.
func (n *Node) member(id string) (fsm.Member, bool) {
	m, known := n.machine.member(id)
	if at, listed := n.placed(id); listed {
		m.ID, m.Address, known = id, at.address, true
	}
	return m, known
}

// memberAddresses are where the other members are, as far as is known here.
func (n *Node) memberAddresses() []string {
	var all []string
	for _, s := range n.servers() {
		if string(s.ID) != n.cfg.ID {
			at, _ := n.peers.whereabouts(string(s.ID))
			all = append(all, at.address)
		}
	}
	return all
}

// hints are the addresses of nodes that gossip tells of.
func (n *Node) hints() []string {
	if n.gossip == nil {
		return nil
	}
	return n.gossip.addresses()
}

// voters are those of the latest configuration, be it committed or not.
func (n *Node) voters() []raft.Server {
	return slices.DeleteFunc(n.servers(), func(s raft.Server) bool { return s.Suffrage != raft.Voter })
}

// voter tells whether a node is one of them.
func (n *Node) voter(id string) bool {
	return slices.ContainsFunc(n.voters(), func(s raft.Server) bool { return string(s.ID) == id })
}

// forming tells that this node founds a cluster and that fewer vote yet than are
// a majority of its founders. At first it votes alone: what it committed for a
// client would be on one disk, and gone with it, though acknowledged.
func (n *Node) forming() bool {
	if n.formed.Load() {
		return false
	}
	if majority(len(n.voters()), len(n.identity.saved().Owed)) {
		n.formed.Store(true)
		return false
	}
	return true
}

// majority tells whether so many voters are more than half of the founders.
func majority(voters, founders int) bool { return voters > founders/2 }

// bootstrap begins a cluster of this node alone. It may be called again.
func (n *Node) bootstrap() error {
	err := n.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{
		{Suffrage: raft.Voter, ID: raft.ServerID(n.cfg.ID), Address: place{id: n.cfg.ID, address: n.address}.raft()},
	}}).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return nil
	}
	return err
}

// addMember records who a node is and where, then makes it a voter there: in this
// order, so that it is known by its instance before its vote counts. After nil it is one by
// an entry that is committed: one that was there before the record is committed
// with it, unless another leader's log has taken its place.
func (n *Node) addMember(ctx context.Context, m fsm.Member) error {
	if n.leadership.current().reign == nil {
		return errNotLeader
	}
	before := n.votes(m)
	r, err := n.do(ctx, fsm.Command{Op: fsm.OpMember, Nonce: randomNonce(), Member: m})
	if err == nil {
		err = lockapi.ErrorOf(r)
	}
	if err != nil {
		return fmt.Errorf("cluster: adding node %s: %w", m.ID, err)
	}
	if before && n.votes(m) {
		return nil
	}
	to, known := n.placed(m.ID)
	if known && to.address != m.Address {
		to.move++
	}
	to.id, to.address = m.ID, m.Address
	err = n.raft.AddVoter(raft.ServerID(m.ID), to.raft(), 0, voterTimeout).Error()
	if errors.Is(err, raft.ErrNotLeader) {
		return errNotLeader
	}
	return err
}

// votes tells whether a node is a voter at its address.
func (n *Node) votes(m fsm.Member) bool {
	return slices.ContainsFunc(n.voters(), func(s raft.Server) bool {
		return string(s.ID) == m.ID && placeOf(s.Address).address == m.Address
	})
}

// alone tells whether no other node votes.
func (n *Node) alone() bool {
	return !slices.ContainsFunc(n.voters(), func(s raft.Server) bool { return string(s.ID) != n.cfg.ID })
}
