//go:build linux

package rig

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A node with a disk that it cannot use refuses it, in its own time: until then it
// runs and says nothing.
func TestSettle(t *testing.T) {
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n := &Node{ID: "n1", log: log}
	defer n.kill()
	for _, life := range []struct {
		script string
		runs   bool
	}{
		{"sleep 0.3; echo 'time=1 level=INFO msg=started node=n1' >&2; exec sleep 60", true},
		{"sleep 0.3; exit 1", false}, // that the life before had started is nothing to this one
	} {
		n.kill()
		n.args = []string{"sh", "-c", life.script}
		if err := n.boot(); err != nil {
			t.Fatal(err)
		}
		n.settle(time.Minute)
		if n.Running() != life.runs || n.opened() != life.runs {
			t.Errorf("%s: runs %t, has started %t", life.script, n.Running(), n.opened())
		}
	}
	told := Told{}
	text, err := os.Open(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	if err := told.read("n1", text); err != nil || len(told.Lives) != 2 || told.Lives[0].Over.IsZero() || told.Lives[1].Over.IsZero() {
		t.Errorf("%+v %v", told, err)
	}
}

// What a node says on its standard output has no time: the rig marks it.
func TestReadyIsMarked(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n := &Node{ID: "n1", log: log, args: []string{"echo", "ready node=n1 listen=1"}}
	if err := n.boot(); err != nil {
		t.Fatal(err)
	}
	<-n.done
	told := Told{}
	text, err := os.Open(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	if err := told.read("n1", text); err != nil || len(told.Lives) != 1 || told.Lives[0].Ready.IsZero() {
		t.Errorf("%+v %v", told, err)
	}
}
