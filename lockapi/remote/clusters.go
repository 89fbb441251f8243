package remote

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// A ClustersError says that the endpoints belong to different clusters, each of
// which would grant the same locks. Nobody can say which was meant, so that no
// session is opened and nothing is read. It is ErrInvalid.
type ClustersError struct {
	// Clusters are ids of clusters, by an endpoint that belongs to it.
	Clusters map[string]string
}

// Error implements error.
func (e *ClustersError) Error() string {
	var all []string
	for _, endpoint := range slices.Sorted(maps.Keys(e.Clusters)) {
		all = append(all, endpoint+" to "+e.Clusters[endpoint])
	}
	return fmt.Sprintf("%v: the endpoints belong to different clusters, which would grant the same locks: %s. Name those of one; "+
		"if the nodes were meant to be one cluster, see lockd status at each", lockapi.ErrInvalid, strings.Join(all, ", "))
}

// Unwrap makes it ErrInvalid.
func (e *ClustersError) Unwrap() error { return lockapi.ErrInvalid }

// A stranger is an address of an endpoint at which another cluster answered.
type stranger struct{ endpoint, cluster string }

// meet takes what the node at an address of an endpoint said; false if it is of
// another cluster than the first that answered. Whoever is of none yet, is met
// later.
func (b *book) meet(endpoint, address string, h *lockdv1.Hello) bool {
	ours := b.learn(address, h)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.given, endpoint) {
		return ours // learnt from nodes: the address is another's now
	}
	switch {
	case !ours:
		b.strangers[address] = stranger{endpoint, h.GetClusterId()}
	case h.GetClusterId() != "" && b.host == "":
		b.host = endpoint
		fallthrough
	default:
		delete(b.strangers, address)
	}
	if h.GetClusterId() != "" || h.GetNode() == "" {
		b.met[endpoint] = true
	}
	return ours
}

// located takes the addresses that an endpoint has now.
func (b *book) located(endpoint string, addresses []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.strangers, func(at string, s stranger) bool {
		return s.endpoint == endpoint && !slices.Contains(addresses, at)
	})
}

// unmet are the endpoints of which it is not known to which cluster they belong,
// or that belong to another.
func (b *book) unmet() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, endpoint := range b.given {
		foreign := false
		for _, s := range b.strangers {
			foreign = foreign || s.endpoint == endpoint
		}
		if foreign || !b.met[endpoint] {
			all = append(all, endpoint)
		}
	}
	return all
}

// mixed is a *ClustersError if the endpoints belong to different clusters.
func (b *book) mixed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.strangers) == 0 {
		return nil
	}
	e := &ClustersError{Clusters: map[string]string{b.host: b.cluster}}
	for at, s := range b.strangers {
		e.Clusters[at] = s.cluster
	}
	return e
}

// settle notes that the endpoints have had their time to say where they belong.
func (b *book) settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = true
}

func (b *book) isSettled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settled
}

// forgetClusters begins anew: no link has been in use, so that any cluster will do.
func (b *book) forgetClusters() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cluster, b.host = "", ""
	clear(b.strangers)
	clear(b.met)
}

// judge has callers who would begin anything refused while the endpoints belong
// to different clusters; whoever has a session goes on in its own.
func (b *Backend) judge() error {
	err, before := b.book.mixed(), b.book.refusal()
	if err == nil {
		b.book.refused.Store(nil)
		return nil
	}
	b.book.refused.Store(&err)
	b.mu.Lock()
	var woken []*call
	for _, a := range b.inflight {
		if anew(&a.command) && !a.maybe() {
			woken = b.complete(a, fsm.Result{}, err, woken)
		}
	}
	close(b.linked) // who waits for a link hears of it
	b.linked = make(chan struct{})
	b.mu.Unlock()
	wake(woken)
	if before == nil || before.Error() != err.Error() {
		b.log.Error("remote: endpoints of different clusters", "error", err)
	}
	return err
}

// refusal is why nothing is begun; nil if it is.
func (b *book) refusal() error {
	if err := b.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// anew tells whether a command begins a session, or another life of it.
func anew(c *fsm.Command) bool { return c.Op == fsm.OpOpen || c.Op == fsm.OpResume }

// introduce asks endpoints that have not answered yet, now and then, for they
// may belong to another cluster than the one in use.
func (b *Backend) introduce() {
	for wait := introduceMin; pause(b.ctx, wait) == nil; wait = min(2*wait, introduceMax) {
		unmet := b.book.unmet()
		if len(unmet) == 0 {
			return
		}
		ctx, cancel := context.WithCancel(b.ctx)
		results := make(chan attempt)
		for _, endpoint := range unmet {
			b.try(ctx, endpoint, results)
		}
		for running := len(unmet); running > 0; {
			select {
			case <-ctx.Done():
				running = 0
			case got := <-results:
				if running += got.more; got.more > 0 {
					continue
				}
				running--
				if got.link != nil {
					b.book.meet(got.endpoint, got.link.address, got.link.hello.Load())
					got.link.close()
				}
			}
		}
		cancel()
		_ = b.judge()
	}
}
