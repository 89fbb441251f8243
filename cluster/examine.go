package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// An announcement is what a dialler says first on a raft or forward stream.
type announcement struct {
	Instance instance `json:"instance"`
	Boot     instance `json:"boot"`
	Address  string   `json:"address"`
}

// announce is the dialler's half of an examination.
func (p *peers) announce(ctx context.Context, c *transport.Conn) error {
	var verdict refusal
	err := within(ctx, c, func() error {
		said := announcement{instance(p.identity.transport().Instance), p.boot, p.address}
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
	text := ""
	if why != nil {
		text = why.Error()
	}
	p.mu.Lock()
	changed := p.said[peer] != text
	if len(p.said) >= saidMax {
		clear(p.said)
	}
	if p.said[peer] = text; why == nil {
		delete(p.said, peer)
	}
	p.mu.Unlock()
	if changed && why != nil {
		p.logger.Warn("refused a peer", "peer", peer, "why", text)
	}
}

// judge decides about a peer of this cluster that announced itself.
func (p *peers) judge(ctx context.Context, peer transport.Identity, said announcement) refusal {
	if m, known := p.member(peer.ID); known {
		if verdict := judgeMember(m, peer, said.Address); verdict != (refusal{}) {
			return verdict
		}
	}
	p.mu.Lock()
	proved := p.proved[peer.ID] == said
	p.mu.Unlock()
	if proved {
		return refusal{}
	}
	if err := validAddress(said.Address, dialable); err != nil {
		return refusal{refusedNow, fmt.Sprintf("does not call back %q: %v", said.Address, err)}
	}
	r, err := p.ask(ctx, said.Address, request{Kind: requestProbe, From: p.introduction()})
	switch {
	case errors.Is(err, transport.ErrSelf), err == nil && (r.From.Boot != said.Boot || r.From.ref != ref{peer.ID, said.Instance}):
		return refusal{refusedCopied, fmt.Sprintf("finds another process at %s, which this one says is its address: "+
			"one of the two runs on a copy of the other's data directory or configuration", said.Address)}
	case err != nil:
		return refusal{refusedNow, fmt.Sprintf("cannot reach %s, which this one says is its address: %v", said.Address, err)}
	}
	p.mu.Lock()
	if len(p.proved) >= saidMax {
		clear(p.proved)
	}
	p.proved[peer.ID] = said
	p.mu.Unlock()
	return refusal{}
}

// judgeMember compares a peer with the member that it says it is.
func judgeMember(m fsm.Member, peer transport.Identity, address string) refusal {
	switch {
	case replaced(m, peer):
		return refusal{refusedReplaced, fmt.Sprintf("knows the member %s with another data directory (instance %v, not %v): "+
			"the disk was wiped, restored or exchanged; start it on the directory that it had, or "+staysOut,
			m.ID, instance(m.Instance), instance(peer.Instance))}
	case m.Address != "" && m.Address != address:
		return refusal{refusedMoved, fmt.Sprintf("knows the member %s at %s, not at %s: "+
			"this runs on a copy of its data directory, or it must advertise its old address", m.ID, m.Address, address)}
	}
	return refusal{}
}
