package scenes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait. It is no expectation of speed.
const patience = time.Minute

// A stage is three nodes, what befalls their clients, and what is judged in the end.
type stage struct {
	t       *testing.T
	ctx     context.Context
	nodes   []*node
	record  *history.Recorder
	clients int
}

// A node stays when its process, so to speak, goes: it has its directory and address.
type node struct {
	*cluster.Node
	cfg cluster.Config
}

func newStage(t *testing.T, tune ...func(*cluster.Config)) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	s := &stage{t: t, ctx: ctx, record: history.NewRecorder()}
	t.Cleanup(func() {
		for _, n := range s.nodes {
			s.close(n)
		}
		cancel()
	})
	addresses := freeAddresses(t, 3)
	for i, address := range addresses {
		s.nodes = append(s.nodes, &node{cfg: cluster.Config{
			ID: fmt.Sprintf("n%d", i+1), DataDir: t.TempDir(), Listen: address, Join: addresses, BootstrapExpect: 3,
			HeartbeatTimeout: 300 * time.Millisecond, NoGossip: true,
		}})
	}
	for _, n := range s.nodes {
		for _, f := range tune {
			f(&n.cfg)
		}
		s.open(n)
	}
	s.ready()
	return s
}

// freeAddresses are beneath the ports that the kernel gives to outgoing connections,
// so that a node that was closed finds its own free again.
func freeAddresses(t *testing.T, n int) (all []string) {
	t.Helper()
	for port := 14000 + rand.IntN(6000); len(all) < n && port < 21000; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			all = append(all, l.Addr().String())
			_ = l.Close()
		}
	}
	if len(all) < n {
		t.Fatal("no free ports")
	}
	return all
}

func (s *stage) open(n *node) {
	s.t.Helper()
	var err error
	if n.Node, err = cluster.Open(n.cfg); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) close(n *node) {
	s.t.Helper()
	if n.Node == nil {
		return
	}
	if err := n.Close(); err != nil {
		s.t.Errorf("node %s: %v", n.cfg.ID, err)
	}
	n.Node = nil
}

// ready waits until every node that is open has caught up with a leader.
func (s *stage) ready() {
	s.t.Helper()
	for _, n := range s.nodes {
		if n.Node == nil {
			continue
		}
		if err := n.WaitReady(s.ctx); err != nil {
			s.t.Fatalf("node %s: %v", n.cfg.ID, err)
		}
	}
}

func (s *stage) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// leader is the node that leads, by what the node itself says.
func (s *stage) leader() (leads *node) {
	s.t.Helper()
	s.until("a leader", func() bool {
		for _, n := range s.nodes {
			if n.Node == nil {
				continue
			}
			if id, _ := n.Leader(); id == n.cfg.ID && n.Ready() == nil {
				leads = n
				return true
			}
		}
		return false
	})
	return leads
}

// handOver has the leadership go to another node, whichever raft takes.
func (s *stage) handOver() {
	s.t.Helper()
	old := s.leader()
	s.until("another leader", func() bool {
		if id, _ := old.Leader(); id == old.cfg.ID {
			_ = old.Transfer(s.ctx) // refused while another is under way, or nobody has caught up
		}
		return s.leader() != old
	})
}

// judge wants an order of all that befell the clients, by search and by positions.
func (s *stage) judge() {
	s.t.Helper()
	h := s.record.History()
	l := verdict.Linearizable(h, patience)
	w := verdict.Witnessed(h)
	if l.Verdict != verdict.Pass || w.Verdict != verdict.Pass {
		s.t.Errorf("the search says %v, the witness %v", l.Verdict, w.Verdict)
		for _, f := range append(l.Findings, w.Findings...) {
			s.t.Error(f)
		}
		for i := range h {
			s.t.Logf("%d: %s", h[i].ID, &h[i])
		}
	}
	if l.Ops == 0 || w.Ops == 0 {
		s.t.Errorf("%d operations were searched, %d looked at: nothing was judged", l.Ops, w.Ops)
	}
}
