package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSize = 4096 // of segments: a dozen entries

var testMark = Mark{1, 2, 3}

func testDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	if err := create(dir, testMark, testSize, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustOpen(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := open(dir, testMark, testSize, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// testEntries are entries first to last of that term, which look like no others.
func testEntries(first, last, term uint64) (entries []*raft.Log) {
	for i := first; i <= last; i++ {
		data := bytes.Repeat([]byte(fmt.Sprintf("entry %d of term %d,", i, term)), int(1+i%7))
		entries = append(entries, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: data})
	}
	return entries
}

func mustStore(t testing.TB, l *Log, entries ...*raft.Log) {
	t.Helper()
	if err := l.StoreLogs(entries); err != nil {
		t.Fatal(err)
	}
}

// content is all that the log has.
func content(l *Log) (entries []raft.Log, err error) {
	first, err := l.FirstIndex()
	if err != nil {
		return nil, err
	}
	last, err := l.LastIndex()
	if err != nil || first == 0 {
		return nil, err
	}
	for i := first; i <= last; i++ {
		var entry raft.Log
		if err := l.GetLog(i, &entry); err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func same(a []raft.Log, b []*raft.Log) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sameEntry(&a[i], b[i]) {
			return false
		}
	}
	return true
}

func sameEntry(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && bytes.Equal(a.Data, b.Data) &&
		bytes.Equal(a.Extensions, b.Extensions) && a.AppendedAt.Equal(b.AppendedAt)
}

func wantContent(t testing.TB, l *Log, want []*raft.Log) {
	t.Helper()
	got, err := content(l)
	if err != nil {
		t.Fatal(err)
	}
	if !same(got, want) {
		t.Fatalf("the log has %d entries (%v), want %d", len(got), got, len(want))
	}
}

func TestLogKeepsEveryField(t *testing.T) {
	dir := testDir(t)
	l := mustOpen(t, dir)
	entries := []*raft.Log{
		{Index: 7, Term: 3, Type: raft.LogConfiguration, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(5, 6)},
		{Index: 8, Term: 4, Type: raft.LogNoop},
		{Index: 9, Term: 4, Extensions: []byte("only")},
		{Index: 10, Term: 5, Data: make([]byte, 3*testSize)}, // more than a segment holds
	}
	mustStore(t, l, entries...)
	wantContent(t, l, entries)
	l.Close()
	l = mustOpen(t, dir)
	wantContent(t, l, entries)
	var entry raft.Log
	for _, index := range []uint64{0, 6, 11} {
		if err := l.GetLog(index, &entry); !errors.Is(err, raft.ErrLogNotFound) {
			t.Fatal(index, err)
		}
	}
	if !l.IsMonotonic() {
		t.Fatal("Raft must not leave indexes out")
	}
}

func TestLogRefuses(t *testing.T) {
	l := mustOpen(t, testDir(t))
	mustStore(t, l, testEntries(5, 7, 1)...)
	for name, entries := range map[string][]*raft.Log{
		"a gap":              testEntries(9, 9, 1),
		"one that it has":    testEntries(7, 7, 1),
		"a gap among them":   append(testEntries(8, 8, 1), testEntries(10, 10, 1)...),
		"a very large one":   {{Index: 8, Data: make([]byte, payloadMax+1)}},
		"very many at once":  hugeEntries(8),
		"one without number": {{Index: 0}},
	} {
		if err := l.StoreLogs(entries); err == nil {
			t.Fatal("took", name)
		}
	}
	if err := l.DeleteRange(6, 6); err == nil {
		t.Fatal("deleted from the middle")
	}
	wantContent(t, l, testEntries(5, 7, 1))
	mustStore(t, l, testEntries(8, 8, 1)...)
	l.Close()
	if err := l.StoreLogs(testEntries(9, 9, 1)); !errors.Is(err, errClosed) {
		t.Fatal(err)
	}
	if err := l.GetLog(8, new(raft.Log)); !errors.Is(err, errClosed) {
		t.Fatal(err)
	}
	if err := l.DeleteRange(5, 8); !errors.Is(err, errClosed) {
		t.Fatal(err)
	}
}

func hugeEntries(first uint64) (entries []*raft.Log) {
	data := make([]byte, payloadMax)
	for i := range uint64(writeMax/payloadMax + 1) {
		entries = append(entries, &raft.Log{Index: first + i, Data: data})
	}
	return entries
}

func TestLogOfAnother(t *testing.T) {
	dir := testDir(t)
	if _, err := open(dir, Mark{9}, testSize, nil); err == nil || errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "nothing"), testMark); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := Create(dir, testMark); err == nil {
		t.Fatal("created over another")
	}
	mustOpen(t, dir)
}

