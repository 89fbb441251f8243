package raftlog

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// One entry of a few commands at a time, on the disk that TMPDIR is on.
func BenchmarkAppend(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "log")
	if err := Create(dir, testMark); err != nil {
		b.Fatal(err)
	}
	l, err := Open(dir, testMark)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	data := make([]byte, 256)
	b.ReportAllocs()
	var index uint64
	for b.Loop() {
		index++
		if err := l.StoreLog(&raft.Log{Index: index, Term: 1, Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}
