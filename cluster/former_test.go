package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// memberTable is a machine that knows members and nothing else.
type memberTable struct {
	mu      sync.Mutex
	members map[string]fsm.Member
}

func (m *memberTable) Apply(entry *raft.Log) any {
	var member fsm.Member
	if err := json.Unmarshal(entry.Data, &member); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members[member.ID] = member
	return nil
}

func (m *memberTable) get(id string) (fsm.Member, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	member, ok := m.members[id]
	return member, ok
}

func (*memberTable) Snapshot() (raft.FSMSnapshot, error)  { return nil, errors.New("no snapshots here") }
func (*memberTable) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }

// testNode is all of a node that this file's subject needs: identity, storage,
// port, peers, raft and former, on loopback and a temporary directory.
type testNode struct {
	cfg     Config
	me      *identity
	storage *storage
	port    *transport.Port
	peers   *peers
	carrier *raftTransport
	raft    atomic.Pointer[raft.Raft]
	table   *memberTable
	former  *former
	failed  chan error // of peers, storage and former
	formed  chan error // what former.run returned

	cancel context.CancelFunc
	parts  sync.WaitGroup
	once   sync.Once
}

// nodeTweaks change a test's node before it starts.
type nodeTweaks struct {
	step      func(n *testNode, name string) error // of identity.save
	addMember func(n *testNode, m fsm.Member) error
	voter     func(n *testNode, id string) bool // also, by an entry that is on no other disk
	bootstrap func(n *testNode) error
}

// testAddress is an address that was free a moment ago.
func testAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// testConfigs are n nodes that expect each other and join the first.
func testConfigs(t *testing.T, n int) []Config {
	t.Helper()
	root := t.TempDir()
	var all []Config
	for i := range n {
		id := fmt.Sprintf("n%d", i+1)
		c := Config{
			ID: id, DataDir: filepath.Join(root, id), Listen: testAddress(t), BootstrapExpect: n,
			ClusterKey: []byte("0123456789abcdef"), HeartbeatTimeout: 50 * time.Millisecond,
		}
		if i > 0 {
			c.Join = []string{all[0].Listen}
		}
		all = append(all, c)
	}
	return all
}

func startNode(t *testing.T, cfg Config, tweaks nodeTweaks) *testNode {
	t.Helper()
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	n := &testNode{cfg: cfg.withDefaults(), failed: make(chan error, 16), formed: make(chan error, 1), table: &memberTable{members: map[string]fsm.Member{}}}
	if os.Getenv("LOCKD_TEST_LOG") != "" {
		n.cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", cfg.ID)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fail := func(err error) { n.failed <- err }
	var err error
	n.me, err = openIdentity(cfg.DataDir, cfg.ID)
	must(err)
	if tweaks.step != nil {
		n.me.step = func(name string) error { return tweaks.step(n, name) }
	}
	n.storage, err = openStorage(cfg.DataDir, &n.cfg, fail)
	must(err)
	until(t, func() bool { // the port may have gone to somebody's outgoing connection
		n.port, err = transport.Listen(cfg.Listen, transport.Options{})
		return err == nil
	}, func() string { return err.Error() })
	address := n.cfg.advertised(n.port.Addr())
	n.peers = newPeers(peersOptions{identity: n.me, address: address, key: cfg.ClusterKey, member: n.member, fail: fail, logger: n.cfg.Logger})
	n.carrier = newRaftTransport(n.peers, &n.cfg)
	r, err := n.storage.startRaft(raftConfig(&n.cfg, nil), n.table, n.carrier)
	must(err)
	n.raft.Store(r)
	n.former = newFormer(formerOptions{config: &n.cfg, identity: n.me, peers: n.peers, logger: n.cfg.Logger, hooks: hooks{
		bootstrap: func() error {
			if tweaks.bootstrap != nil {
				if err := tweaks.bootstrap(n); err != nil {
					return err
				}
			}
			return n.bootstrap()
		},
		addMember: func(_ context.Context, m fsm.Member) error {
			if tweaks.addMember != nil {
				if err := tweaks.addMember(n, m); err != nil {
					return err
				}
			}
			return n.addMember(m)
		},
		leaderHint: func() (string, string) {
			address, id := n.raft.Load().LeaderWithID()
			return string(id), placeOf(address).address
		},
		voter: func(id string) bool {
			s, ok := n.server(id)
			return ok && s.Suffrage == raft.Voter || tweaks.voter != nil && tweaks.voter(n, id)
		},
	}})
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	listener := n.port.Node()
	n.parts.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			n.parts.Go(func() {
				c, err := n.peers.accept(ctx, nc)
				switch {
				case err != nil:
				case c.Kind == transport.KindRaft:
					n.carrier.offer(c)
				default:
					n.former.serve(ctx, c)
				}
			})
		}
	})
	n.parts.Go(func() {
		err := n.former.run(ctx)
		if err != nil && ctx.Err() == nil {
			n.failed <- err
		}
		n.formed <- err
	})
	t.Cleanup(n.stop)
	return n
}

