package cluster

import (
	"fmt"

	"github.com/hashicorp/memberlist"
)

// gossipDelegate is what the library calls; none of it may block.
type gossipDelegate struct{ g *gossip }

// NodeMeta implements memberlist.Delegate.
func (d gossipDelegate) NodeMeta(int) []byte { return d.g.self.encode() }

// NotifyMsg implements memberlist.Delegate: there are no messages of ours.
func (gossipDelegate) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (gossipDelegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (gossipDelegate) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (gossipDelegate) MergeRemoteState([]byte, bool) {}

// NotifyAlive implements memberlist.AliveDelegate: an error keeps a node out of
// the list. The library's lock is held.
func (d gossipDelegate) NotifyAlive(n *memberlist.Node) error {
	said, err := decodeMeta(n.Meta)
	if err != nil {
		return fmt.Errorf("meta of %q: %w", n.Name, err)
	}
	if said.address != n.Name {
		return fmt.Errorf("meta of %q is of %q", n.Name, said.address)
	}
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	if _, known := d.g.heard[n.Name]; !known && len(d.g.heard) >= gossipMembersMax {
		return fmt.Errorf("too many nodes (%d)", gossipMembersMax)
	}
	return nil
}

// NotifyJoin implements memberlist.EventDelegate.
func (d gossipDelegate) NotifyJoin(n *memberlist.Node) { d.NotifyUpdate(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (d gossipDelegate) NotifyUpdate(n *memberlist.Node) {
	said, err := decodeMeta(n.Meta)
	if err != nil {
		return // NotifyAlive let it through: it did not
	}
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	if _, known := d.g.heard[n.Name]; known || len(d.g.heard) < gossipMembersMax {
		d.g.heard[n.Name] = said
	}
}

// NotifyLeave implements memberlist.EventDelegate: dead, or gone on purpose.
func (d gossipDelegate) NotifyLeave(n *memberlist.Node) {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	delete(d.g.heard, n.Name)
}
