package cluster

import (
	"context"
	"fmt"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// An announcement is what a dialler says first on a raft or forward stream.
type announcement struct {
	Instance instance `json:"instance"`
	Boot     instance `json:"boot"`
	Address  string   `json:"address"`
	standing
}

// announce is the dialler's half of an examination.
func (p *peers) announce(ctx context.Context, c *transport.Conn) error {
	var verdict refusal
	err := within(ctx, c, func() error {
		said := announcement{instance(p.identity.transport().Instance), p.boot, p.address, p.standing()}
		if err := writeNote(c, said); err != nil {
			return err
		}
		return readNote(c, &verdict)
	})
	if err != nil {
		return fmt.Errorf("announce to node %s: %w", c.Peer.ID, err)
	}
	return p.refused(c.Peer.ID, verdict)
}

// refused makes an error of a verdict, and stops this node if it is final.
func (p *peers) refused(peer string, verdict refusal) error {
	if verdict == (refusal{}) {
		return nil
	}
	err := &refusedError{peer, verdict}
	p.mu.Lock()
	stop := verdict.final() && !p.stopped
	p.stopped = p.stopped || stop
	p.mu.Unlock()
	if stop && p.fail != nil {
		p.fail(fmt.Errorf("cluster: refused for good: %w", err))
	}
	return err
}

// examine is the acceptor's half: it reads the announcement and sends the
// verdict.
func (p *peers) examine(ctx context.Context, c *transport.Conn) error {
	var verdict refusal
	err := within(ctx, c, func() error {
		var said announcement
		if err := readNote(c, &said); err != nil {
			return err
		}
		said.Instance = instance(c.Peer.Instance)
		verdict = p.judge(ctx, c.Peer, said)
		return writeNote(c, verdict)
	})
	if err == nil && verdict != (refusal{}) {
		err = fmt.Errorf("refused: this node %s", verdict.Reason)
		p.say(c.Peer.ID, err)
	}
	if err != nil {
		return fmt.Errorf("%s stream from node %s: %w", c.Kind, c.Peer.ID, err)
	}
	p.say(c.Peer.ID, nil)
	return nil
}

// saidMax bounds what is remembered of peers, who choose their ids themselves.
const saidMax = 256

// say logs why a peer was refused, when that is new. nil: it was let in.
func (p *peers) say(peer string, why error) {
	if p.news(peer, why) {
		p.logger.Warn("refused a peer", "peer", peer, "why", why)
	}
}

// news tells whether what is said of a peer is not what was said last. nil is
// nothing, and never news.
func (p *peers) news(peer string, why error) bool {
	text := ""
	if why != nil {
		text = why.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := p.said[peer] != text
	if len(p.said) >= saidMax {
		clear(p.said)
	}
	if p.said[peer] = text; why == nil {
		delete(p.said, peer)
	}
	return changed && why != nil
}

// judge decides about a peer of this cluster that announced itself.
func (p *peers) judge(ctx context.Context, peer transport.Identity, said announcement) refusal {
	m, known := p.member(peer.ID)
	if known && replaced(m, peer) {
		return judgeReplaced(m, peer)
	}
	at, listed := p.whereabouts(peer.ID)
	if !listed {
		at.address = m.Address // recorded, and about to be a voter
	}
	if at.address != "" && at.address != said.Address {
		return p.judgeMove(ctx, at, peer, said)
	}
	return p.callBack(ctx, peer, said)
}

func judgeReplaced(m fsm.Member, peer transport.Identity) refusal {
	return refusal{refusedReplaced, fmt.Sprintf("knows the member %s with another data directory (instance %v, not %v): "+
		"the disk was wiped, restored or exchanged; start it on the directory that it had, or "+staysOut,
		m.ID, instance(m.Instance), instance(peer.Instance))}
}