// stop ends the node without a word to anybody.
func (n *testNode) stop() {
	n.once.Do(func() {
		n.cancel()
		n.carrier.Close()
		n.port.Close()
		n.parts.Wait()
		n.raft.Load().Shutdown().Error()
		n.storage.Close()
		n.me.Close()
	})
}

func (n *testNode) server(id string) (raft.Server, bool) {
	r := n.raft.Load()
	if r == nil {
		return raft.Server{}, false
	}
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if string(s.ID) == id {
			return s, true
		}
	}
	return raft.Server{}, false
}

func (n *testNode) member(id string) (fsm.Member, bool) {
	m, known := n.table.get(id)
	if s, ok := n.server(id); ok {
		m.ID, m.Address, known = id, string(s.Address), true
	}
	return m, known
}

func (n *testNode) bootstrap() error {
	err := n.raft.Load().BootstrapCluster(raft.Configuration{Servers: []raft.Server{
		{ID: raft.ServerID(n.cfg.ID), Address: raft.ServerAddress(n.peers.address)},
	}}).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return nil
	}
	return err
}

func (n *testNode) addMember(m fsm.Member) error {
	r := n.raft.Load()
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := r.Apply(data, time.Second).Error(); err != nil {
		return errNotLeader
	}
	if s, ok := n.server(m.ID); ok && s.Suffrage == raft.Voter && string(s.Address) == m.Address {
		return nil
	}
	if err := r.AddVoter(raft.ServerID(m.ID), raft.ServerAddress(m.Address), 0, time.Second).Error(); err != nil {
		return errNotLeader
	}
	return nil
}

// wantFormed waits until all nodes are voters of one cluster.
func wantFormed(t *testing.T, nodes ...*testNode) {
	t.Helper()
	for _, n := range nodes {
		select {
		case err := <-n.formed:
			if err != nil {
				t.Fatalf("%s: %v", n.cfg.ID, err)
			}
		case err := <-n.failed:
			t.Fatalf("%s failed: %v", n.cfg.ID, err)
		case <-time.After(patience):
			t.Fatalf("%s: %s", n.cfg.ID, n.former.status())
		}
		if status := n.former.status(); status != "" {
			t.Errorf("%s: still %q", n.cfg.ID, status)
		}
		if n.me.clusterID() != nodes[0].me.clusterID() {
			t.Fatalf("%s is in cluster %s, %s in %s", n.cfg.ID, n.me.clusterID(), nodes[0].cfg.ID, nodes[0].me.clusterID())
		}
		if len(n.me.saved().Owed) != 0 {
			t.Errorf("%s still owes %v", n.cfg.ID, n.me.saved().Owed)
		}
	}
	until(t, func() bool {
		for _, n := range nodes {
			for _, m := range nodes {
				member, known := n.member(m.cfg.ID)
				if !known || instance(member.Instance) != m.me.saved().Instance || member.Address != m.peers.address {
					return false
				}
			}
		}
		return true
	}, func() string { return "the members' addresses and instances did not reach all" })
}

