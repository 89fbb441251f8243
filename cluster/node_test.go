package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A read shows what was acknowledged before it was asked, at any node.
func TestInspectIsLinearizable(t *testing.T) {
	w := newWorld(t, 3, nil)
	ctx, cancel := w.context()
	defer cancel()
	p := w.open(w.leader(), time.Minute)
	for i := range 5 {
		name := fmt.Sprintf("n/%d", i)
		got := w.do(w.leader(), p.acquire(name, 0))
		v, err := w.follower().Inspect(ctx, lockapi.Query{Name: name})
		if err != nil || v.Index < got.Index || len(v.Locks) != 1 || len(v.Locks[0].Holders) != 1 || v.Locks[0].Holders[0].Token != got.Token {
			t.Fatalf("%+v, %v; granted %+v", v, err, got)
		}
	}
	page, err := w.follower().Inspect(ctx, lockapi.Query{Prefix: "n/", After: "n/0", Limit: 3})
	if err != nil || len(page.Locks) != 3 || !page.More || page.Locks[0].Name != "n/1" {
		t.Errorf("%+v, %v", page, err)
	}
	stale, err := w.leader().Inspect(ctx, lockapi.Query{Stale: true})
	if err != nil || len(stale.Locks) != 5 {
		t.Errorf("%+v, %v", stale, err)
	}
	for _, q := range []lockapi.Query{{Limit: -1}, {Limit: 1001}, {Name: "a\x00"}, {Prefix: "\xff"}} {
		if _, err := w.leader().Inspect(ctx, q); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// All who read while a read is under way share the next one.
func TestReadsShareRounds(t *testing.T) {
	var (
		r    reads
		sent []*round
	)
	send := func(this *round) { sent = append(sent, this) }
	first := r.join(send)
	second, third := r.join(send), r.join(send)
	if len(sent) != 1 || first == second || second != third {
		t.Fatalf("%d sent; who asks later must not share what was sent before", len(sent))
	}
	r.finish(first, send)
	if len(sent) != 2 || sent[1] != second {
		t.Fatalf("%d sent", len(sent))
	}
	r.finish(second, send)
	if r.current != nil || r.next != nil || len(sent) != 2 {
		t.Error("not idle")
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader := w.leader()
	for _, c := range w.all() {
		w.until("everybody to be alive at "+c.id, func() bool {
			s, err := c.Status(context.Background())
			if err != nil || s.Node != c.id || len(s.Nodes) != 3 || s.ClusterID == "" || s.Level != 1 {
				return false
			}
			for _, n := range s.Nodes {
				if !n.Alive || !n.Voter || n.Address == "" {
					return false
				}
			}
			return s.Leader == leader.id
		})
	}
	dead := w.follower()
	w.kill(dead)
	for _, c := range w.all() {
		w.until("the dead to be dead at "+c.id, func() bool {
			s, _ := c.Status(context.Background())
			for _, n := range s.Nodes {
				if n.Alive == (n.ID == dead.id) {
					return false
				}
			}
			return true
		})
	}
	if got := leader.Capabilities(); !got.Fair || !got.Fencing || !got.Linearizable || got.Backend == "" {
		t.Errorf("%+v", got)
	}
}

func TestTransferMovesTheLeadership(t *testing.T) {
	w := newWorld(t, 3, nil)
	old := w.leader()
	p := w.open(old, time.Minute)
	changes := old.LeaderChanges()
	ctx, cancel := w.context()
	defer cancel()
	w.until("a transfer", func() bool { return old.Transfer(ctx) == nil && old.leadership.current().reign == nil })
	<-changes
	w.until("the old leader to know the new", func() bool { id, address := old.Leader(); return id != "" && address != "" && id != old.id })
	if r := w.do(old, p.acquire("n", 0)); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
	if err := old.Transfer(ctx); err != nil {
		t.Errorf("from who does not lead: %v", err)
	}
}

func TestReadyNeedsALeader(t *testing.T) {
	w := newWorld(t, 3, nil)
	alone := w.follower()
	for _, c := range w.all() {
		if c != alone {
			w.kill(c)
		}
	}
	w.until("the leader to be missed", func() bool { return errors.Is(alone.Ready(), errNoLeader) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := alone.WaitReady(ctx); !errors.Is(err, errNoLeader) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestCloseAnswersWhoWaits(t *testing.T) {
	w := newWorld(t, 3, nil)
	alone := w.follower()
	p := w.open(w.leader(), time.Minute)
	events := p.attach(alone, context.Background(), 1)
	for _, c := range w.all() {
		if c != alone {
			w.kill(c)
		}
	}
	w.until("the leader to be missed", func() bool { id, _ := alone.Leader(); return id == "" })
	a := w.submit(alone, p.acquire("n", 0))
	w.kill(alone)
	if got := a.answer(); !errors.Is(got.err, lockapi.ErrUnavailable) || !errors.Is(got.err, lockapi.ErrClosed) || errors.Is(got.err, lockapi.ErrUnknown) {
		t.Errorf("%+v; nobody led when it was asked", got)
	}
	w.closed(events)
	if len(a.answers()) != 1 {
		t.Error("answered twice")
	}
}

// A restarted node has what it had, from its snapshot and its log.
func TestRestartFromSnapshot(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.SnapshotBytes = 4 << 10; c.TrailingLogs = 1 })
	c := w.leader()
	p := w.open(c, time.Minute)
	var last fsm.Result
	w.until("a snapshot", func() bool {
		last = w.do(c, p.acquire(fmt.Sprintf("n/%d", p.seq), 0))
		list, err := c.storage.snaps.List()
		return err == nil && len(list) > 0
	})
	held := int(p.seq)
	w.kill(c)
	w.restart(c)
	w.ready(c)
	ctx, cancel := w.context()
	defer cancel()
	v, err := c.Inspect(ctx, lockapi.Query{Prefix: "n/", Limit: 1000})
	if err != nil || len(v.Locks) != min(held, 1000) {
		t.Errorf("%d locks, %v; want %d", len(v.Locks), err, held)
	}
	if next := w.do(c, p.acquire("more", 0)); next.Token <= last.Token {
		t.Errorf("token %d after %d", next.Token, last.Token)
	}
}

// What is malformed by itself goes nowhere.
func TestMalformedCommandIsAnsweredHere(t *testing.T) {
	w := newWorld(t, 1, nil)
	c := w.leader()
	before := c.machine.known().applied
	r := w.do(c, fsm.Command{Op: fsm.OpExtend, Session: 1, Incarnation: 1, Seq: 1})
	if r.Status != fsm.StatusInvalid || r.Limit != fsm.LimitMaxHold || r.Index != 0 {
		t.Errorf("%+v", r)
	}
	if got := w.submit(c, fsm.Command{}).answer(); got.err != nil || got.result.Status != fsm.StatusLevel {
		t.Errorf("%+v", got)
	}
	if now := c.machine.known().applied; now != before {
		t.Errorf("%d entries for nothing", now-before)
	}
	forged := fsm.Command{Op: fsm.OpMember, Nonce: randomNonce(), Member: fsm.Member{ID: "x", Address: "x:1"}}
	if got := w.submit(c, forged).answer(); !errors.Is(got.err, lockapi.ErrInvalid) {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if _, err := c.Do(ctx, forged); !errors.Is(err, lockapi.ErrInvalid) {
		t.Error(err)
	}
	cancel()
	if _, err := c.Do(ctx, *release(1, 1)); !errors.Is(err, lockapi.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOpenReportsWhatIsWrong(t *testing.T) {
	if _, err := Open(Config{}); err == nil {
		t.Error("opened without an id")
	}
	dir := t.TempDir()
	if _, err := Open(Config{ID: "a", DataDir: dir, Listen: "192.0.2.1:1", ClusterKey: make([]byte, 16)}); err == nil {
		t.Error("opened on an address that is not here")
	}
	n, err := Open(Config{ID: "a", DataDir: dir, Listen: "127.0.0.1:0", BootstrapExpect: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.WaitReady(ctx); err != nil {
		t.Error(err)
	}
	if _, err := Open(Config{ID: "a", DataDir: dir, Listen: "127.0.0.1:0", BootstrapExpect: 1}); err == nil {
		t.Error("two nodes in one directory")
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err := n.Err(); err != nil {
		t.Errorf("closed in order: %v", err)
	}
	if err := n.WaitReady(ctx); !errors.Is(err, lockapi.ErrClosed) {
		t.Error(err)
	}
	if _, err := n.Do(ctx, *release(1, 1)); !errors.Is(err, lockapi.ErrClosed) {
		t.Error(err)
	}
}

// A first start that fails since the port above is taken decides nothing: the
// directory is not a node's, and another may have it.
func TestFailedStartDecidesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	beneath, _ := portBeneath(taken.Addr().String())
	dir := filepath.Join(t.TempDir(), "data")
	if n, err := Open(Config{ID: "a", DataDir: dir, Listen: beneath, BootstrapExpect: 1}); err == nil {
		n.Close()
		t.Fatal("started")
	}
	if list, err := os.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v, %v", list, err)
	}
	n, err := Open(Config{ID: "b", DataDir: dir, Listen: "127.0.0.1:0", BootstrapExpect: 1, NoGossip: true})
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
}
