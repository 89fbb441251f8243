package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lockd-io/lockd/fsm"
)

// What an operator can do something about says what.
func TestAdvice(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{syscall.ENOSPC, "make room"},
		{syscall.EDQUOT, "make room"},
		{syscall.EROFS, "mounted read-only"},
		{syscall.EACCES, "must own"},
		{fs.ErrPermission, "must own"},
		{syscall.EIO, "copy the directory"},
		{errors.New("else"), ""},
	} {
		wrapped := fmt.Errorf("writing: %w", &os.PathError{Op: "write", Path: "raft.db", Err: c.err})
		got := advised(wrapped)
		if !errors.Is(got, c.err) || !strings.Contains(got.Error(), c.says) || c.says == "" && got != wrapped {
			t.Errorf("%v: %v", c.err, got)
		}
		if again := advised(fmt.Errorf("opening: %w", got)).Error(); again != "opening: "+got.Error() {
			t.Errorf("advised twice: %s", again)
		}
	}
	if advised(nil) != nil {
		t.Error("advice on nothing")
	}
}

// A disk that is full stops the node, which says what to do. What was acknowledged
// before is there when there is room again.
func TestFullDisk(t *testing.T) {
	w := newWorld(t, 1, nil)
	c := w.leader()
	p := w.open(c, 60*1e9)
	held := w.do(c, p.acquire("n", 0))
	c.storage.guard.latch(fmt.Errorf("append to the log: %w", syscall.ENOSPC))
	<-c.Done()
	if err := c.Err(); !errors.Is(err, ErrStorage) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
		t.Error(err)
	}
	w.kill(c)
	w.restart(c)
	w.ready(c)
	if again := w.do(c, p.acquire("n", 0)); again.Status != fsm.StatusBusy {
		t.Errorf("%+v after token %d", again, held.Token)
	}
}

// Whatever keeps a node from being opened is said, and leaves everything as it was.
func TestOpenSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	open := func(id, dir, listen string) error {
		n, err := Open(Config{ID: id, DataDir: dir, Listen: listen, BootstrapExpect: 1, NoGossip: true})
		if err == nil {
			err = n.Close()
		}
		return err
	}
	if err := open("a", dir, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := Open(Config{ID: "b", DataDir: t.TempDir(), Listen: "127.0.0.1:0", BootstrapExpect: 1, NoGossip: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, c := range []struct{ id, dir, listen, says string }{
		{"a", dir, taken.Addr().String(), "listen on another port"},
		{"b", dir, "127.0.0.1:0", `belongs to node "a"`},
		{"a", filepath.Join(file, "below"), "127.0.0.1:0", "not a directory"},
		{"b", n.cfg.DataDir, "127.0.0.1:0", "give this node a directory of its own"},
	} {
		if err := open(c.id, c.dir, c.listen); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil || string(after) != string(before) {
		t.Errorf("the identity changed from %s to %s", before, after)
	}
	if err := open("a", dir, "127.0.0.1:0"); err != nil {
		t.Errorf("as before: %v", err)
	}
}
