package raftlog

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// What is whole, in its place, and not what was written next is damage as well: a
// disk or a restored copy may have it there, and every checksum is right.

// A write has the number that follows the one before.
func TestWritesAreNumbered(t *testing.T) {
	w, dir := writeLog(t), filepath.Join(t.TempDir(), "log")
	for _, by := range []uint64{1, ^uint64(0)} { // one more, one less
		data := bytes.Clone(w.files[w.tail])
		seed := seedOf(data[:segmentHeader])
		for at := w.from; at < w.to; {
			h, payload, err := readRecord(data[at:], seed, at)
			if err != nil {
				t.Fatal(err)
			}
			h.write += by
			at += int64(copy(data[at:], appendRecord(nil, seed, at, h, bytes.Clone(payload))))
		}
		w.put(t, dir, w.tail, data)
		if l, err := open(dir, testMark, testSize, nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("a write with the number %+d: %v, %v", int64(by), l, err)
		}
	}
}

// A segment begins with the write that follows the one before it, also while it has
// none.
func TestSegmentsFollowEachOther(t *testing.T) {
	w, dir := writeLog(t), filepath.Join(t.TempDir(), "log")
	w.put(t, dir, "", nil)
	l := mustOpen(t, dir)
	s := l.tail
	l.Close()
	for _, c := range []struct {
		first uint64
		fine  bool
	}{{s.first, true}, {s.first + 1, false}, {s.first - 1, false}} {
		data := make([]byte, s.size)
		copy(data, encodeHeader(testMark, s.number, c.first, s.size))
		w.put(t, dir, w.tail, data)
		l, err := open(dir, testMark, testSize, nil)
		if err == nil {
			l.Close()
		}
		if c.fine && err != nil || !c.fine && !errors.Is(err, ErrDamaged) {
			t.Errorf("it begins with write %d, %d is next: %v", c.first, s.first, err)
		}
	}
}

// What is read is the entry that was asked for, whatever is thought to be where.
func TestEntryIsTheOneAskedFor(t *testing.T) {
	l := mustOpen(t, testDir(t))
	mustStore(t, l, testEntries(1, 7, 1)...)
	mustStore(t, l, testEntries(8, 8, 1)...)
	l.places[0], l.places[7] = l.places[7], l.places[0] // of the same size
	if err := l.GetLog(1, new(raft.Log)); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	if err := l.GetLog(2, new(raft.Log)); err != nil {
		t.Fatal(err)
	}
}

// A record whose extensions are longer than its payload is none: nobody could take
// the two apart.
func TestExtensionsArePartOfThePayload(t *testing.T) {
	for extensions, fine := range map[uint32]bool{0: true, 7: true, 8: false, 1 << 31: false} {
		h := head{index: 1, term: 1, write: 1, kind: kindEntry, flags: flagLast, extensions: extensions}
		_, _, err := readRecord(appendRecord(nil, 1, segmentHeader, h, []byte("payload")), 1, segmentHeader)
		if (err == nil) != fine {
			t.Errorf("%d of 7 bytes: %v", extensions, err)
		}
	}
}
