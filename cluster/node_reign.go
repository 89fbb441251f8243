package cluster

import "time"

// What a reign has of its node, and leadership of raft.

// beginReign makes the reign for a leadership that was just gained.
func (n *Node) beginReign() *reign {
	r := newReign(n.machine, n.propose, n.now, n.cfg.HeartbeatTimeout, n.fail, n.cfg.Logger)
	r.inbox.forming, r.inbox.refused = n.forming, &n.counters.inboxRefused
	return r
}

// endReign tells the other nodes that what they sent will not be proposed.
func (n *Node) endReign() { n.server.refuse() }

// propose hands an entry to raft and waits for its apply here. raft knows no
// term of the caller's: an entry that waits while this node loses and regains
// the leadership is committed all the same, which is why it bears its own (T3).
func (n *Node) propose(entry []byte) (*applied, error) {
	begun := time.Now()
	future := n.raft.Apply(entry, 0)
	if err := future.Error(); err != nil {
		if fateOf(err) == fateRefused {
			n.counters.again.Add(1)
		}
		return nil, err
	}
	n.counters.proposals.observe(time.Since(begun))
	switch out := future.Response().(type) {
	case *applied:
		return out, nil
	case error:
		return nil, out
	default:
		return nil, errFailed
	}
}

// raftLeader is who leads as raft sees it.
func (n *Node) raftLeader() (id, address string) {
	r := n.started.Load()
	if r == nil {
		return "", ""
	}
	at, who := r.LeaderWithID()
	return string(who), placeOf(at).address
}
