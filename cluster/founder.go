package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// enlistInterval is how soon a founder tries again to add a node.
const enlistInterval = 50 * time.Millisecond

// found begins the cluster that this node has minted, or goes on where it was
// interrupted, until all promisers are voters.
func (o *former) found(ctx context.Context) error {
	bootstrapped := make(chan error, 1)
	go func() { bootstrapped <- o.hooks.bootstrap() }()
	select {
	case err := <-bootstrapped:
		if err != nil {
			return fmt.Errorf("cluster: bootstrap: %w", err)
		}
	case <-ctx.Done(): // a store that fails leaves raft without an answer
		return context.Cause(ctx)
	}
	// A promiser that this node sees among the voters need not be one: its entry
	// may be on this disk alone, and the next leader's log without it. So each is
	// added, once more if need be, until whoever leads has said that it is done.
	missing := slices.Clone(o.identity.saved().Owed)
	for len(missing) > 0 {
		why := ""
		missing = slices.DeleteFunc(missing, func(p promiser) bool {
			// One that is down must not keep the next one out: until there is a
			// majority of voters, no client is served.
			err := o.enlist(ctx, p)
			if err != nil && why == "" {
				why = fmt.Sprintf("founded cluster %s and is adding node %s: %v", o.identity.clusterID(), p.ID, plain(err))
			}
			return err == nil
		})
		o.explain(why)
		if len(missing) == 0 {
			break
		}
		if err := o.pause(ctx, enlistInterval); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.adding = ""
	next := o.formation.me
	next.Owed = nil
	return o.keep(next)
}

// explain says what the founder is at.
func (o *former) explain(why string) {
	o.mu.Lock()
	o.adding = why
	o.mu.Unlock()
	o.tell(why)
}

// listed tells whether a promiser is a voter as far as this node sees. It was
// admitted before.
func (o *former) listed(p promiser) bool {
	m, known := o.peers.member(p.ID)
	return known && m.Instance == fsm.Nonce(p.Instance) && o.hooks.voter(p.ID)
}

// enlist admits a promiser and has it added by whoever leads. After nil it is a
// voter, by an entry that is committed. It may be repeated.
func (o *former) enlist(ctx context.Context, p promiser) error {
	leader, at := o.hooks.leaderHint()
	if leader == "" {
		return errors.New("nobody leads yet")
	}
	o.mu.Lock()
	me := o.report()
	p.Address = cmp.Or(o.formation.addressOf(p.ref), p.Address)
	o.mu.Unlock()
	if p.ID != me.ID && !o.listed(p) {
		a, err := o.peers.ask(ctx, p.Address, request{Kind: requestAdmit, From: me, Member: &p})
		switch {
		case err != nil:
			return err
		case a.Refusal != refusal{}:
			return &refusedError{a.From.ID, a.Refusal}
		case a.From.ref != p.ref:
			return fmt.Errorf("node %s answers at %s with another data directory than the one that promised", a.From.ID, p.Address)
		}
	}
	if leader == me.ID {
		ctx, cancel := context.WithTimeout(ctx, addMemberTimeout)
		defer cancel()
		return o.hooks.addMember(ctx, fsm.Member{ID: p.ID, Instance: fsm.Nonce(p.Instance), Address: p.Address})
	}
	a, err := o.peers.ask(ctx, at, request{Kind: requestAdd, From: me, Member: &p})
	if err == nil && a.Refusal != (refusal{}) {
		err = &refusedError{a.From.ID, a.Refusal}
	}
	return err
}
