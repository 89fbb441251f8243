package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

const (
	// lookOutEvery is how often a member looks who is at the addresses of Join and
	// of gossip that are no member's.
	lookOutEvery = 10 * time.Second
	// settleEvery is how often a member that is not where its cluster has it tells
	// the others.
	settleEvery = 500 * time.Millisecond
)

// lookOut is what a node does about addresses once it is a member: it has its own
// put right, and finds those who take each other for one cluster and are not.
func (n *Node) lookOut(ctx context.Context) {
	for {
		at, member := n.placed(n.cfg.ID)
		every := settleEvery
		switch {
		case !member:
		case at.address != n.address:
			n.settle(ctx, at)
		default:
			n.unsettled.Store(nil)
			n.seekStrangers(ctx)
			every = lookOutEvery
		}
		pause(ctx, n.settling(), every)
		if ctx.Err() != nil {
			return
		}
	}
}

// settling is closed when another node leads; nil while that does not matter.
func (n *Node) settling() <-chan struct{} {
	if at, member := n.placed(n.cfg.ID); member && at.address == n.address {
		return nil
	}
	return n.leadership.current().changed
}

// settle has the address of this node committed by whoever leads; if nobody
// does, it makes itself known to those who may elect one. Without the operator's
// word the others refuse it, which stops it.
func (n *Node) settle(ctx context.Context, at place) {
	why := fmt.Sprintf("is a member of its cluster at %s, and has moved to %s", at.address, n.address)
	if !n.cfg.Moved {
		why = fmt.Sprintf("is a member of its cluster at %s, and advertises %s without a word (--moved) that what ran there is gone", at.address, n.address)
	}
	if before := n.unsettled.Swap(&why); before == nil {
		n.cfg.Logger.Warn("not where the cluster has this node", "status", why)
	}
	ctx, cancel := context.WithTimeout(ctx, addMemberTimeout)
	defer cancel()
	leader, address := n.Leader()
	switch {
	case n.leadership.current().reign != nil:
		if !n.cfg.Moved {
			return // alone, or somebody would have refused it
		}
		me := n.identity.saved()
		if err := n.addMember(ctx, fsm.Member{ID: me.ID, Instance: fsm.Nonce(me.Instance), Address: n.address}); err != nil {
			n.cfg.Logger.Info("new address not committed yet", "error", err)
		}
	case leader != "":
		n.present(ctx, address, requestMove)
	default:
		var calls sync.WaitGroup
		for _, address := range n.neighbours(ctx, n.memberAddresses()) {
			calls.Go(func() { n.present(ctx, address, requestProbe) })
		}
		calls.Wait()
	}
}

// present tells whoever is at an address where this node is, and takes note of
// where that one is.
func (n *Node) present(ctx context.Context, address string, kind requestKind) {
	r, err := n.peers.ask(ctx, address, request{Kind: kind, From: n.peers.introduction()})
	if err != nil {
		return
	}
	_ = n.peers.refused(r.From.ID, r.Refusal) // which stops this node, if it is final
	who := transport.Identity{Cluster: r.From.Cluster, ID: r.From.ID, Instance: fsm.Nonce(r.From.Instance)}
	if at, known := n.peers.whereabouts(who.ID); known && at.address != r.From.Address && r.From.Cluster == n.identity.clusterID() {
		_ = n.peers.judge(ctx, who, r.From.announcement())
	}
}

// neighbours are the addresses where nodes may be: given ones, those of Join, each
// address of a name, and those of gossip. This node's own is not among them.
func (n *Node) neighbours(ctx context.Context, given []string) []string {
	all := slices.Concat(given, n.hints())
	for _, address := range n.cfg.Join {
		all = append(all, resolved(ctx, address)...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(a string) bool { return a == n.address })
}

// seekStrangers looks for nodes of another cluster where this node was told to
// find its own. Both sides say so: whoever was meant to be one cluster is two, and
// would hold the same locks twice.
func (n *Node) seekStrangers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	members := n.memberAddresses()
	var calls sync.WaitGroup
	for _, address := range n.neighbours(ctx, nil) {
		if !slices.Contains(members, address) {
			calls.Go(func() {
				_, err := n.peers.ask(ctx, address, request{Kind: requestWho, From: n.peers.introduction()})
				var refused *transport.RefusedError
				if errors.As(err, &refused) && refused.Peer.Cluster != n.identity.clusterID() && clusterID(refused.Peer.Cluster).known() {
					n.peers.stranger(address, refused.Peer)
				}
			})
		}
	}
	calls.Wait()
}

// stranger tells of a node of another cluster, when that is new.
func (p *peers) stranger(address string, who transport.Identity) {
	why := fmt.Errorf("node %s there is of cluster %s, this node of cluster %s: if they were meant to be one, "+
		"empty the directories of the one that nobody uses, and give all the same bootstrap-expect; if not, take it out of join",
		who.ID, clusterID(who.Cluster), p.identity.clusterID())
	if p.news(address, why) {
		p.logger.Error("another cluster where this one was looked for", "address", address, "why", why)
	}
}
