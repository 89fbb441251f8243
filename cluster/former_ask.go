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
	r.standing = o.peers.standing()
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

// call sends q to address, to each of its addresses if it is a name of Join, and
// takes in what comes back.
func (o *former) call(ctx context.Context, address string, q request) {
	places := []string{address}
	joined := slices.Contains(o.config.Join, address)
	if joined {
		places = resolved(ctx, address)
	}
	heard := make([]said, len(places))
	var calls sync.WaitGroup
	for i, place := range places {
		calls.Go(func() { heard[i] = o.askAt(ctx, place, q, joined) })
	}
	calls.Wait()
	if ctx.Err() != nil && !slices.ContainsFunc(heard, func(s said) bool { return s.err == nil }) {
		return
	}
	o.mu.Lock()
	delete(o.calls, address)
	delete(o.trouble, address)
	var at seat
	for _, s := range heard {
		switch {
		case s.err == nil:
			o.formation.heard(o.now(), s.reply.From)
			at.who = append(at.who, s.reply.From.ref)
			if s.reply.Refusal.final() && o.final == nil {
				o.final = fmt.Errorf("cluster: refused for good: %w", &refusedError{s.reply.From.ID, s.reply.Refusal})
			}
		case errors.Is(s.err, transport.ErrSelf):
			at.who = append(at.who, o.formation.me.ref)
		default:
			at.silent++
			o.trouble[address] = s.err
		}
	}
	if joined {
		o.formation.seated(address, at)
	}
	o.mu.Unlock()
	o.wake()
}

// A said is what came of one call.
type said struct {
	reply reply
	err   error
}

// askAt sends q to one place, and to the port beneath if that is all the same.
func (o *former) askAt(ctx context.Context, place string, q request, joined bool) said {
	a, err := o.peers.ask(ctx, place, q)
	if err != nil && !answered(err) && joined {
		// A gossip address will do as well: the service is one port beneath.
		if beneath, ok := portBeneath(place); ok {
			if b, errBeneath := o.peers.ask(ctx, beneath, q); errBeneath == nil || answered(errBeneath) {
				a, err = b, errBeneath
			}
		}
	}
	return said{a, err}
}
