package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport"
)

// A Node is one member of a cluster, in this process. It implements
// lockapi.Backend: lockapi.New(node, lockapi.Options{}) is a client with no
// wire in between. All methods may be called from any number of goroutines.
type Node struct {
	cfg      Config
	stage    staging
	address  string // that others know it by
	born     time.Time
	identity *identity
	storage  *storage
	port     *transport.Port
	ownPort  bool
	peers    *peers
	carrier  *raftTransport
	raft     *raft.Raft
	started  atomic.Pointer[raft.Raft] // raft, for what raft itself calls while it starts
	former   *former
	gossip   *gossip // nil without
	listener net.Listener

	pendings   *pendings
	subs       *subscriptions
	machine    *machine
	leadership *leadership
	server     *forwardServer
	link       *link
	reads      reads
	readiness  readiness
	stopping   atomic.Bool // see Stop
	counters   counters
	formed     atomic.Bool            // forming will not be true again
	unsettled  atomic.Pointer[string] // that it is not where the cluster has it; nil: it is
	doings     sync.Pool

	ctx      context.Context // ends with Close, or when the node fails
	cancel   context.CancelFunc
	opened   chan struct{} // closed when Open is done
	watching chan struct{} // closed when raft has shut down
	parts    sync.WaitGroup
	watcher  sync.WaitGroup

	failure   atomic.Pointer[error] // why it stopped by itself
	done      chan struct{}
	endOnce   sync.Once
	closeOnce sync.Once
	closeErr  error
}

// Open starts a node: it joins the cluster that its data directory belongs to,
// or else forms or finds one as cfg says, in the background. WaitReady tells
// when it serves; until then commands wait. On an error nothing is left open.
func Open(cfg Config) (*Node, error) { return openNode(cfg, staging{}) }

// A staging is what tests arrange around a node; the zero value is the world as
// it is.
type staging struct {
	// barred closes streams of other nodes, to part them.
	barred func(kind transport.Kind, peer string) bool
	// diskPatience is for short heartbeat timeouts on a busy disk.
	diskPatience time.Duration
}

func openNode(cfg Config, stage staging) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	n := &Node{
		cfg: cfg, stage: stage, born: time.Now(), port: cfg.Port, doings: newDoings(),
		opened: make(chan struct{}), watching: make(chan struct{}), done: make(chan struct{}),
	}
	n.readiness.changed = make(chan struct{})
	n.ctx, n.cancel = context.WithCancel(context.Background())
	err := n.open()
	if err == nil {
		err = n.Err() // the storage may have failed already
	}
	if err != nil {
		n.cancel()
		n.endOnce.Do(func() { close(n.done) })
		close(n.opened)
		return nil, errors.Join(advised(err), n.release())
	}
	n.start()
	close(n.opened)
	return n, nil
}

// open makes the parts, in the order in which they need each other.
func (n *Node) open() (err error) {
	// First what may be somebody else's: a start that fails leaves no directory that
	// is a node's from then on.
	if n.port == nil {
		if n.port, err = transport.Listen(n.cfg.Listen, transport.Options{Logger: n.cfg.Logger}); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
		n.ownPort = true
	}
	n.address = n.cfg.advertised(n.port.Addr())
	if !n.cfg.NoGossip {
		if n.gossip, err = newGossip(gossiped{n.cfg.ID, n.address}, n.port.Addr(), &n.cfg, n.memberAddresses); err != nil {
			return err
		}
	}
	if n.identity, err = openIdentity(n.cfg.DataDir, n.cfg.ID); err != nil {
		return err
	}
	if n.storage, err = openStorage(n.cfg.DataDir, &n.cfg, n.fail); err != nil {
		return err
	}
	n.storage.guard.writes = &n.counters.logWrites
	if n.stage.diskPatience > 0 {
		n.storage.guard.patience = n.stage.diskPatience
	}
	n.pendings = newPendings(n.now)
	n.subs = newSubscriptions()
	n.machine = newMachine(n.pendings, n.subs, n.fail, n.hasFailed, &n.cfg)
	n.machine.taken = &n.counters.taken
	n.peers = newPeers(peersOptions{
		identity: n.identity, address: n.address, key: n.cfg.ClusterKey,
		member: n.member, placed: n.placed, moved: n.cfg.Moved,
		cut: func(id string) { n.carrier.layer.cut(id) }, fail: n.fail, logger: n.cfg.Logger,
	})
	n.carrier = newRaftTransport(n.peers, &n.cfg)
	n.leadership = newLeadership(n.cfg.ID, n.address, n.raftLeader)
	n.server = newForwardServer(n.cfg.ID, n.now, n.cfg.HeartbeatTimeout,
		func() *reign { return n.leadership.current().reign }, n.machine.levelNow)
	n.leadership.begin, n.leadership.ended = n.beginReign, n.endReign
	n.link = newLink(n)

	gains := make(chan bool)
	moved := make(chan raft.Observation, 1)
	if n.raft, err = n.storage.startRaft(raftConfig(&n.cfg, gains), n.machine, n.carrier); err != nil {
		return err
	}
	n.started.Store(n.raft)
	n.watcher.Go(func() { n.leadership.watch(gains, moved, n.watching) })
	n.raft.RegisterObserver(raft.NewObserver(moved, false, func(o *raft.Observation) bool {
		_, leader := o.Data.(raft.LeaderObservation)
		return leader
	}))
	n.former = newFormer(formerOptions{
		config: &n.cfg, identity: n.identity, peers: n.peers, hints: n.hints, logger: n.cfg.Logger,
		hooks: hooks{bootstrap: n.bootstrap, addMember: n.addMember, leaderHint: n.Leader, voter: n.voter},
	})
	n.listener = n.port.Node()
	return nil
}

// start lets the parts run. Whatever ends with ctx is in parts.
func (n *Node) start() {
	n.parts.Go(func() { n.leadership.rule(n.ctx) })
	n.parts.Go(func() { n.link.run(n.ctx) })
	n.parts.Go(func() { n.link.tend(n.ctx) })
	n.parts.Go(func() { n.catchUp(n.ctx) })
	n.parts.Go(func() { n.takeSnapshots(n.ctx) })
	n.parts.Go(func() { n.lookOut(n.ctx) })
	n.parts.Go(n.accept)
	if n.gossip != nil {
		n.parts.Go(func() { n.gossip.run(n.ctx) })
	}
	n.parts.Go(func() {
		if err := n.former.run(n.ctx); err != nil && n.ctx.Err() == nil {
			n.fail(err)
		}
	})
	n.leadership.publish()
}

// takeSnapshots asks raft for a snapshot when the machine has seen enough
// bytes; by time it is raft's own doing.
func (n *Node) takeSnapshots(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.machine.large:
		}
		if err := n.raft.Snapshot().Error(); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Warn("no snapshot taken", "error", err)
		}
	}
}

// now is this process's monotonic clock.
func (n *Node) now() time.Duration { return time.Since(n.born) }

// Capabilities implements lockapi.Backend.
func (n *Node) Capabilities() lockapi.Capabilities {
	return lockapi.Capabilities{Backend: "cluster", Fair: true, Fencing: true, Linearizable: true}
}
