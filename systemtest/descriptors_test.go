//go:build system

package systemtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// Nodes that may have few files open, among hundreds of connections that say nothing:
// they write their logs on into further segments, take snapshots, take clients in, and
// one that is restarted comes back. They have said at the start that this is little.
func TestFewDescriptors(t *testing.T) {
	c := prepareCluster(t, "--snapshot-bytes", fmt.Sprint(24<<20))
	for _, n := range c.nodes {
		n.prefix = []string{"sh", "-c", `ulimit -n 64 && exec "$0" "$@"`}
	}
	c.bootAll()
	for _, n := range c.nodes {
		awaitReady(t, n)
		if n.said("the limit of open files is low") != 1 {
			t.Errorf("%s does not say that it may have few files open", n.id)
		}
		crowd(t, n.listen)
		crowd(t, gossipOf(t, n.listen))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	client, err := lockapi.Open(ctx, "lockd://"+c.endpoints(), lockapi.Options{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(ctx)
	var names []fsm.Want
	for i := range fsm.WantsMax {
		names = append(names, lockapi.Exclusive(fmt.Sprint(i, strings.Repeat(".", fsm.NameSizeMax-2))))
	}
	write := func(what string, met func() bool) {
		t.Helper()
		for !met() {
			g, err := client.All(names...).Acquire(ctx)
			if err == nil {
				err = g.Release(ctx)
			}
			if err != nil {
				t.Fatalf("before %s: %v", what, err)
			}
			for _, n := range c.nodes {
				if !n.running() {
					t.Fatalf("before %s, %s ends:\n%s", what, n.id, tail(n.log.String(), 5))
				}
			}
		}
	}
	// segment tells whether all have come to that segment of their logs.
	segment := func(number int) func() bool {
		return func() bool {
			for _, n := range c.nodes {
				files, _ := filepath.Glob(filepath.Join(n.dataDir(), "log", "*.log"))
				if len(files) == 0 || filepath.Base(files[len(files)-1]) < fmt.Sprintf("%016x.log", number) {
					return false
				}
			}
			return true
		}
	}
	write("the third segment", segment(3))
	again := c.nodes[2]
	again.signal(syscall.SIGTERM)
	if code := again.wait(t); code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(again.log.String(), 5))
	}
	again.boot()
	awaitReady(t, again)
	write("the fifth segment", segment(5))
	if out, err := lockd(ctx, "run", "--endpoints", c.endpoints(), "x", "--", "echo", "in"); err != nil || out != "in\n" {
		t.Errorf("a new client: %q, %v", out, err)
	}
	for _, n := range c.nodes {
		if n.said("near its limit of open files") == 0 || n.said("cannot accept") > 0 {
			t.Errorf("%s was not crowded, or ran out of files:\n%s", n.id, n.log.String())
		}
	}
}

// crowd keeps hundreds of connections to an address that say nothing, each again when
// it is closed, until the test is over.
func crowd(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var crowd sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		crowd.Wait()
	})
	var began sync.WaitGroup
	for range 200 {
		began.Add(1)
		crowd.Go(func() {
			begin := sync.OnceFunc(began.Done)
			defer begin()
			for ctx.Err() == nil {
				if nc, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
					begin()
					stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
					_, _ = io.Copy(io.Discard, nc)
					stop()
					_ = nc.Close()
				}
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
			}
		})
	}
	began.Wait()
}

func awaitReady(t *testing.T, n *node) {
	t.Helper()
	eventually(t, n.id+" is ready", func() bool { return strings.Contains(n.out.String(), "ready node="+n.id) })
}

func gossipOf(t *testing.T, listen string) string {
	t.Helper()
	at, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s:%d", at.IP, at.Port+1)
}