func untilStatus(t *testing.T, n *testNode, text string) {
	t.Helper()
	until(t, func() bool { return strings.Contains(n.former.status(), text) },
		func() string { return fmt.Sprintf("%s: status %q, want %q", n.cfg.ID, n.former.status(), text) })
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestFormerOneNode(t *testing.T) {
	cfg := testConfigs(t, 1)[0]
	n := startNode(t, cfg, nodeTweaks{})
	wantFormed(t, n)
	id := n.me.clusterID()
	n.stop()
	n = startNode(t, cfg, nodeTweaks{})
	wantFormed(t, n)
	if n.me.clusterID() != id {
		t.Fatal("another cluster after a restart")
	}
}

func TestFormerThreeNodes(t *testing.T) {
	configs := testConfigs(t, 3)
	// Each knows but one other, and that one by its gossip port.
	host, port, _ := net.SplitHostPort(configs[1].Listen)
	var number int
	fmt.Sscan(port, &number)
	configs[2].Join = []string{net.JoinHostPort(host, fmt.Sprint(number+1))}
	var nodes []*testNode
	for _, cfg := range configs {
		nodes = append(nodes, startNode(t, cfg, nodeTweaks{}))
	}
	wantFormed(t, nodes...)

	for i, n := range nodes { // all restart, one by one
		n.stop()
		nodes[i] = startNode(t, configs[i], nodeTweaks{})
	}
	wantFormed(t, nodes...)
}

// A fourth node stays out, and knows why.
func TestFormerLeavesExtraNodesOut(t *testing.T) {
	configs := testConfigs(t, 3)
	var nodes []*testNode
	for _, cfg := range configs {
		nodes = append(nodes, startNode(t, cfg, nodeTweaks{}))
	}
	wantFormed(t, nodes...)
	extra := configs[2]
	extra.ID, extra.DataDir, extra.Listen = "n0", filepath.Join(t.TempDir(), "n0"), testAddress(t)
	n := startNode(t, extra, nodeTweaks{})
	untilStatus(t, n, "formed without this node")
	extra.ID, extra.DataDir, extra.Listen, extra.BootstrapExpect = "n9", filepath.Join(t.TempDir(), "n9"), testAddress(t), 0
	n = startNode(t, extra, nodeTweaks{})
	untilStatus(t, n, "formed without this node")
	if n.me.saved().bound() {
		t.Fatal("promised itself all the same")
	}
}

// Wherever a node dies in a step of what it writes, and starts again, the
// cluster is formed, and is one.
func TestFormerCrashesAtEveryStep(t *testing.T) {
	type point struct {
		node, save int
		step       string
	}
	steps := []string{"create", "write", "sync", "rename", "sync directory", "done"}
	if testing.Short() {
		steps = []string{"rename", "done"} // the last before the new content, and the first after
	}
	var points []point
	for node, saves := range []int{3, 2} { // the founder promises, mints and has added all; another promises and is admitted
		for save := range saves {
			for _, step := range steps {
				points = append(points, point{node, save, step})
			}
		}
	}
	for _, p := range points {
		t.Run(fmt.Sprintf("n%d save %d %s", p.node+1, p.save+1, p.step), func(t *testing.T) {
			configs := testConfigs(t, 3)
			var nodes []*testNode
			crashed := make(chan struct{})
			for i, cfg := range configs {
				var tweaks nodeTweaks
				if i == p.node {
					tweaks.step = crashAt(p.save, p.step, crashed)
				}
				nodes = append(nodes, startNode(t, cfg, tweaks))
			}
			<-crashed
			n := nodes[p.node]
			n.stop()
			nodes[p.node] = startNode(t, configs[p.node], nodeTweaks{})
			wantFormed(t, nodes...)
		})
	}
}

// crashAt lets the save of that number fail at a step, "done" being the first
// one of the next save, if there is one.
func crashAt(save int, step string, crashed chan struct{}) func(*testNode, string) error {
	count := -1
	var once sync.Once
	return func(_ *testNode, name string) error {
		if name == "create" {
			count++
		}
		if count == save && name == step || count > save && step == "done" {
			once.Do(func() { close(crashed) })
			return errors.New("crash")
		}
		if step == "done" && count == save && name == "sync directory" {
			once.Do(func() { close(crashed) })
		}
		return nil
	}
}

// The founder dies before it bootstraps, and before each node that it adds.
func TestFormerFounderCrashes(t *testing.T) {
	for _, at := range []string{"bootstrap", "n1", "n2", "n3"} {
		t.Run(at, func(t *testing.T) {
			configs := testConfigs(t, 3)
			crashed := make(chan struct{})
			var once sync.Once
			crash := func(where string) error {
				if where != at {
					return nil
				}
				once.Do(func() { close(crashed) })
				return errors.New("crash")
			}
			nodes := []*testNode{startNode(t, configs[0], nodeTweaks{
				bootstrap: func(*testNode) error { return crash("bootstrap") },
				addMember: func(_ *testNode, m fsm.Member) error { return crash(m.ID) },
			})}
			for _, cfg := range configs[1:] {
				nodes = append(nodes, startNode(t, cfg, nodeTweaks{}))
			}
			<-crashed
			nodes[0].stop()
			nodes[0] = startNode(t, configs[0], nodeTweaks{})
			wantFormed(t, nodes...)
		})
	}
}

// The founder's log has an entry that makes the third node a voter; it is
// committed by nobody, and gone with the next leader's. The founder does not take
// the node for added.
func TestFormerFounderLooksAtWhatIsCommitted(t *testing.T) {
	configs := testConfigs(t, 3)
	var lost atomic.Bool
	nodes := []*testNode{startNode(t, configs[0], nodeTweaks{
		addMember: func(n *testNode, m fsm.Member) error {
			if m.ID != "n3" || lost.Load() {
				return nil
			}
			n.table.mu.Lock()
			n.table.members[m.ID] = m
			n.table.mu.Unlock()
			lost.Store(true)
			return errors.New("leadership lost while committing log")
		},
		voter: func(_ *testNode, id string) bool { return id == "n3" && lost.Load() },
	})}
	for _, cfg := range configs[1:] {
		nodes = append(nodes, startNode(t, cfg, nodeTweaks{}))
	}
	wantFormed(t, nodes...)
	if s, ok := nodes[0].server("n3"); !ok || s.Suffrage != raft.Voter || !lost.Load() {
		t.Errorf("n3 is %+v", s)
	}
}

// A node promised, and its disk was wiped before the founder came to add it: the
// empty disk is not bound to the cluster, and is told what to do.
func TestWipedPromiserIsNotAdmitted(t *testing.T) {
	configs := testConfigs(t, 3)
	crashed := make(chan struct{})
	var once sync.Once
	founder := startNode(t, configs[0], nodeTweaks{addMember: func(_ *testNode, m fsm.Member) error {
		once.Do(func() { close(crashed) })
		return errors.New("crash")
	}})
	second, third := startNode(t, configs[1], nodeTweaks{}), startNode(t, configs[2], nodeTweaks{})
	<-crashed
	founder.stop()
	third.stop()
	if err := os.RemoveAll(configs[2].DataDir); err != nil {
		t.Fatal(err)
	}
	configs[2].Join = nil // it hears of the cluster from the founder alone
	founder, third = startNode(t, configs[0], nodeTweaks{}), startNode(t, configs[2], nodeTweaks{})
	untilStatus(t, founder, "has another data directory than the node that promised")
	if third.me.clusterID().known() {
		t.Error("admitted in the place of another disk")
	}
	if !second.me.clusterID().known() {
		t.Error("the second was kept out by the third")
	}
}

// A founder that has lost the leadership to the second node has the third added
// by it.
func TestFormerFounderDoesNotLead(t *testing.T) {
	configs := testConfigs(t, 3)
	var nodes []*testNode
	var asked atomic.Int32
	nodes = append(nodes, startNode(t, configs[0], nodeTweaks{addMember: func(n *testNode, m fsm.Member) error {
		if m.ID != "n3" {
			return nil
		}
		if err := n.raft.Load().LeadershipTransfer().Error(); err != nil {
			t.Log(err)
		}
		return errNotLeader
	}}))
	nodes = append(nodes, startNode(t, configs[1], nodeTweaks{addMember: func(*testNode, fsm.Member) error {
		asked.Add(1)
		return nil
	}}))
	nodes = append(nodes, startNode(t, configs[2], nodeTweaks{}))
	wantFormed(t, nodes...)
	if asked.Load() == 0 {
		t.Fatal("the leader was not asked")
	}
}

func wantFailure(t *testing.T, n *testNode, text string) {
	t.Helper()
	select {
	case err := <-n.failed:
		wantError(t, err, text)
	case <-time.After(patience):
		t.Fatalf("%s did not fail: %s", n.cfg.ID, n.former.status())
	}
}

func formThree(t *testing.T) ([]Config, []*testNode) {
	t.Helper()
	configs := testConfigs(t, 3)
	var nodes []*testNode
	for _, cfg := range configs {
		nodes = append(nodes, startNode(t, cfg, nodeTweaks{}))
	}
	wantFormed(t, nodes...)
	return configs, nodes
}

func TestWipedDiskIsRefused(t *testing.T) {
	configs, nodes := formThree(t)
	nodes[2].stop()
	if err := os.RemoveAll(configs[2].DataDir); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, configs[2], nodeTweaks{})
	wantFailure(t, n, "with another data directory")
	if n.me.clusterID().known() {
		t.Fatal("was admitted")
	}
}

