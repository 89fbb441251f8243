package cluster

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/lockd-io/lockd/transport"
)

// round calls every address that is known, and returns when the next is due.
func (o *former) round(ctx context.Context, calls *sync.WaitGroup, ask []string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hints != nil {
		o.formation.hinted(o.now(), o.hints())
	}
	addresses := o.formation.addresses()
	for address := range o.trouble {
		if !slices.Contains(addresses, address) {
			delete(o.trouble, address)
		}
	}
	for _, address := range addresses {
		if o.calls[address] {
			continue
		}
		o.calls[address] = true
		q := request{Kind: requestProbe, From: o.report()}
		if slices.Contains(ask, address) {
			q.Kind = requestPromise
		}
		calls.Go(func() { o.call(ctx, address, q) })
	}
	interval := probeInterval
	if _, found := o.formation.cluster(o.now()); found {
		interval = probeIntervalIdle
	}
	return interval + mathrand.N(interval/4)
}

// report is what this node says of itself. The caller holds mu.
func (o *former) report() report {
	r := o.formation.report(o.now())
	if r.Cluster.known() {
		r.Leader, r.LeaderAddress = o.hooks.leaderHint()
	}
	return r
}

// answered tells that an error is the answer of a node.
func answered(err error) bool {
	var refused *transport.RefusedError
	return errors.Is(err, transport.ErrKey) || errors.Is(err, transport.ErrCluster) || errors.Is(err, transport.ErrSelf) ||
		errors.As(err, &refused)
}

// call sends q to address and takes in what comes back.
func (o *former) call(ctx context.Context, address string, q request) {
	a, err := o.peers.ask(ctx, address, q)
	if err != nil && !answered(err) && slices.Contains(o.config.Join, address) {
		// A gossip address will do as well: the service is one port beneath.
		if beneath, ok := portBeneath(address); ok {
			if b, errBeneath := o.peers.ask(ctx, beneath, q); errBeneath == nil {
				a, err = b, nil
			}
		}
	}
	o.mu.Lock()
	delete(o.calls, address)
	switch {
	case err == nil:
		delete(o.trouble, address)
		o.formation.heard(o.now(), a.From)
		if a.Refusal.final() && o.final == nil {
			o.final = fmt.Errorf("cluster: refused for good: %w", &refusedError{a.From.ID, a.Refusal})
		}
	case errors.Is(err, transport.ErrSelf):
		delete(o.trouble, address)
	case ctx.Err() == nil:
		o.trouble[address] = err
	}
	o.mu.Unlock()
	o.wake()
}
