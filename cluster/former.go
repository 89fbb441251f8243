package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// probeInterval is how often an empty node asks around.
	probeInterval = 250 * time.Millisecond
	// probeIntervalIdle is how often it does where there is nothing to form:
	// somebody has to add it.
	probeIntervalIdle = 2 * time.Second
)

// hooks are what a former needs of the running node. They may be called by any
// goroutine, and those without a context must not block for long.
type hooks struct {
	// bootstrap founds raft's cluster with this node as its only voter. It may
	// be called again after a crash, and does nothing if it was done.
	bootstrap func() error
	// addMember records a member's identity in the state, then makes it a voter.
	// What is done already is left alone. errNotLeader: this node does not lead.
	addMember func(ctx context.Context, m fsm.Member) error
	// leaderHint is who leads, as far as is known; "" and "" if nobody.
	leaderHint func() (id, address string)
	// voter tells whether the node is a voter by the latest configuration here.
	voter func(id string) bool
}

// formerOptions are what a former is made of; config has its defaults.
type formerOptions struct {
	config   *Config
	identity *identity
	peers    *peers
	hooks    hooks
	hints    func() []string // addresses that gossip tells of; nil without
	logger   *slog.Logger
}

// A former makes an empty node a member: it drives a formation over control
// streams and answers those of others, for as long as the node lives.
type former struct {
	formerOptions
	born time.Time
	news chan struct{} // something was heard that may change a decision

	mu        sync.Mutex // guards the fields below; held while the identity is written
	formation *formation
	calls     map[string]bool  // addresses with a call under way
	trouble   map[string]error // what the last call to an address ran into
	final     error            // this node was refused for good
	adding    string           // what the founder is at
	said      string           // the last status logged
}

func newFormer(o formerOptions) *former {
	var mint clusterID
	rand.Read(mint[:]) // never fails
	return &former{
		formerOptions: o, born: time.Now(), news: make(chan struct{}, 1),
		calls: make(map[string]bool), trouble: make(map[string]error),
		formation: newFormation(o.identity.saved(), formationOptions{
			boot: o.peers.boot, address: o.peers.address, expect: o.config.BootstrapExpect, mint: mint,
			join: o.config.Join, alone: o.config.BootstrapAlone,
		}),
	}
}

func (o *former) now() time.Duration { return time.Since(o.born) }

// run returns nil when this node is a voter and, if it founded the cluster,
// those that it promised to add are too. It returns the cause when ctx ends. Any
// other error means that the node must stop: it was refused for good, or what it
// decided could not be saved.
func (o *former) run(ctx context.Context) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := o.join(ctx, &calls); err != nil {
		return err
	}
	if len(o.identity.saved().Owed) > 0 {
		if err := o.found(ctx); err != nil {
			return err
		}
	}
	for !o.hooks.voter(o.config.ID) {
		if err := o.pause(ctx, probeInterval); err != nil {
			return err
		}
	}
	o.tell("")
	return nil
}

// status says in one sentence what this node waits for before it is a member;
// "" if it waits for nothing.
func (o *former) status() string {
	if o.hooks.voter(o.config.ID) && len(o.identity.saved().Owed) == 0 {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waitingFor()
}

func (o *former) waitingFor() string {
	switch me := o.formation.me; {
	case o.adding != "":
		return o.adding
	case me.Cluster.known():
		return fmt.Sprintf("was admitted to cluster %s and waits to be added to its voters", me.Cluster)
	}
	text := o.formation.waitingFor(o.now())
	if len(o.trouble) > 0 {
		var list []string
		for address, err := range o.trouble {
			list = append(list, fmt.Sprintf("%s: %v", address, plain(err)))
		}
		slices.Sort(list)
		text = fmt.Sprintf("%s (%d addresses do not answer, such as %s)", text, len(list), list[0])
	}
	return text
}

// plain leaves out what differs with every attempt, as local ports do.
func plain(err error) error {
	if network := (*net.OpError)(nil); errors.As(err, &network) {
		return network.Err
	}
	return err
}

// tell logs what this node waits for, when that has changed.
func (o *former) tell(text string) {
	o.mu.Lock()
	changed := o.said != text
	o.said = text
	o.mu.Unlock()
	if changed && text != "" {
		o.logger.Info("not a member yet", "status", text)
	}
}

// join goes on until this node knows its cluster: it founded it, or was admitted.
func (o *former) join(ctx context.Context, calls *sync.WaitGroup) error {
	for due := time.Duration(0); ; {
		ask, changed, err := o.decide()
		switch {
		case err != nil:
			return err
		case o.identity.clusterID().known():
			return nil
		}
		if changed || o.now() >= due {
			interval := o.round(ctx, calls, ask)
			due = o.now() + interval
			o.tell(o.status())
		}
		if err := o.pause(ctx, due-o.now()); err != nil {
			return err
		}
	}
}

// pause waits for d, for news or for the end of ctx.
func (o *former) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-o.news:
	case <-timer.C:
	}
	return nil
}

func (o *former) wake() {
	select {
	case o.news <- struct{}{}:
	default: // news already
	}
}

// decide lets the formation go as far as it can by itself.
func (o *former) decide() (ask []string, changed bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if o.final != nil && !o.formation.me.Cluster.known() {
			return nil, changed, o.final
		}
		next, ask := o.formation.step(o.now())
		if next.equal(o.formation.me) {
			return ask, changed, nil
		}
		if err := o.keep(next); err != nil {
			return nil, changed, err
		}
		changed = true
	}
}

// keep saves what was decided. Nobody may hear of it if it fails.
func (o *former) keep(next saved) error {
	before := o.formation.me
	if next.equal(before) {
		return nil
	}
	if err := o.identity.save(next); err != nil {
		return err
	}
	o.formation.keep(next)
	switch {
	case len(next.Owed) > 0 && !before.Cluster.known():
		o.logger.Info("founds a cluster", "cluster", next.Cluster.String(), "nodes", len(next.Owed))
	case next.Cluster != before.Cluster:
		o.logger.Info("admitted to a cluster", "cluster", next.Cluster.String())
	case next.Promised != before.Promised:
		o.logger.Info("promised itself", "to", next.Promised.ID, "before", before.Promised.ID)
	}
	return nil
}
