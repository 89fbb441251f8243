package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// serve answers the one request of a control stream, and closes it.
func (o *former) serve(ctx context.Context, c *transport.Conn) {
	ctx, cancel := context.WithTimeout(ctx, addMemberTimeout+controlTimeout)
	defer cancel()
	err := answer(ctx, c, func(q request) reply { return o.handle(ctx, c.Peer, q) })
	if err != nil && ctx.Err() == nil {
		o.logger.Debug("control stream ended", "peer", c.Peer.ID, "error", err)
	}
}

// handle is the answer to a request from peer.
func (o *former) handle(ctx context.Context, peer transport.Identity, q request) reply {
	if q.Kind == requestAdd {
		verdict := o.add(ctx, peer, q.Member)
		o.mu.Lock()
		defer o.mu.Unlock()
		return reply{o.report(), verdict}
	}
	moved := o.located(ctx, peer, q)
	if q.Kind == requestMove && moved == (refusal{}) {
		moved = o.relocate(ctx, peer, q.From)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	verdict := o.judge(peer)
	if verdict == (refusal{}) {
		verdict = moved
	}
	if verdict == (refusal{}) {
		verdict = o.agree(q)
	}
	o.wake()
	return reply{o.report(), verdict}
}

// agree takes in a request and does what it asks for. The caller holds mu.
func (o *former) agree(q request) refusal {
	o.formation.heard(o.now(), q.From)
	var next saved
	var reason string
	switch q.Kind {
	case requestProbe, requestWho, requestMove:
		return refusal{}
	case requestPromise:
		next, reason = o.formation.promise(o.now(), q.From)
	case requestAdmit:
		var as ref
		if q.Member != nil {
			as = q.Member.ref
		}
		next, reason = o.formation.admit(q.From, as)
	default:
		reason = fmt.Sprintf("does not know the request %q", q.Kind)
	}
	if reason != "" {
		return refusal{refusedNow, reason}
	}
	if err := o.keep(next); err != nil {
		o.final = err
		return refusal{refusedNow, "cannot save its promise"}
	}
	return refusal{}
}

// judge refuses a node that goes by a member's id without being that member:
// its disk was wiped, or restored from before it was one. The caller holds mu.
func (o *former) judge(peer transport.Identity) refusal {
	m, known := o.peers.member(peer.ID)
	me := o.formation.me.Cluster
	switch {
	case !me.known() || !known || m.Instance == fsm.Nonce{}:
		return refusal{}
	case replaced(m, peer):
		return judgeReplaced(m, peer)
	case clusterID(peer.Cluster) != me:
		return refusal{refusedReplaced, fmt.Sprintf("knows the member %s with this very data directory, which says that it is of no cluster: "+
			"it was restored from before; "+staysOut, m.ID)}
	}
	return refusal{}
}

// located judges a member of this cluster that is not where it is known to be.
func (o *former) located(ctx context.Context, peer transport.Identity, q request) refusal {
	me := o.identity.clusterID()
	at, known := o.peers.whereabouts(peer.ID)
	if q.Kind == requestWho || !me.known() || clusterID(peer.Cluster) != me || !known || at.address == q.From.Address {
		return refusal{}
	}
	verdict := o.peers.judge(ctx, peer, q.From.announcement())
	if verdict != (refusal{}) {
		o.peers.say(peer.ID, fmt.Errorf("refused: this node %s", verdict.Reason))
	}
	return verdict
}

// relocate is what a leader does for a member that has moved, and was judged.
func (o *former) relocate(ctx context.Context, peer transport.Identity, from report) refusal {
	if _, known := o.peers.member(peer.ID); !known || clusterID(peer.Cluster) != o.identity.clusterID() {
		return refusal{refusedNow, "moves nobody who is not a member"}
	}
	return o.enter(ctx, promiser{from.ref, from.Address})
}

// add is what a leader does for a founder that does not lead any more.
func (o *former) add(ctx context.Context, peer transport.Identity, p *promiser) refusal {
	me := o.identity.clusterID()
	switch {
	case !me.known() || clusterID(peer.Cluster) != me:
		return refusal{refusedNow, "adds nobody for a node that is not of its cluster"}
	case p == nil || validID(p.ID) != nil || validAddress(p.Address, dialable) != nil:
		return refusal{refusedNow, "was not told whom to add"}
	}
	return o.enter(ctx, *p)
}

// enter has a member recorded with its address, and made a voter there.
func (o *former) enter(ctx context.Context, p promiser) refusal {
	ctx, cancel := context.WithTimeout(ctx, addMemberTimeout)
	defer cancel()
	err := o.hooks.addMember(ctx, fsm.Member{ID: p.ID, Instance: fsm.Nonce(p.Instance), Address: p.Address})
	switch {
	case errors.Is(err, errNotLeader):
		return refusal{refusedNotLeader, "does not lead"}
	case err != nil:
		return refusal{refusedNow, fmt.Sprintf("could not add node %s: %v", p.ID, err)}
	}
	return refusal{}
}
