package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// A written log: its files, and what was acknowledged before and with its last
// write.
type written struct {
	files  map[string][]byte
	before []*raft.Log
	after  []*raft.Log
	tail   string // the file of the last write
	from   int64  // where in it that write is
	to     int64
}

// writeLog makes a log of several segments whose last write is of three entries.
func writeLog(t testing.TB) written {
	t.Helper()
	dir := testDir(t)
	l := mustOpen(t, dir)
	for i := uint64(1); i <= 60; i += 2 {
		mustStore(t, l, testEntries(i, i+1, 1)...)
	}
	if err := l.DeleteRange(58, 60); err != nil {
		t.Fatal(err)
	}
	mustStore(t, l, testEntries(58, 58, 2)...)
	w := written{files: map[string][]byte{}}
	w.before = append(testEntries(1, 57, 1), testEntries(58, 58, 2)...)
	w.before = append(w.before, testEntries(59, 59, 2)...)
	w.after = append(append([]*raft.Log{}, w.before...), testEntries(60, 62, 2)...)
	mustStore(t, l, testEntries(59, 59, 2)...)
	w.from, w.tail = l.offset, segmentName(l.tail.number)
	mustStore(t, l, testEntries(60, 62, 2)...)
	w.to = l.offset
	if w.tail != segmentName(l.tail.number) || l.tail.number < 3 {
		t.Fatal("the last write must not begin a segment, and there must be three")
	}
	l.Close()
	for _, path := range segmentFiles(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		w.files[filepath.Base(path)] = data
	}
	return w
}

