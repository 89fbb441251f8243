package jepsen_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/lockd-io/lockd/jepsen/workload"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

func load(ways ...lockapi.Backend) *workload.Load {
	return &workload.Load{
		Seed: uint64(time.Now().UnixNano()), Clients: 8, Time: 3 * time.Second,
		TTL: 600 * time.Millisecond, Wait: 100 * time.Millisecond, Patience: 300 * time.Millisecond,
		Names:   workload.Names("mixed", ""),
		Renamed: 500 * time.Millisecond, Ways: ways, Pinned: len(ways),
	}
}

// judge runs a load and wants an order of all that befell its clients.
func judge(t *testing.T, l *workload.Load) history.History {
	t.Helper()
	record := history.NewRecorder()
	if err := l.Run(context.Background(), record); err != nil {
		t.Error(err)
	}
	h := record.History()
	seen := map[string]int{}
	for i := range h {
		seen[fmt.Sprintf("%s %s", h[i].Kind, h[i].Status)]++
	}
	got := verdict.Linearizable(h, time.Minute)
	t.Logf("seed %d: %v; %d operations in %d parts judged; %v", l.Seed, got.Verdict, got.Ops, got.Parts, seen)
	if got.Verdict != verdict.Pass {
		for _, f := range got.Findings {
			t.Error(f)
		}
		keep(t, h, &got)
	}
	if w := verdict.Witnessed(h); w.Verdict != verdict.Pass || w.Ops < len(h)/2 {
		t.Errorf("the witness of %d of %d operations: %v", w.Ops, len(h), w.Findings)
		keep(t, h, &got)
	}
	for _, what := range []string{"acquire ok", "acquire fail", "release ok", "inspect ok"} {
		if seen[what] < 20 {
			t.Errorf("%q: only %d", what, seen[what])
		}
	}
	return h
}

// keep writes a history that has no order, and its picture, where they survive
// the test.
func keep(t *testing.T, h history.History, l *verdict.Linear) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lockd-history-")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := os.Create(filepath.Join(dir, "history.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	if err := history.Save(file, h); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Picture(picture); err != nil {
		t.Fatal(err)
	}
	t.Logf("kept in %s", dir)
}

// freeAddresses are on loopback, with the port above each free as well, for
// gossip, and beneath the ports that the kernel gives to outgoing connections.
func freeAddresses(t *testing.T, n int) (all []string) {
	t.Helper()
	for port := 21000 + 2*rand.IntN(4000); len(all) < n && port < 32000; port += 2 {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if free(address) && free(fmt.Sprintf("127.0.0.1:%d", port+1)) {
			all = append(all, address)
		}
	}
	if len(all) < n {
		t.Fatal("no free ports")
	}
	return all
}

func free(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func TestMemory(t *testing.T) {
	b := mem.New()
	defer b.Close()
	other := b.Another()
	defer other.Close()
	judge(t, load(b, other))
}

// Applications through the client's engine, which believe in what they hold.
func TestEngine(t *testing.T) {
	machine := mem.New()
	defer machine.Close()
	resource := new(workload.Resource)
	e := workload.Engine{
		Resource: resource, Clock: history.MachineClock, Work: 100 * time.Microsecond,
		Seed: 1, Clients: 6, Time: 3 * time.Second, TTL: 600 * time.Millisecond, Name: "resource",
		Open: func(int) (lockapi.Backend, error) { return machine.Another(), nil },
	}
	beliefs, err := e.Run(context.Background())
	if err != nil {
		t.Error(err)
	}
	for _, f := range verdict.Apart(beliefs) {
		t.Error(f)
	}
	tally, err := resource.Tally()
	if err != nil || len(beliefs) < 50 || tally.Taken < len(beliefs) || tally.Lost() > 0 {
		t.Errorf("%d beliefs; %v, %v", len(beliefs), tally, err)
	}
	t.Logf("%d beliefs; %v", len(beliefs), tally)
}

// Three nodes in this process, on loopback.
func TestCluster(t *testing.T) {
	addresses := freeAddresses(t, 3)
	var nodes []lockapi.Backend
	for i, address := range addresses {
		node, err := cluster.Open(cluster.Config{
			ID: fmt.Sprintf("n%d", i+1), DataDir: t.TempDir(), Listen: address, Join: addresses, BootstrapExpect: 3,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { node.Close() })
		nodes = append(nodes, node)
	}
	client, err := lockapi.New(nodes[0], lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	grant, err := client.Mutex("formed").Acquire(ctx) // until there is a cluster
	if err != nil {
		t.Fatal(err)
	}
	_ = grant.Release(ctx)
	_ = client.Close(ctx)
	judge(t, load(nodes...))
}
