//go:build linux

package rig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	logOfA = `--- life 2026-12-01T14:00:00Z
time=2026-12-01T14:00:01.000Z level=INFO msg="snapshot restored" node=a index=4
time=2026-12-01T14:00:01.000Z level=INFO msg=started node=a
time=2026-12-01T14:00:02.000Z level=INFO msg=leading node=a term=2 index=3
--- ready 2026-12-01T14:00:02.5Z
ready node=a listen=1
time=2026-12-01T14:00:09.000Z level=INFO msg="leading no more" node=a term=2 uncounted=0s why="it was stopped"
time=2026-12-01T14:00:10.000Z level=INFO msg="snapshot restored" node=a index=9
time=2026-12-01T14:00:11.000Z level=INFO msg=leading node=a term=5 index=30
--- over 2026-12-01T14:00:12Z
--- life 2026-12-01T14:00:13Z
`
	logOfB = `--- life 2026-12-01T14:00:00Z
time=2026-12-01T14:00:01.000Z level=INFO msg=started node=b
--- ready 2026-12-01T14:00:03Z
ready node=b listen=2
time=2026-12-01T14:00:05.000Z level=INFO msg=leading node=b term=3 index=12
time=2026-12-01T14:00:08.000Z level=INFO msg="leading no more" node=b term=3 uncounted=0s why="node is not the leader"
`
)

// Who led in which term, and when, is in the logs: until it gave up, ended, or was
// followed, whichever was first.
func TestToldByLogs(t *testing.T) {
	r := new(Rig)
	for _, n := range []struct{ id, text string }{{"a", logOfA}, {"b", logOfB}} {
		name := filepath.Join(t.TempDir(), n.id)
		if err := os.WriteFile(name, []byte(n.text), 0o600); err != nil {
			t.Fatal(err)
		}
		log, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		r.Nodes = append(r.Nodes, &Node{ID: n.id, log: log})
	}
	told, err := r.Told()
	if err != nil {
		t.Fatal(err)
	}
	at := func(seconds float64) time.Time {
		return time.Date(2026, 12, 1, 14, 0, 0, int(seconds*1e9), time.UTC)
	}
	never := time.Time{}
	for i, want := range []Reign{
		{"a", 2, at(2), at(5)}, // it was stopped, and heard of its successor when it went on
		{"b", 3, at(5), at(8)},
		{"a", 5, at(11), at(12)}, // it was killed
	} {
		if i >= len(told.Reigns) || told.Reigns[i] != want {
			t.Errorf("reigns %v, want %v at %d", told.Reigns, want, i)
		}
	}
	for i, want := range []Life{
		{"a", at(0), at(2.5), at(12)}, {"a", at(13), never, never}, {"b", at(0), at(3), never},
	} {
		if i >= len(told.Lives) || told.Lives[i] != want {
			t.Errorf("lives %v, want %v at %d", told.Lives, want, i)
		}
	}
	if len(told.Reigns) != 3 || len(told.Lives) != 3 || told.Installed != 1 {
		t.Errorf("%d reigns, %d lives, %d snapshots installed", len(told.Reigns), len(told.Lives), told.Installed)
	}
}

// A log that cannot be is no log of a node's.
func TestToldByOtherLogs(t *testing.T) {
	for _, text := range []string{
		"--- over 2026-12-01T14:00:12Z\n",
		"--- life yesterday\n",
		"--- life 2026-12-01T14:00:00Z\ntime=never level=INFO msg=leading node=a term=2\n",
		"--- life 2026-12-01T14:00:00Z\ntime=2026-12-01T14:00:00Z level=INFO msg=leading node=a term=x\n",
	} {
		if err := new(Told).read("a", strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