func TestRestoredDiskIsRefused(t *testing.T) {
	configs := testConfigs(t, 3)
	backup := filepath.Join(t.TempDir(), "backup")
	nodes := []*testNode{startNode(t, configs[2], nodeTweaks{})}
	nodes[0].stop()
	copyDir(t, configs[2].DataDir, backup)
	nodes = nil
	for _, cfg := range configs {
		nodes = append(nodes, startNode(t, cfg, nodeTweaks{}))
	}
	wantFormed(t, nodes...)
	nodes[2].stop()
	configs[2].DataDir = backup
	n := startNode(t, configs[2], nodeTweaks{})
	wantFailure(t, n, "was restored from before")
}

func TestCopiedDirectoryIsRefused(t *testing.T) {
	configs, nodes := formThree(t)
	nodes[2].stop()
	clone := configs[2]
	clone.DataDir = filepath.Join(t.TempDir(), "clone")
	copyDir(t, configs[2].DataDir, clone.DataDir)
	nodes[2] = startNode(t, configs[2], nodeTweaks{})

	t.Run("at another address", func(t *testing.T) {
		clone := clone
		clone.Listen = testAddress(t)
		wantFailure(t, startNode(t, clone, nodeTweaks{}), "knows the member n3 at "+configs[2].Listen)
	})
	t.Run("with its configuration", func(t *testing.T) {
		clone := clone
		clone.Listen, clone.Advertise = testAddress(t), configs[2].Listen
		wantFailure(t, startNode(t, clone, nodeTweaks{}), "finds another process at "+configs[2].Listen)
	})
	t.Run("the original stays", func(t *testing.T) {
		wantFormed(t, nodes[2])
		if err := nodes[0].raft.Load().VerifyLeader().Error(); err != nil && !errors.Is(err, raft.ErrNotLeader) {
			t.Fatal(err)
		}
		if len(nodes[2].failed) != 0 {
			t.Fatal(<-nodes[2].failed)
		}
	})
}

