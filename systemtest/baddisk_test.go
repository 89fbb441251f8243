//go:build system

package systemtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A lonely is a node of a cluster of one.
func lonely(dir string, port int, more ...string) []string {
	return append([]string{"serve", "--node-id", "a", "--data-dir", dir, "--listen", fmt.Sprintf("127.0.0.1:%d", port),
		"--bootstrap-expect", "1", "--log-level", "error"}, more...)
}

// segment is the first of a node's log.
const segment = "log/0000000000000001.log"

// lived is the directory of a node that has served, and was stopped.
func lived(t *testing.T, port int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	p := start(t, exec.Command(binary, lonely(dir, port)...))
	eventually(t, "it is ready", func() bool { return strings.Contains(p.out.String(), "ready ") })
	p.signal(syscall.SIGTERM)
	if code := p.wait(t); code != 0 {
		t.Fatalf("exit %d:\n%s", code, p.log.String())
	}
	return dir
}

// sameFiles wants the files of a directory to be as they were.
func sameFiles(t *testing.T, dir string) func() {
	t.Helper()
	read := func() (text string) {
		for _, name := range []string{"identity.json", "raft.db", segment} {
			b, _ := os.ReadFile(filepath.Join(dir, name))
			text += fmt.Sprintf("%s %x\n", name, b)
		}
		return text
	}
	before := read()
	return func() {
		t.Helper()
		if read() != before {
			t.Error("the node has changed what it refused")
		}
	}
}

// fill has a node write its log until it ends. Names that are as many and as long as
// they may be make few commands of it, which is soon done on any machine.
func fill(t *testing.T, p *process, port int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { <-p.done; cancel() }()
	client, err := lockapi.Open(ctx, fmt.Sprintf("lockd://127.0.0.1:%d", port), lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []fsm.Want
	for i := range fsm.WantsMax {
		names = append(names, lockapi.Exclusive(fmt.Sprint(i, strings.Repeat(".", fsm.NameSizeMax-2))))
	}
	for ctx.Err() == nil {
		if g, err := client.All(names...).Acquire(ctx); err == nil {
			_ = g.Release(ctx)
		}
	}
	_ = client.Close(ctx)
}

// Directories, ports and flags that a node cannot have: it says why and what to do,
// and changes nothing.
func badNodes(t *testing.T) []refusal {
	port := freePorts(t, 1)[0]
	damage := func(file string, spoil func(b []byte) []byte) func(*testing.T) (string, string) {
		return func(t *testing.T) (string, string) {
			dir := lived(t, port)
			path := filepath.Join(dir, file)
			if err := os.WriteFile(path, spoil([]byte(readFile(t, path))), 0o600); err != nil {
				t.Fatal(err)
			}
			defer sameFiles(t, dir)()
			return command(lonely(dir, port)...)(t)
		}
	}
	without := func(file string) func(*testing.T) (string, string) {
		return func(t *testing.T) (string, string) {
			dir := lived(t, port)
			if err := os.RemoveAll(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			return command(lonely(dir, port)...)(t)
		}
	}
	occupied := func(port int) func(*testing.T) (string, string) {
		return func(t *testing.T) (string, string) {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			at := port - port%2
			return command(lonely(filepath.Join(t.TempDir(), "data"), at)...)(t)
		}
	}
	config := filepath.Join(t.TempDir(), "lockd.yaml")
	writeFile(t, config, "node-id: a\nlisten-on: 127.0.0.1:1\n")
	return []refusal{
		{"votes that were cut off", damage("raft.db", func(b []byte) []byte { return b[:2*4096+8] }), "exit 1", "keep a copy"},
		{"votes that are zeros", damage("raft.db", func(b []byte) []byte { return make([]byte, len(b)) }), "exit 1", "keep a copy"},
		{"a log that was cut off", damage(segment, func(b []byte) []byte { return b[:200] }), "exit 1", "keep a copy"},
		{"a log of zeros", damage(segment, func(b []byte) []byte { return make([]byte, len(b)) }), "exit 1", "keep a copy"},
		{"a log with a flipped bit", damage(segment, func(b []byte) []byte { b[100] ^= 4; return b }), "exit 1", "keep a copy"},
		{"an identity that was changed", damage("identity.json", func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"a"`, `"b"`, 1))
		}), "exit 1", "keep a copy"},
		{"an identity that is no JSON", damage("identity.json", func(b []byte) []byte { return b[:len(b)/2] }), "exit 1", "keep a copy"},
		{"an identity that is empty", damage("identity.json", func([]byte) []byte { return nil }), "exit 1", "keep a copy"},
		{"a directory of which the votes are gone", without("raft.db"), "exit 1", "put it back as it was"},
		{"a directory of which the log is gone", without("log"), "exit 1", "put it back as it was"},
		{"a log of which all is gone", without(segment), "exit 1", "keep a copy"},
		{"a directory of another node", func(t *testing.T) (string, string) {
			dir := lived(t, port)
			defer sameFiles(t, dir)()
			return command(append(lonely(dir, port), "--node-id", "b")...)(t)
		}, "exit 1", `start it as "a"`},
		{"a directory that is read-only", func(t *testing.T) (string, string) {
			dir := lived(t, port)
			must(t, "mount", "--bind", dir, dir)
			defer must(t, "umount", dir)
			must(t, "mount", "-o", "remount,ro,bind", dir)
			return command(lonely(dir, port)...)(t)
		}, "exit 1", "read-only"},
		{"a disk that is full", func(t *testing.T) (string, string) {
			dir := t.TempDir()
			must(t, "mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", dir)
			defer must(t, "umount", dir)
			return command(lonely(filepath.Join(dir, "data"), port)...)(t)
		}, "exit 1", "make room"},
		{"a disk that becomes full", func(t *testing.T) (string, string) {
			dir := t.TempDir()
			// Room for one segment of the log, not for the next.
			must(t, "mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", dir)
			defer must(t, "umount", dir)
			p := start(t, exec.Command(binary, lonely(filepath.Join(dir, "data"), port)...))
			eventually(t, "it is ready", func() bool { return strings.Contains(p.out.String(), "ready ") })
			fill(t, p, port)
			return fmt.Sprintf("exit %d", p.wait(t)), p.log.String()
		}, "exit 70", "make room"},
		{"a port in use", occupied(port), "exit 1", "on another port"},
		{"a gossip port in use", occupied(port + 1), "exit 1", "on another port"},
		{"a directory in use", func(t *testing.T) (string, string) {
			dir := filepath.Join(t.TempDir(), "data")
			p := start(t, exec.Command(binary, lonely(dir, port)...))
			eventually(t, "it is ready", func() bool { return strings.Contains(p.out.String(), "ready ") })
			defer p.kill()
			return command(lonely(dir, freePorts(t, 1)[0])...)(t)
		}, "exit 1", "another process"},
		{"a directory of others", func(t *testing.T) (string, string) {
			dir := t.TempDir()
			must(t, "touch", filepath.Join(dir, "notes"))
			return command(lonely(dir, port)...)(t)
		}, "exit 1", `it has "notes"`},
		{"an unknown key", command("serve", "--config", config), "exit 64", `unknown key "listen-on"`},
		{"an unknown flag", command("serve", "--listen-on", "x"), "exit 64", "unknown flag"},
	}
}
