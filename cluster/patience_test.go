//go:build unix

package cluster

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"

	"github.com/lockd-io/lockd/cluster/raftlog"
)

// A write for which there are no descriptors is tried again, and nothing is broken.
// When there are none for as long as a write may take, that is the reason given.
func TestGuardWaitsForDescriptors(t *testing.T) {
	var failed atomic.Int32
	g := &guard{patience: time.Hour, fail: func(error) { failed.Add(1) }}
	for _, none := range []error{syscall.EMFILE, syscall.ENFILE} {
		for what, do := range map[string]func(string, func() error) error{"write": g.write, "read": g.read} {
			tries := 0
			err := do(what, func() error {
				if tries++; tries < 4 {
					return &os.PathError{Op: "open", Path: "x", Err: none}
				}
				return nil
			})
			if err != nil || g.err() != nil || failed.Load() != 0 {
				t.Fatalf("%s, %v: %v, %v", what, none, err, g.err())
			}
		}
	}
	g.patience = 4 * descriptorPause
	err := g.write("append", func() error { return syscall.EMFILE })
	if !errors.Is(err, syscall.EMFILE) || !errors.Is(err, ErrStorage) || g.err() == nil || failed.Load() != 1 {
		t.Fatal(err, g.err())
	}
}

// What a node writes of its own waits for descriptors: a promise, a snapshot that it
// takes and one that it reads.
func TestFilesWaitForDescriptors(t *testing.T) {
	dir := t.TempDir()
	var running atomic.Bool
	running.Store(true)
	g := &guard{}
	snaps, err := openSnapshots(dir, saved{}, newHCLogger(slog.New(slog.DiscardHandler)), g, &running)
	if err != nil {
		t.Fatal(err)
	}
	_, trans := raft.NewInmemTransport("")
	id := ""
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"an identity", func() error { return writeDurably(filepath.Join(dir, "x"), []byte("x"), nil) }},
		{"a snapshot", func() error {
			sink, err := snaps.Create(1, 5, 1, raft.Configuration{}, 1, trans)
			if err != nil {
				return err
			}
			id = sink.ID()
			return errors.Join(sink.(labelled).writeLabel(), sink.Close())
		}},
		{"a snapshot that is read", func() error {
			_, content, err := snaps.Open(id)
			if err != nil {
				return err
			}
			return content.Close()
		}},
	} {
		release := exhaust(t)
		time.AfterFunc(3*descriptorPause, release)
		if err := c.do(); err != nil || g.err() != nil {
			t.Errorf("%s: %v, %v", c.what, err, g.err())
		}
		release()
	}
}

// exhaust opens whatever this process may still open, and returns what closes it.
func exhaust(t *testing.T) (release func()) {
	t.Helper()
	lift := limited(t, unix.RLIMIT_NOFILE, 64)
	var held []*os.File
	release = sync.OnceFunc(func() {
		for _, file := range held {
			_ = file.Close()
		}
		lift()
	})
	t.Cleanup(release)
	for {
		file, err := os.Open(os.DevNull)
		if raftlog.OutOfDescriptors(err) {
			return release
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, file)
	}
}
