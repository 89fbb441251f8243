package remote

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// A book is the addresses that are worth trying.
type book struct {
	mu      sync.Mutex // guards the fields below
	given   []string
	learnt  []string          // from nodes; tried after the given ones
	nodes   map[string]string // node id -> address at which it answered
	shunned map[string]shunned
	failed  map[string]error // given address -> what was wrong with it at last
	cluster string           // the only cluster that will do; empty until one is met
	host    string           // the endpoint that was the first to belong to it

	met       map[string]bool       // endpoints whose cluster is known
	strangers map[string]stranger   // by address
	settled   bool                  // the first link has waited for the other endpoints
	refused   atomic.Pointer[error] // nothing is begun: see judge
}

// shunned is an address that has failed: the last choice until a time.
type shunned struct {
	until time.Time
	spell time.Duration
}

func newBook(endpoints []string) *book {
	return &book{given: slices.Clone(endpoints), nodes: make(map[string]string), shunned: make(map[string]shunned),
		failed: make(map[string]error), met: make(map[string]bool), strangers: make(map[string]stranger)}
}

// order lists all addresses: given ones before learnt ones, failed ones last,
// equals by chance.
func (b *book) order(now time.Time) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	given, learnt := slices.Clone(b.given), slices.Clone(b.learnt)
	for _, s := range [][]string{given, learnt} {
		rand.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
	}
	all := append(given, learnt...)
	slices.SortStableFunc(all, func(x, y string) int { return b.rank(x, now) - b.rank(y, now) })
	return slices.Compact(all)
}

func (b *book) rank(address string, now time.Time) int {
	if now.Before(b.shunned[address].until) {
		return 1
	}
	return 0
}

// shun makes an address that has failed the last choice for a while. Who used
// to answer there may be elsewhere now.
func (b *book) shun(address string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(address)
	spell := min(max(2*b.shunned[address].spell, avoidMin), avoidMax)
	b.shunned[address] = shunned{now.Add(spell), spell}
}

// note keeps what came of dialling a given address.
func (b *book) note(address string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		delete(b.failed, address)
	case slices.Contains(b.given, address):
		b.failed[address] = reason(err)
	}
}

// failures are the given addresses with what was wrong with each.
func (b *book) failures() []EndpointError {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]EndpointError, len(b.given))
	for i, address := range b.given {
		all[i] = EndpointError{address, b.failed[address]}
	}
	return all
}

func (b *book) forget(address string) {
	maps.DeleteFunc(b.nodes, func(_, at string) bool { return at == address })
}

func (b *book) shuns(address string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rank(address, now) > 0
}

func (b *book) forgive(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shunned, address)
}

// learn takes what the node at the address said; false if it is of another
// cluster.
func (b *book) learn(address string, h *lockdv1.Hello) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id := h.GetClusterId(); id != "" {
		if b.cluster == "" {
			b.cluster = id
		}
		if id != b.cluster {
			return false
		}
	}
	b.forget(address)
	if h.GetNode() != "" {
		b.nodes[h.GetNode()] = address
	}
	b.learnt = b.learnt[:0]
	for _, a := range h.GetAddresses() {
		if len(b.given)+len(b.learnt) < endpointsMax && !slices.Contains(b.given, a) && !slices.Contains(b.learnt, a) {
			b.learnt = append(b.learnt, a)
		}
	}
	return true
}

// leader is the address of the node that h says leads: where it has answered
// before, or else where it says it is. It is empty if nobody leads, or the
// node that says so does.
func (b *book) leader(h *lockdv1.Hello) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.GetLeader() == "" || h.GetLeader() == h.GetNode() {
		return ""
	}
	if known := b.nodes[h.GetLeader()]; known != "" {
		return known
	}
	return h.GetLeaderAddress()
}