func TestStatusTellsWhatIsWrong(t *testing.T) {
	t.Run("another key", func(t *testing.T) {
		configs := testConfigs(t, 2)
		configs[1].ClusterKey = []byte("fedcba9876543210")
		startNode(t, configs[0], nodeTweaks{})
		untilStatus(t, startNode(t, configs[1], nodeTweaks{}), "another cluster key")
	})
	t.Run("nobody there", func(t *testing.T) {
		configs := testConfigs(t, 2)
		untilStatus(t, startNode(t, configs[1], nodeTweaks{}), "found 1 of 2 empty nodes to form a cluster (1 addresses do not answer, such as "+configs[0].Listen+": connect: connection refused)")
	})
	t.Run("another expectation", func(t *testing.T) {
		configs := testConfigs(t, 2)
		configs[1].BootstrapExpect = 3
		startNode(t, configs[0], nodeTweaks{})
		untilStatus(t, startNode(t, configs[1], nodeTweaks{}), "expect another number of nodes than 3")
	})
	t.Run("the same id", func(t *testing.T) {
		configs := testConfigs(t, 2)
		configs[1].ID = configs[0].ID
		n := startNode(t, configs[0], nodeTweaks{})
		untilStatus(t, startNode(t, configs[1], nodeTweaks{}), "has the id n1 too")
		untilStatus(t, n, "has the id n1 too")
	})
	t.Run("two others with the same id", func(t *testing.T) {
		configs := testConfigs(t, 3)
		configs[2].ID = configs[1].ID
		n := startNode(t, configs[0], nodeTweaks{})
		startNode(t, configs[1], nodeTweaks{})
		startNode(t, configs[2], nodeTweaks{})
		untilStatus(t, n, "two nodes go by the id n2")
	})
	t.Run("does not form", func(t *testing.T) {
		configs := testConfigs(t, 2)
		configs[1].BootstrapExpect = 0
		startNode(t, configs[0], nodeTweaks{})
		untilStatus(t, startNode(t, configs[1], nodeTweaks{}), "this node does not form one")
	})
	t.Run("waits to be added", func(t *testing.T) {
		configs := testConfigs(t, 2)
		founder := startNode(t, configs[0], nodeTweaks{addMember: func(*testNode, fsm.Member) error { return errors.New("not today") }})
		other := startNode(t, configs[1], nodeTweaks{})
		untilStatus(t, founder, "is adding node n1: not today")
		untilStatus(t, other, "was admitted to cluster "+founder.me.clusterID().String()+" and waits to be added")
	})
}

