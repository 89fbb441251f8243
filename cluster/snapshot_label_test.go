package cluster

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
)

// Whatever bit flips beside a snapshot, no member gets another address and nobody
// another index: it is what it was, or it is not read.
func TestNobodyBelievesADamagedMeta(t *testing.T) {
	dir := t.TempDir()
	logger := newHCLogger(slog.New(slog.DiscardHandler))
	var running atomic.Bool
	snaps, err := openSnapshots(dir, saved{}, logger, &guard{}, &running)
	if err != nil {
		t.Fatal(err)
	}
	members := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "10.0.0.1:7600"}, {ID: "n2", Address: "10.0.0.2:7600"}}}
	_, trans := raft.NewInmemTransport("")
	sink, err := snaps.Create(1, 90, 7, members, 4, trans)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.(labelled).writeLabel(); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := snaps.List()
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	want := list[0]
	path := filepath.Join(dir, snapshotDir, want.ID, "meta.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for bit := range len(good) * 8 {
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := snaps.List()
		if err != nil || len(list) == 0 {
			refused++
			continue
		}
		meta, content, err := snaps.Open(list[0].ID)
		if err != nil {
			refused++
			continue
		}
		content.Close()
		for _, got := range []*raft.SnapshotMeta{list[0], meta} {
			got.Peers = want.Peers // of a version that there is no more
			if !reflect.DeepEqual(got, want) {
				t.Errorf("bit %d: %s is believed: %+v", bit, bad, got)
			}
		}
	}
	if refused < len(good) {
		t.Errorf("only %d of %d flipped bits were noticed", refused, len(good)*8)
	}
}

// A slow reader finds the snapshot that it listed removed for newer ones.
func TestANodeGoesOnWithoutASnapshotThatIsGone(t *testing.T) {
	s := mustStorage(t, t.TempDir())
	takeSnapshotOf(t, s, 5, 1)
	list, err := s.snaps.List()
	if err != nil {
		t.Fatal(err)
	}
	takeSnapshotOf(t, s, 6, 1)
	takeSnapshotOf(t, s, 7, 1)
	s.running.Store(true)
	if _, _, err := s.snaps.Open(list[0].ID); !errors.Is(err, fs.ErrNotExist) || s.guard.err() != nil {
		t.Fatal(err, s.guard.err())
	}
}

// A node that runs and cannot read its snapshot any more stops: whoever needs it
// would wait for ever.
func TestANodeStopsAtADamagedSnapshot(t *testing.T) {
	s := mustStorage(t, t.TempDir())
	takeSnapshotOf(t, s, 5, 1)
	list, err := s.snaps.List()
	if err != nil {
		t.Fatal(err)
	}
	_, content, err := s.snaps.Open(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(content)
	if err != nil || len(whole) != int(list[0].Size) {
		t.Fatalf("%d bytes, want %d: %v", len(whole), list[0].Size, err)
	}
	content.Close()
	damageFile(t, filepath.Join(s.snaps.(privateSnapshots).path, list[0].ID, contentFile), 0)
	if _, _, err := s.snaps.Open(list[0].ID); err == nil || s.guard.err() != nil {
		t.Fatal("before it runs it may go on from another:", err, s.guard.err())
	}
	s.running.Store(true)
	if _, _, err := s.snaps.Open(list[0].ID); !errors.Is(err, ErrStorage) || s.guard.err() == nil {
		t.Fatal(err, s.guard.err())
	}
}
