//go:build unix

package cluster

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"
)

// limited sets one of this process's limits until the test is over.
func limited(t *testing.T, which int, to uint64) (lift func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(which, &before); err != nil {
		t.Fatal(err)
	}
	low := before
	low.Cur = to
	if err := unix.Setrlimit(which, &low); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		if err := unix.Setrlimit(which, &before); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(lift)
	return lift
}

// aloneEnv is set in a process that runs one test.
const aloneEnv = "LOCKD_TEST_ALONE"

// alone runs a test in a process of its own, since what it limits would hit the
// others too, and go test's own files. It is true in that process.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneEnv) == t.Name() {
		return true
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), aloneEnv+"="+t.Name())
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// A snapshot for which the disk has no room leaves nothing that takes some.
func TestFailedSnapshotLeavesNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := t.TempDir()
	var running atomic.Bool
	snaps, err := openSnapshots(dir, saved{}, newHCLogger(slog.New(slog.DiscardHandler)), &guard{}, &running)
	if err != nil {
		t.Fatal(err)
	}
	_, trans := raft.NewInmemTransport("")
	for name, fail := range map[string]func(raft.SnapshotSink) error{
		"a write":      func(s raft.SnapshotSink) error { _, err := s.Write(make([]byte, 1<<20)); return err },
		"the last one": func(s raft.SnapshotSink) error { _, _ = s.Write(make([]byte, 3000)); return s.Close() },
	} {
		sink, err := snaps.Create(1, 5, 1, raft.Configuration{}, 1, trans)
		if err != nil {
			t.Fatal(err)
		}
		lift := limited(t, unix.RLIMIT_FSIZE, 2000)
		failed := fail(sink)
		lift()
		if failed == nil {
			t.Fatal("the disk takes it")
		}
		_ = sink.Cancel()
		wantNoSnapshots(t, dir, name)
	}
	lift := limited(t, unix.RLIMIT_FSIZE, 0)
	_, err = snaps.Create(1, 5, 1, raft.Configuration{}, 1, trans)
	lift()
	if err == nil {
		t.Fatal("a full disk takes the first bytes")
	}
	wantNoSnapshots(t, dir, "the first bytes")
}

func wantNoSnapshots(t *testing.T, dir, after string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(dir, snapshotDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("after %s that failed, %s is left", after, entry.Name())
	}
	// What was removed and is open takes room as well.
	open, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range open {
		path := filepath.Join("/proc/self/fd", fd.Name())
		if to, _ := os.Readlink(path); strings.Contains(to, dir) {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				t.Errorf("%s is open, and takes %d bytes", to, info.Size())
			}
		}
	}
}
