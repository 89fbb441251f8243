//go:build unix

package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"
)

// unflushable is a file of that name that takes what is written, and cannot be flushed.
func unflushable(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), name)
}

// What is acknowledged is flushed: where a flush fails, nothing is.
func TestAppendIsFlushed(t *testing.T) {
	l := mustOpen(t, testDir(t))
	mustStore(t, l, testEntries(1, 1, 1)...)
	sound := l.tail.file
	l.tail.file = unflushable(t, sound.Name())
	sound.Close()
	if err := l.StoreLogs(testEntries(2, 2, 1)); !errors.Is(err, syscall.EINVAL) {
		t.Fatal("a write that was not flushed is acknowledged:", err)
	}
	if last, _ := l.LastIndex(); last != 1 {
		t.Error("it is in the log:", last)
	}
}

// A segment is flushed before it has its name, and its name before anything is in it.
func TestSegmentIsFlushed(t *testing.T) {
	const content = "its content"
	for what, spoil := range map[string]func(l *Log){
		content: func(l *Log) {
			l.spare = unflushable(t, filepath.Join(l.dir, spareName))
			if err := os.WriteFile(l.spare.Name(), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"its name": func(l *Log) {
			l.directory.Close()
			l.directory = unflushable(t, l.dir)
		},
	} {
		dir := testDir(t)
		l := mustOpen(t, dir)
		spoil(l)
		var err error
		for i := uint64(1); err == nil && l.tail.number == 1; i++ {
			err = l.StoreLogs(testEntries(i, i, 1))
		}
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s was not flushed, and the log goes on: %v", what, err)
		}
		if named := segmentFiles(t, dir); what == content && len(named) > 1 {
			t.Errorf("%v: it has its name", named)
		}
	}
}

// A record is of one segment and of one place in it: nothing that an old file had
// there, or that came from elsewhere, is taken for it.
func TestRecordIsOfItsPlace(t *testing.T) {
	h := headOf(&raft.Log{Index: 1, Term: 1}, 1)
	data := appendRecord(nil, 7, 640, h, []byte("payload"))
	for what, c := range map[string]struct {
		seed   uint32
		offset int64
		fine   bool
	}{
		"as it was written": {7, 640, true}, "in another segment": {8, 640, false},
		"in another place": {7, 648, false}, "very far away": {7, 640 + 1<<32, false},
	} {
		if _, _, err := readRecord(data, c.seed, c.offset); (err == nil) != c.fine {
			t.Errorf("%s: %v", what, err)
		}
	}
}
