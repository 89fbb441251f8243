//go:build system

package systemtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A disk without room for a snapshot: the node goes on, what failed takes no room, and
// the next snapshot is taken once there is some.
func TestSnapshotOnAFullDisk(t *testing.T) {
	disk := t.TempDir()
	must(t, "mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", disk)
	t.Cleanup(func() { must(t, "umount", disk) })
	port, data := freePorts(t, 1)[0], filepath.Join(disk, "data")
	n := start(t, exec.Command(binary, lonely(data, port, "--snapshot-interval", "200ms", "--log-level", "info")...))
	eventually(t, "it is ready", func() bool { return strings.Contains(n.out.String(), "ready ") })
	ballast(t, disk, 48<<10)

	client, err := lockapi.Open(t.Context(), fmt.Sprintf("lockd://127.0.0.1:%d", port), lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	for i := range 8 { // 32 KiB of names each, all of which a snapshot has
		var names []fsm.Want
		for j := range fsm.WantsMax {
			names = append(names, lockapi.Exclusive(fmt.Sprint(i, "/", j, strings.Repeat(".", fsm.NameSizeMax-4))))
		}
		if _, err := client.All(names...).Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(tail(n.log.String(), 30))
		}
	})
	eventually(t, "a snapshot fails", func() bool { return strings.Contains(n.log.String(), "failed to take snapshot") })
	eventually(t, "nothing is left of it", func() bool { // but for a moment, whenever it is tried again
		left, err := os.ReadDir(filepath.Join(data, "snapshots"))
		return err == nil && len(left) == 0
	})
	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a snapshot is taken", func() bool {
		taken, _ := filepath.Glob(filepath.Join(data, "snapshots", "*[0-9]"))
		return len(taken) > 0
	})
	if !n.running() {
		t.Fatalf("it has ended:\n%s", tail(n.log.String(), 5))
	}
}

// ballast fills a disk but for so many bytes.
func ballast(t *testing.T, disk string, left int64) {
	t.Helper()
	var free unix.Statfs_t
	if err := unix.Statfs(disk, &free); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := unix.Fallocate(int(file.Fd()), 0, 0, int64(free.Bavail)*free.Bsize-left); err != nil {
		t.Fatal(err)
	}
}