// Segments that nothing is in any more are unlinked.
func TestLogGivesSpaceBack(t *testing.T) {
	dir := testDir(t)
	l := mustOpen(t, dir)
	for i := uint64(1); i <= 500; i++ {
		mustStore(t, l, testEntries(i, i, 1)...)
	}
	before := len(segmentFiles(t, dir))
	if err := l.DeleteRange(1, 490); err != nil {
		t.Fatal(err)
	}
	after := len(segmentFiles(t, dir))
	if before < 5 || after > 2 {
		t.Fatal(before, after)
	}
	wantContent(t, l, testEntries(491, 500, 1))
	l.Close()
	l = mustOpen(t, dir)
	if first, _ := l.FirstIndex(); first > 491 {
		t.Fatal(first)
	}
	if err := l.DeleteRange(0, 500); err != nil {
		t.Fatal(err)
	}
	wantContent(t, l, nil)
	mustStore(t, l, testEntries(900, 901, 2)...)
	l.Close()
	wantContent(t, mustOpen(t, dir), testEntries(900, 901, 2))
}

func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Any sequence of what Raft does, with any number of restarts, leaves what was
// stored.
func TestLogProperties(t *testing.T) {
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(root, fmt.Sprint(n))
		if err := create(dir, testMark, testSize, nil); err != nil {
			t.Fatal(err)
		}
		l, err := open(dir, testMark, testSize, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { l.Close(); os.RemoveAll(dir) }()
		var entries, tail []*raft.Log // tail: deleted at the end, not replaced
		term, next := uint64(1), uint64(1)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				count := rapid.Uint64Range(1, 9).Draw(t, "count")
				if len(entries) == 0 {
					next += rapid.Uint64Range(0, 3).Draw(t, "gap")
				}
				added := testEntries(next, next+count-1, term)
				if err := l.StoreLogs(added); err != nil {
					t.Fatal(err)
				}
				entries, tail = append(entries, added...), nil
				next += count
			},
			"delete the beginning": func(t *rapid.T) {
				if len(entries) == 0 {
					return
				}
				count := rapid.IntRange(1, len(entries)).Draw(t, "count")
				if err := l.DeleteRange(entries[0].Index, entries[count-1].Index); err != nil {
					t.Fatal(err)
				}
				if count == len(entries) {
					tail = append(append([]*raft.Log{}, entries...), tail...)
				}
				entries = append([]*raft.Log{}, entries[count:]...)
			},
			"delete the end": func(t *rapid.T) {
				if len(entries) == 0 {
					return
				}
				keep := rapid.IntRange(0, len(entries)-1).Draw(t, "keep")
				if err := l.DeleteRange(entries[keep].Index, entries[len(entries)-1].Index); err != nil {
					t.Fatal(err)
				}
				tail = append(append([]*raft.Log{}, entries[keep:]...), tail...)
				next = entries[keep].Index
				entries = append([]*raft.Log{}, entries[:keep]...)
				term++
			},
			"open again": func(t *rapid.T) {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if l, err = open(dir, testMark, testSize, nil); err != nil {
					t.Fatal(err)
				}
				got, err := content(l)
				if err != nil {
					t.Fatal(err)
				}
				want := append(append([]*raft.Log{}, entries...), tail...)
				if len(entries) == 0 && len(got) < len(want) {
					want = want[len(want)-len(got):] // the segments of the rest may be gone
				}
				if len(got) < len(want) || !same(got[len(got)-len(want):], want) {
					t.Fatalf("the log ends with %v, want %v", got, want)
				}
				entries, tail = nil, nil // with what was deleted and is there again
				for i := range got {
					entries = append(entries, &got[i])
				}
				if len(got) > 0 {
					next = got[len(got)-1].Index + 1
				}
				term++
			},
			"": func(t *rapid.T) {
				got, err := content(l)
				if err != nil {
					t.Fatal(err)
				}
				if !same(got, entries) {
					t.Fatalf("the log has %v, want %v", got, entries)
				}
			},
		})
	})
}
