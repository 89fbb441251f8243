package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/transport"
)

// pairAddress is an address that was free a moment ago, as was the port above.
func pairAddress(t *testing.T) string {
	t.Helper()
	p, err := transport.Listen("127.0.0.1:0", transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	return p.Addr().String()
}

func above(address string) string {
	out, _ := portAbove(address)
	return out
}

// gossips opens a node that gossips.
func gossips(t *testing.T, key []byte, id, listen string, expect int, join ...string) *Node {
	t.Helper()
	cfg := Config{
		ID: id, DataDir: filepath.Join(t.TempDir(), id), Listen: listen, Join: join, BootstrapExpect: expect,
		ClusterKey: key, HeartbeatTimeout: 300 * time.Millisecond,
	}
	if os.Getenv("LOCKD_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: levelTrace})).With("at", id)
	}
	n, err := openNode(cfg, staging{diskPatience: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing %s: %v", id, err)
		}
	})
	return n
}

func isReady(n *Node) func() bool { return func() bool { return n.Ready() == nil } }

var gossipTestKey = []byte("0123456789abcdef")

// One address of one member is enough for who comes late, its service's or its
// gossip's; and none is, if a member knows of the newcomer. It becomes a member
// when a member adds it, and by gossip alone never.
func TestLateJoinerFindsTheCluster(t *testing.T) {
	addresses := make([]string, 6)
	for i := range addresses {
		addresses[i] = pairAddress(t)
	}
	dead := pairAddress(t)
	a := gossips(t, gossipTestKey, "a", addresses[0], 3, addresses[5])
	b := gossips(t, gossipTestKey, "b", addresses[1], 3, above(addresses[0]))
	c := gossips(t, gossipTestKey, "c", addresses[2], 3, addresses[0])
	for _, n := range []*Node{a, b, c} {
		eventually(t, n.cfg.ID+" to be ready", isReady(n))
	}
	d := gossips(t, gossipTestKey, "d", addresses[3], 3, addresses[1])
	for _, late := range []*Node{
		d,
		gossips(t, gossipTestKey, "e", addresses[4], 3, above(addresses[2])),
		gossips(t, gossipTestKey, "f", addresses[5], 3, dead, above(dead)), // a knows where it is
	} {
		eventually(t, late.cfg.ID+" to find the cluster", func() bool {
			return strings.Contains(late.former.status(), "was formed without this node")
		})
		eventually(t, late.cfg.ID+" to hear of all members", func() bool {
			heard := late.gossip.addresses()
			return slices.Contains(heard, addresses[0]) && slices.Contains(heard, addresses[1]) && slices.Contains(heard, addresses[2])
		})
		if late.identity.clusterID().known() || len(a.servers()) != 3 {
			t.Errorf("%s is a member that nobody added: %+v", late.cfg.ID, a.servers())
		}
	}
	eventually(t, "d to be admitted", func() bool {
		for _, n := range []*Node{a, b, c} {
			if n.leadership.current().reign == nil {
				continue
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			return n.former.enlist(ctx, promiser{d.identity.saved().ref, d.address}) == nil
		}
		return false
	})
	eventually(t, "d to be ready", isReady(d))
}

// Nodes that know only one another's gossip form a cluster.
func TestGossipPortsForm(t *testing.T) {
	first, second := pairAddress(t), pairAddress(t)
	a := gossips(t, nil, "a", first, 2, above(second))
	b := gossips(t, nil, "b", second, 2, above(first))
	eventually(t, "a cluster", func() bool { return a.Ready() == nil && b.Ready() == nil })
	eventually(t, "company", func() bool { return len(a.gossip.members()) == 2 && len(b.gossip.members()) == 2 })
}

// Who has another key, or leaves, is not heard of.
func TestGossipHearsWhoItShould(t *testing.T) {
	first, second, third := pairAddress(t), pairAddress(t), pairAddress(t)
	a := gossips(t, gossipTestKey, "a", first, 1)
	b := gossips(t, gossipTestKey, "b", second, 0, first)
	stranger := gossips(t, []byte("another key of theirs"), "s", third, 0, above(first))
	eventually(t, "b to be heard", func() bool { return slices.Equal(a.gossip.addresses(), []string{second}) })
	eventually(t, "the stranger to have tried", func() bool {
		stranger.former.mu.Lock()
		defer stranger.former.mu.Unlock()
		return len(stranger.former.trouble) > 0
	})
	if got := stranger.gossip.addresses(); len(got) != 0 {
		t.Errorf("the stranger hears of %v", got)
	}
	if err := b.gossip.leave(); err != nil {
		t.Error(err)
	}
	eventually(t, "b to be gone", func() bool { return len(a.gossip.addresses()) == 0 })
}

func TestGossipNeedsThePortAbove(t *testing.T) {
	open := func(listen string) error {
		n, err := Open(Config{ID: "a", DataDir: t.TempDir(), Listen: listen, BootstrapExpect: 1})
		if err == nil {
			n.Close()
		}
		return err
	}
	for _, network := range []string{"tcp", "udp"} {
		address := pairAddress(t)
		var closer interface{ Close() error }
		var err error
		if network == "tcp" {
			closer, err = net.Listen(network, above(address))
		} else {
			closer, err = net.ListenPacket(network, above(address))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := open(address); err == nil || !strings.Contains(err.Error(), "gossip needs the port above") {
			t.Errorf("with the %s port taken: %v", network, err)
		}
		closer.Close()
		if err := open(address); err != nil {
			t.Errorf("with the %s port free again: %v", network, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:65535")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := open("127.0.0.1:65535"); err == nil || !strings.Contains(err.Error(), "listen on a lower one") {
		t.Errorf("with the last port: %v", err)
	}
}

// A node without gossip is told the port of another's for the service's.
func TestJoinByGossipPortWithoutGossip(t *testing.T) {
	first := pairAddress(t)
	a := gossips(t, gossipTestKey, "a", first, 1)
	eventually(t, "a to be ready", isReady(a))
	b, err := Open(Config{ID: "b", DataDir: t.TempDir(), Listen: "127.0.0.1:0", Join: []string{above(first)},
		ClusterKey: gossipTestKey, NoGossip: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	eventually(t, "b to find the cluster", func() bool {
		return strings.Contains(b.former.status(), "was formed without this node")
	})
}

func TestWithoutGossipNobodyListens(t *testing.T) {
	n, err := Open(Config{ID: "a", DataDir: t.TempDir(), Listen: "127.0.0.1:0", BootstrapExpect: 1, NoGossip: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	l, err := net.Listen("tcp", above(n.address))
	if err != nil {
		t.Fatalf("the port above is taken: %v", err)
	}
	l.Close()
	if n.hints() != nil {
		t.Error("hears something")
	}
}

// The number of members is bounded, and so is what they say of themselves.
func TestGossipMembersAreBounded(t *testing.T) {
	d := gossipDelegate{&gossip{heard: make(map[string]gossiped)}}
	for i := range gossipMembersMax + 1 {
		g := gossiped{"n", fmt.Sprintf("10.0.0.1:%d", i+1)}
		n := gossipNode(g.address, g.encode())
		err := d.NotifyAlive(n)
		if d.NotifyJoin(n); (err != nil) != (i == gossipMembersMax) {
			t.Fatalf("node %d: %v", i, err)
		}
	}
	if got := len(d.g.members()); got != gossipMembersMax {
		t.Errorf("%d members", got)
	}
	if err := d.NotifyAlive(gossipNode("10.0.0.1:1", gossiped{"n", "10.0.0.1:1"}.encode())); err != nil {
		t.Errorf("one that is known: %v", err)
	}
	for name, meta := range map[string][]byte{
		"10.0.0.2:1": gossiped{"n", "10.0.0.3:1"}.encode(), "10.0.0.2:2": nil, "10.0.0.2:3": gossiped{"n!", "10.0.0.2:3"}.encode(),
	} {
		if err := d.NotifyAlive(gossipNode(name, meta)); err == nil {
			t.Errorf("%s passed with %q", name, meta)
		}
	}
}