// put makes the files a directory, with one of them replaced; nil removes it.
func (w written) put(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, content := range w.files {
		if file == name {
			content = data
		}
		if content == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// wantEither opens the log, which must be as before its last write or after it,
// and go on from there.
func (w written) wantEither(t testing.TB, dir, what string) {
	t.Helper()
	l, err := open(dir, testMark, testSize, nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer l.Close()
	got, err := content(l)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	want := w.before
	if len(got) > len(want) {
		want = w.after
	}
	if !same(got, want) {
		t.Fatalf("%s: %d entries, want %d or %d", what, len(got), len(w.before), len(w.after))
	}
	more := testEntries(uint64(len(want))+1, uint64(len(want))+1, 3)
	mustStore(t, l, more...)
	l.Close()
	again, err := open(dir, testMark, testSize, nil)
	if err != nil {
		t.Fatalf("%s, and one more entry: %v", what, err)
	}
	defer again.Close()
	wantContent(t, again, append(append([]*raft.Log{}, want...), more...))
}

// A process that dies in a write leaves a beginning of it.
func TestTornWriteIsDropped(t *testing.T) {
	w, dir := writeLog(t), filepath.Join(t.TempDir(), "log")
	for cut := w.from; cut <= w.to; cut += 3 {
		data := bytes.Clone(w.files[w.tail])
		clear(data[cut:w.to])
		w.put(t, dir, w.tail, data)
		w.wantEither(t, dir, fmt.Sprintf("cut at %d of %d to %d", cut, w.from, w.to))
	}
}

// A power cut in a write leaves any of its sectors: here of 32 bytes, so that
// there are many.
func TestTornSectorsAreDropped(t *testing.T) {
	const sector = 32
	w, dir := writeLog(t), filepath.Join(t.TempDir(), "log")
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 120 {
		data := bytes.Clone(w.files[w.tail])
		for at := w.from / sector * sector; at < w.to; at += sector {
			if rng.IntN(2) == 0 {
				clear(data[max(at, w.from):min(at+sector, w.to)])
			}
		}
		w.put(t, dir, w.tail, data)
		w.wantEither(t, dir, fmt.Sprintf("pattern %d", n))
	}
}

// What a torn write left must not be found again where the log ends later.
func TestTornWriteLeavesNothing(t *testing.T) {
	dir := testDir(t)
	l := mustOpen(t, dir)
	mustStore(t, l, testEntries(1, 3, 1)...)
	from := l.offset
	mustStore(t, l, testEntries(4, 6, 1)...)
	tear := l.tail.file
	if _, err := tear.WriteAt(make([]byte, recordHeader), from); err != nil { // of entry 4; 5 and 6 are whole
		t.Fatal(err)
	}
	l.Close()
	l = mustOpen(t, dir)
	wantContent(t, l, testEntries(1, 3, 1))
	mustStore(t, l, testEntries(4, 4, 1)...) // as long as the torn one
	l.Close()
	wantContent(t, mustOpen(t, dir), testEntries(1, 4, 1))
}

// Whatever byte is damaged: the log is refused, or it has all that was
// acknowledged before the write that the byte is in, and that is the last.
func TestDamageIsNoShorterLog(t *testing.T) {
	w, dir := writeLog(t), filepath.Join(t.TempDir(), "log")
	rng := rand.New(rand.NewPCG(3, 4))
	refused := 0
	for name, content := range w.files {
		end := extent(content)
		for at := range end {
			if at%3 != 0 && (name != w.tail || at < w.from) {
				continue
			}
			data := bytes.Clone(content)
			data[at] ^= 1 << rng.IntN(8)
			w.put(t, dir, name, data)
			l, err := open(dir, testMark, testSize, nil)
			if err != nil {
				refused++
				continue
			}
			l.Close()
			if name != w.tail || at < w.from {
				t.Fatalf("%s at %d (the last write is in %s at %d): a flipped bit went unseen", name, at, w.tail, w.from)
			}
			w.put(t, dir, name, data)
			w.wantEither(t, dir, fmt.Sprintf("a bit flipped at %d of %s", at, name))
		}
	}
	if refused == 0 {
		t.Fatal("nothing was refused")
	}
}

func TestDamageOfFiles(t *testing.T) {
	w, dir := writeLog(t), filepath.Join(t.TempDir(), "log")
	first := segmentName(1)
	for name, content := range w.files {
		for what, data := range map[string][]byte{
			"lost": nil, "empty": {}, "cut in half": content[:len(content)/2], "zeros": make([]byte, len(content)),
			"another segment": w.files[segmentName(2)],
		} {
			if bytes.Equal(data, content) || name == first && data == nil {
				continue
			}
			w.put(t, dir, name, data)
			// A lost segment in the middle looks like a beginning that was deleted:
			// there the log must at least not seem to be longer at its beginning.
			before := readAll(t, dir)
			l, err := open(dir, testMark, testSize, nil)
			if !maps.EqualFunc(before, readAll(t, dir), bytes.Equal) {
				t.Fatalf("%s %s: changed", name, what)
			}
			if err == nil {
				begin, _ := l.FirstIndex()
				l.Close()
				if name == w.tail || data != nil || begin == 1 {
					t.Fatalf("%s %s: went unseen", name, what)
				}
				continue
			}
			if data != nil && !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s %s: %v", name, what, err)
			}
		}
	}
	w.put(t, dir, "", nil)
	for _, path := range segmentFiles(t, dir) {
		os.Remove(path)
	}
	if _, err := open(dir, testMark, testSize, nil); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

func readAll(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, path := range segmentFiles(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = data
	}
	return files
}

// Segments that a power cut brought back are in nobody's way, and go with the
// next that are deleted.
func TestSegmentsThatCameBack(t *testing.T) {
	dir := testDir(t)
	l := mustOpen(t, dir)
	for i := uint64(1); i <= 200; i++ {
		mustStore(t, l, testEntries(i, i, 1)...)
	}
	first := segmentFiles(t, dir)[0]
	data, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.DeleteRange(1, 150); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.WriteFile(first, data, 0o600); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir)
	if begin, _ := l.FirstIndex(); begin < 50 {
		t.Fatal("begins with", begin)
	}
	if err := l.DeleteRange(0, 190); err != nil {
		t.Fatal(err)
	}
	wantContent(t, l, testEntries(191, 200, 1))
	if _, err := os.Lstat(first); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("it is there still:", err)
	}
}

// Damage under a log that is open is an error of the read.
func TestDamageIsSeenByARead(t *testing.T) {
	dir := testDir(t)
	l := mustOpen(t, dir)
	mustStore(t, l, testEntries(1, 3, 1)...)
	p := l.places[1]
	if _, err := p.segment.file.WriteAt([]byte{0xff}, int64(p.offset)+recordHeader+2); err != nil {
		t.Fatal(err)
	}
	if err := l.GetLog(2, new(raft.Log)); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	if err := l.GetLog(3, new(raft.Log)); err != nil {
		t.Fatal(err)
	}
}

var errCrash = errors.New("crash")

// A crash before any step of an append that makes a segment, and of the
// creation: nothing that was acknowledged is lost, and the log goes on.
func TestCrashAtEveryStepOfRotation(t *testing.T) {
	for steps := 1; ; steps++ {
		dir := testDir(t)
		l := mustOpen(t, dir)
		left := steps
		var entries []*raft.Log
		var failed error
		for i := uint64(1); failed == nil && i < 40; i++ {
			next := testEntries(i, i, 1)
			if i == 12 { // the next rotation is a little later
				l.step = func(string) error {
					if left--; left <= 0 { // nothing comes after it
						return errCrash
					}
					return nil
				}
			}
			if failed = l.StoreLogs(next); failed == nil {
				entries = append(entries, next...)
			}
		}
		if failed == nil {
			if steps < 20 {
				t.Fatal("the steps are gone")
			}
			return
		}
		if !errors.Is(failed, errCrash) {
			t.Fatal(failed)
		}
		l.step = nil
		if err := l.StoreLogs(testEntries(uint64(len(entries))+1, uint64(len(entries))+1, 1)); !errors.Is(err, errCrash) {
			t.Fatal("appended after a write that failed:", err)
		}
		l.Close()
		l = mustOpen(t, dir)
		wantContent(t, l, entries)
		for i := uint64(len(entries)) + 1; i < 60; i++ {
			mustStore(t, l, testEntries(i, i, 1)...)
		}
		l.Close()
		wantContent(t, mustOpen(t, dir), testEntries(1, 59, 1))
	}
}

// A process dies after it has written the end of a segment and before it has
// flushed it; the next one goes on in the new segment, and then the power is cut.
func TestEndOfASegmentIsDurable(t *testing.T) {
	dir := testDir(t)
	l := mustOpen(t, dir)
	mustStore(t, l, testEntries(1, 3, 1)...)
	path := filepath.Join(dir, segmentName(1))
	disk, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spare, err := makeFile(filepath.Join(dir, spareName), testSize, nil)
	if err != nil {
		t.Fatal(err)
	}
	next, err := publishSegment(spare, l.directory, segment{number: 2, first: l.write + 2, size: testSize}, testMark, nil)
	if err != nil {
		t.Fatal(err)
	}
	next.file.Close()
	seal := appendRecord(nil, l.tail.seed, l.offset, head{write: l.write + 1, kind: kindSeal, flags: flagLast})
	if _, err := l.tail.file.WriteAt(seal, l.offset); err != nil {
		t.Fatal(err)
	}
	l.Close()

	l, err = open(dir, testMark, testSize, func(name string) error {
		if name == "flush "+segmentName(1) {
			disk, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mustStore(t, l, testEntries(4, 5, 1)...)
	l.Close()
	if err := os.WriteFile(path, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	wantContent(t, mustOpen(t, dir), testEntries(1, 5, 1))
}

func TestCrashAtEveryStepOfCreation(t *testing.T) {
	for steps := 1; ; steps++ {
		dir, left := filepath.Join(t.TempDir(), "log"), steps
		err := create(dir, testMark, testSize, func(string) error {
			if left--; left == 0 {
				return errCrash
			}
			return nil
		})
		if err == nil {
			if steps < 5 {
				t.Fatal("the steps are gone")
			}
			return
		}
		if _, err := os.Lstat(dir); err == nil {
			t.Fatal("published a part")
		}
		if err := create(dir, testMark, testSize, nil); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, dir)
	}
}

// Raft appends from one goroutine; another would be a bug.
func TestTwoAppendersAreRefused(t *testing.T) {
	l := mustOpen(t, testDir(t))
	inside, leave := make(chan struct{}), make(chan struct{})
	l.step = func(string) error { close(inside); <-leave; return nil }
	done := make(chan error, 1)
	go func() { done <- l.StoreLogs(testEntries(1, 1, 1)) }()
	<-inside
	if err := l.StoreLogs(testEntries(1, 1, 2)); err == nil {
		t.Fatal("two appended at once")
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantContent(t, l, testEntries(1, 1, 1))
}

func FuzzReplay(f *testing.F) {
	w := writeLog(f)
	f.Add(w.files[segmentName(1)])
	f.Add(w.files[w.tail])
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > segmentHeader { // let it come past the header's checksum
			copy(data, encodeHeader(testMark, 1, 1, int64(len(data))))
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readSegment(dir, testMark, 1)
		if err != nil {
			return
		}
		l := &Log{segments: []*segment{s}}
		defer l.Close()
		r := recovery{log: l}
		if _, err := r.replay(s); err != nil {
			return
		}
		if _, err := content(l); err != nil {
			t.Fatal("replayed, and does not read:", err)
		}
	})
}