// What a former is asked by nodes that have no business to ask.
func TestFormerRefusesStrangers(t *testing.T) {
	configs := testConfigs(t, 2)
	configs[0].BootstrapExpect, configs[1].BootstrapExpect, configs[1].Join = 1, 1, nil
	a := startNode(t, configs[0], nodeTweaks{})
	wantFormed(t, a)
	stranger, err := openIdentity(filepath.Join(t.TempDir(), "x"), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	p := newPeers(peersOptions{identity: stranger, address: "127.0.0.1:1", key: configs[0].ClusterKey, member: func(string) (fsm.Member, bool) { return fsm.Member{}, false }})
	for _, tc := range []struct {
		q    request
		want string
	}{
		{request{Kind: "dance"}, "does not know the request"},
		{request{Kind: requestPromise}, "is a member of a cluster already"},
		{request{Kind: requestAdmit}, "was not asked by a member"},
		{request{Kind: requestAdd, Member: &promiser{ref{"x", instance{1, 1}}, "127.0.0.1:1"}}, "not of its cluster"},
	} {
		tc.q.From = p.introduction()
		r, err := p.ask(t.Context(), a.peers.address, tc.q)
		if err != nil || !strings.Contains(r.Refusal.Reason, tc.want) {
			t.Errorf("%s: %+v %v, want %q", tc.q.Kind, r.Refusal, err, tc.want)
		}
	}

	// A member of the same cluster that does not say whom to add.
	member := stranger.saved()
	member.Cluster = a.me.clusterID()
	if err := stranger.save(member); err != nil {
		t.Fatal(err)
	}
	r, err := p.ask(t.Context(), a.peers.address, request{Kind: requestAdd, From: p.introduction()})
	if err != nil || !strings.Contains(r.Refusal.Reason, "was not told whom to add") {
		t.Error(r.Refusal, err)
	}

	// A report that is not of who shows itself, or is nonsense.
	for name, change := range map[string]func(*report){
		"id":      func(r *report) { r.ID = "y" },
		"address": func(r *report) { r.Address = "nowhere" },
		"known":   func(r *report) { r.Known = []string{"nowhere"} },
		"long":    func(r *report) { r.Known = slices.Repeat([]string{"127.0.0.1:1"}, knownMax+1) },
	} {
		from := p.introduction()
		change(&from)
		if _, err := p.ask(t.Context(), a.peers.address, request{Kind: requestProbe, From: from}); err == nil {
			t.Errorf("%s: answered", name)
		}
	}

	// Another cluster with the same key.
	b := startNode(t, configs[1], nodeTweaks{})
	wantFormed(t, b)
	if _, err := a.peers.dial(t.Context(), transport.KindControl, b.peers.address); !strings.Contains(fmt.Sprint(err), "another cluster") {
		t.Error(err)
	}
}

// A node that cannot save a promise says nothing, and stops.
func TestFormerStopsWhenItCannotSave(t *testing.T) {
	configs := testConfigs(t, 2)
	full := errors.New("no space left on device")
	broken := func(*testNode, string) error { return full }
	founder := startNode(t, configs[0], nodeTweaks{step: broken})
	startNode(t, configs[1], nodeTweaks{})
	wantFailure(t, founder, full.Error())

	configs = testConfigs(t, 2)
	startNode(t, configs[0], nodeTweaks{})
	promiser := startNode(t, configs[1], nodeTweaks{step: broken})
	wantFailure(t, promiser, full.Error())
	if promiser.me.saved().bound() {
		t.Fatal("told what it could not save")
	}
}
