//go:build unix

package raftlog

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// exhaust opens whatever this process may still open, and returns what closes it.
func exhaust(t *testing.T) (release func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	release = func() {
		for _, file := range held {
			file.Close()
		}
		held = nil
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(release)
	few := before
	few.Cur = 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	for {
		file, err := os.Open(os.DevNull)
		if OutOfDescriptors(err) {
			return release
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, file)
	}
}

// The next segment is there before it is needed: a log whose tail is half full goes
// on in the next while there are no descriptors at all. What it cannot do then it has
// not begun, and does later.
func TestLogGoesOnWithoutDescriptors(t *testing.T) {
	dir := testDir(t)
	l := mustOpen(t, dir)
	next := uint64(1)
	store := func() error {
		err := l.StoreLogs(testEntries(next, next, 1))
		if err == nil {
			next++
		}
		return err
	}
	until := func(met func() bool) {
		for !met() {
			if err := store(); err != nil {
				t.Fatalf("entry %d: %v", next, err)
			}
		}
	}
	until(func() bool { return l.offset > testSize/2 })
	release := exhaust(t)
	until(func() bool { return l.tail.number == 2 })
	var err error
	for l.tail.number == 2 && err == nil {
		err = store()
	}
	if !OutOfDescriptors(err) {
		t.Fatalf("in segment %d: %v", l.tail.number, err)
	}
	wantContent(t, l, testEntries(1, next-1, 1)) // of both, and the first is still open
	release()
	until(func() bool { return l.tail.number == 4 })
	l.Close()
	wantContent(t, mustOpen(t, dir), testEntries(1, next-1, 1))
}

// However long a log is, few of its files are open.
func TestLogTakesFewDescriptors(t *testing.T) {
	dir := testDir(t)
	l := mustOpen(t, dir)
	for l.tail.number < 100 {
		last, _ := l.LastIndex()
		mustStore(t, l, testEntries(last+1, last+1, 1)...)
	}
	last, _ := l.LastIndex()
	for _, read := range []bool{true, false} {
		if read {
			wantContent(t, l, testEntries(1, last, 1))
		}
		open := 0
		for _, s := range l.segments {
			if s.file != nil {
				open++
			}
		}
		if open > 2 {
			t.Errorf("%d of %d segments are open", open, len(l.segments))
		}
		l.Close()
		if left, _ := filepath.Glob(filepath.Join(dir, "*"+temporary)); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
		l = mustOpen(t, dir)
	}
}
