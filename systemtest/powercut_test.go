//go:build system

package systemtest

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lockd-io/lockd/lockapi"
	_ "github.com/lockd-io/lockd/lockapi/remote"
)

// A diskOf a node is an ext4 image, mounted so that the kernel writes nothing
// by itself for as long as a test lasts: only what is flushed is in the image.
type diskOf struct {
	t                 *testing.T
	image, after, dir string
}

func newDisk(t *testing.T) *diskOf {
	t.Helper()
	at := t.TempDir()
	d := &diskOf{t, filepath.Join(at, "image"), filepath.Join(at, "after"), t.TempDir()}
	must(t, "truncate", "-s", "64M", d.image)
	must(t, "mkfs.ext4", "-q", d.image)
	d.mount(d.image)
	return d
}

func (d *diskOf) mount(image string) {
	d.t.Helper()
	must(d.t, "mount", "-o", "loop,commit=600", image, d.dir)
	d.t.Cleanup(func() { must(d.t, "umount", d.dir) })
}

// cut keeps what is on the disk now; the machine's memory is lost.
func (d *diskOf) cut() { must(d.t, "cp", "--sparse=always", d.image, d.after) }

// Power fails at all three machines at once while clients lock and unlock: every
// token that a client was given is there afterwards, and a hold is still held.
func TestPowerCut(t *testing.T) {
	const names = 16
	c := prepareCluster(t)
	var disks []*diskOf
	for _, n := range c.nodes {
		d := newDisk(t)
		disks = append(disks, d)
		for i, arg := range n.args {
			if arg == "--data-dir" {
				n.args[i+1] = filepath.Join(d.dir, "data")
			}
		}
	}
	c.bootAll()
	c.leader()
	_, held, release := c.holdingRun("held", "60s")

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var last [names]atomic.Uint64 // the last token that was answered
	var given atomic.Int64
	var clients sync.WaitGroup
	for i := range names {
		client := openClient(t, c)
		clients.Go(func() {
			mutex := client.Mutex(fmt.Sprintf("cut%d", i))
			for {
				grant, err := mutex.Acquire(ctx)
				if err != nil {
					return
				}
				last[i].Store(uint64(grant.Token))
				given.Add(1)
				_ = grant.Release(ctx)
			}
		})
	}
	eventually(t, "there were 2,000 grants", func() bool { return given.Load() >= 2000 })
	for _, n := range c.nodes {
		n.signal(syscall.SIGSTOP)
	}
	for _, d := range disks {
		d.cut()
	}
	c.killAll()
	stop()
	clients.Wait()
	for _, d := range disks {
		must(t, "umount", d.dir)
		must(t, "mount", "-o", "loop,commit=600", d.after, d.dir)
	}
	c.bootAll()
	c.leader()
	if now := c.show("held"); len(now.Holders) != 1 || number(t, now.Holders[0].Token) != held {
		t.Errorf("after the cut %+v, before it was held with token %d", now.Holders, held)
	}
	release()
	client := openClient(t, c)
	for i := range names {
		ctx, done := context.WithTimeout(context.Background(), time.Minute)
		grant, err := client.Mutex(fmt.Sprintf("cut%d", i)).Acquire(ctx)
		done()
		if err != nil {
			t.Fatal(err)
		}
		if before := last[i].Load(); uint64(grant.Token) <= before {
			t.Errorf("cut%d: token %d after the cut, a client had %d before", i, grant.Token, before)
		}
	}
	t.Logf("power was cut after %d grants", given.Load())
}

func openClient(t *testing.T, c *cluster) *lockapi.Client {
	t.Helper()
	ctx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	client, err := lockapi.Open(ctx, "lockd://"+c.endpoints(), lockapi.Options{TTL: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, done := context.WithTimeout(context.Background(), time.Second)
		defer done()
		_ = client.Close(ctx)
	})
	return client
}
