package cluster

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Gossip: how nodes hear of each other's addresses. It is a hint and no more.
// What it tells goes where the addresses of Join go, to be asked who they are
// over a stream that proves it; it makes nobody a member and forms nothing. A
// cluster whose gossip is silent, or lies, works as one without.
//
// A node speaks for as long as it lives, member or not, so that one whose Join
// names only dead addresses is still found: members go on trying the addresses
// of their own Join, and tell it whom they know.

const (
	// gossipAloneEvery is how often a node that hears of nobody tries all
	// addresses that it knows.
	gossipAloneEvery = time.Second
	// gossipMissingEvery is how often one in company tries those that it does
	// not hear of.
	gossipMissingEvery = 10 * time.Second
	// gossipMembersMax bounds whom gossip may tell of: far above any cluster.
	gossipMembersMax = 256
	// gossipProbeInterval and gossipProbeTimeout find a dead node within seconds.
	// That is soon enough: nothing is decided by it. A probe that is under way when
	// the node is closed ends within the interval.
	gossipProbeInterval = 500 * time.Millisecond
	gossipProbeTimeout  = 200 * time.Millisecond
	// gossipLeaveTimeout: how long a node that stops waits for one other to hear
	// that it leaves.
	gossipLeaveTimeout = time.Second
)

// A gossip is one node's part in it.
type gossip struct {
	self      gossiped
	transport *gossipTransport
	key       []byte
	join      []string        // addresses of services or of gossip
	known     func() []string // services of members, by raft
	logger    *slog.Logger
	lines     *gossipLog

	list atomic.Pointer[memberlist.Memberlist] // nil until it runs
	left atomic.Bool

	mu     sync.Mutex // guards the fields below
	heard  map[string]gossiped
	closed bool
}

// newGossip opens the sockets, above the port that is bound.
func newGossip(self gossiped, bound net.Addr, cfg *Config, known func() []string) (*gossip, error) {
	key := gossipKey(cfg.ClusterKey)
	filter, err := newGossipFilter(key)
	if err != nil {
		return nil, fmt.Errorf("cluster: gossip: %w", err)
	}
	address, ok := portAbove(bound.String())
	if !ok {
		return nil, fmt.Errorf("cluster: gossip needs the port above %s: listen on a lower one, or go without gossip", bound)
	}
	g := &gossip{
		self: self, key: key, join: cfg.Join, known: known, logger: cfg.Logger,
		lines: &gossipLog{cfg.Logger, newRepeats()}, heard: make(map[string]gossiped),
	}
	if g.transport, err = listenGossip(address, filter, g.lines.refused); err != nil {
		return nil, err
	}
	return g, nil
}

// run gossips until ctx ends.
func (g *gossip) run(ctx context.Context) {
	defer g.close()
	list := g.create(ctx)
	if list == nil {
		return
	}
	for ctx.Err() == nil {
		g.meet(ctx, list)
		every := gossipMissingEvery
		if len(g.members()) < 2 {
			every = gossipAloneEvery
		}
		pause(ctx, nil, every+mathrand.N(every/4))
	}
}

// create starts the library; nil if ctx ends first, or it does not start. The
// address that others are told may be a name that does not resolve yet.
func (g *gossip) create(ctx context.Context) *memberlist.Memberlist {
	above, _ := portAbove(g.self.address)
	at, err := resolve(ctx, above)
	for ; err != nil && ctx.Err() == nil; at, err = resolve(ctx, above) {
		g.lines.say(slog.LevelInfo, "no gossip yet", err)
		pause(ctx, nil, gossipAloneEvery)
	}
	if err != nil || !g.begin(at) {
		return nil
	}
	list, err := memberlist.Create(g.config(at.Port))
	if err != nil {
		g.lines.say(slog.LevelError, "no gossip", err)
		return nil
	}
	g.list.Store(list)
	return list
}

// begin lets the transport run, unless all is over.
func (g *gossip) begin(at *net.TCPAddr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.transport.start(at.IP, at.Port)
	}
	return !g.closed
}

func (g *gossip) config(port int) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.SecretKey = g.self.address, gossipLabel, g.key
	c.Transport, c.ProtocolVersion = g.transport, memberlist.ProtocolVersionMax
	c.BindPort, c.AdvertisePort = port, port
	c.TCPTimeout, c.ProbeInterval, c.ProbeTimeout = gossipTimeout, gossipProbeInterval, gossipProbeTimeout
	c.AwarenessMaxMultiplier = 1
	c.EnableCompression = false // see gossip_filter.go
	c.MsgpackUseNewTimeFormat = true
	c.Delegate, c.Events, c.Alive = gossipDelegate{g}, gossipDelegate{g}, gossipDelegate{g}
	c.Logger = log.New(g.lines, "", 0)
	return c
}

// meet tries the addresses of nodes that gossip does not tell of.
func (g *gossip) meet(ctx context.Context, list *memberlist.Memberlist) {
	var missing []string
	present := g.members()
	for _, address := range slices.Concat(g.join, g.known()) {
		beneath, _ := portBeneath(address)
		if !slices.ContainsFunc(present, func(m gossiped) bool { return m.address == address || m.address == beneath }) {
			missing = append(missing, address)
		}
	}
	slices.Sort(missing)
	for _, address := range slices.Compact(missing) {
		above, _ := portAbove(address)
		for _, try := range []string{above, address} { // of a service, or of gossip
			if g.greet(ctx, list, try) {
				break
			}
			if ctx.Err() != nil || g.left.Load() {
				return
			}
		}
	}
}

// greet says hello at each address of a name; true if anybody was there.
func (g *gossip) greet(ctx context.Context, list *memberlist.Memberlist, name string) (met bool) {
	for _, address := range resolved(ctx, name) {
		at, err := resolve(ctx, address)
		if ctx.Err() != nil || g.left.Load() {
			return met
		}
		if err == nil {
			n, _ := list.Join([]string{at.String()})
			met = met || n > 0
		}
	}
	return met
}

// members are whom gossip tells of as alive, this node included, by address.
func (g *gossip) members() []gossiped {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []gossiped
	for _, m := range g.heard {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b gossiped) int { return strings.Compare(a.address, b.address) })
	return all
}

// addresses are the services of the other nodes that gossip tells of.
func (g *gossip) addresses() []string {
	var all []string
	for _, m := range g.members() {
		if m.address != g.self.address {
			all = append(all, m.address)
		}
	}
	return all
}

// leave tells the others that this node stops, and does not wait for long. After
// it the node is no member of the gossip; what it hears it still takes in.
func (g *gossip) leave() error {
	list := g.list.Load()
	if list == nil || g.left.Swap(true) {
		return nil
	}
	return list.Leave(gossipLeaveTimeout)
}

// close ends it. It may be called again.
func (g *gossip) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.left.Store(true)
	if list := g.list.Load(); list != nil {
		_ = list.Shutdown()
	}
	_ = g.transport.Shutdown()
}

// resolve finds the IP of an address.
func resolve(ctx context.Context, address string) (*net.TCPAddr, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, gossipTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	return &net.TCPAddr{IP: ips[0], Port: int(number)}, nil
}
