//go:build system

package systemtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// token runs a command under a lock and returns the token that it had.
func token(t *testing.T, endpoints string, prefix ...string) uint64 {
	t.Helper()
	p := startIn(t, prefix, "run", "--endpoints", endpoints, "--wait", "60s", "moved", "--", "sh", "-c", "echo $LOCKD_TOKEN")
	if code := p.wait(t); code != 0 {
		t.Fatalf("run exits %d: %s", code, p.log.String())
	}
	return number(t, p.out.String())
}

func (n *node) flag(name, value string) {
	for i, arg := range n.args {
		if arg == name {
			n.args[i+1] = value
			return
		}
	}
	n.args = append(n.args, name, value)
}

// moveTo has the node start elsewhere.
func (n *node) moveTo(address, join string) {
	n.listen = address
	n.flag("--listen", address)
	n.flag("--join", join)
}

// at waits until all nodes have the others at their addresses, alive.
func (c *cluster) at() {
	c.t.Helper()
	eventually(c.t, "all nodes are where they are", func() bool {
		for _, asked := range c.nodes {
			var s status
			if query(&s, "status", "--endpoints", asked.listen) != nil || s.Leader == "" || len(s.Nodes) != len(c.nodes) {
				return false
			}
			for i, n := range s.Nodes { // both are in the order of ids
				if n.Address != c.nodes[i].listen || !n.Alive {
					return false
				}
			}
		}
		return true
	})
}

// With the word one member moves, then all of them, each to where another was.
func TestMovedWithTheWord(t *testing.T) {
	c := startCluster(t)
	first := token(t, c.endpoints())
	n := c.followers()[0]
	n.signal(syscall.SIGTERM)
	n.wait(t)
	n.moveTo(fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]), c.endpoints())
	n.args = append(n.args, "--moved")
	n.boot()
	c.at()
	second := token(t, n.listen)

	for _, n := range c.nodes {
		n.signal(syscall.SIGKILL)
		n.kill()
	}
	join, before := c.endpoints(), []string{}
	for _, n := range c.nodes {
		before = append(before, n.listen)
	}
	for i, m := range c.nodes {
		m.moveTo(before[(i+1)%3], join)
		if m != n {
			m.args = append(m.args, "--moved")
		}
		m.boot()
	}
	c.at()
	third := token(t, c.endpoints())
	if first >= second || second >= third {
		t.Errorf("tokens %d, %d, %d", first, second, third)
	}
	for _, n := range c.nodes { // and the word is not needed any more
		n.kill()
		n.args = n.args[:len(n.args)-1]
		n.boot()
	}
	c.at()
}

// Without the word, and with a false one, a copy of a directory is refused; the
// original goes on.
func TestMovedWithoutTheWord(t *testing.T) {
	c := startCluster(t)
	n := c.followers()[0]
	n.signal(syscall.SIGTERM)
	n.wait(t)
	copied := filepath.Join(t.TempDir(), "copy")
	must(t, "cp", "-a", n.dataDir(), copied)
	n.boot()
	c.at()
	for word, says := range map[string]string{"": "--moved", "--moved": "Stop one of them"} {
		dir := filepath.Join(t.TempDir(), "copy")
		must(t, "cp", "-a", copied, dir)
		twin := &node{t: t, id: n.id, args: append([]string{}, n.args...)}
		twin.moveTo(fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]), c.endpoints())
		twin.flag("--data-dir", dir)
		if word != "" {
			twin.args = append(twin.args, word)
		}
		twin.boot()
		if code := twin.wait(t); code != 70 || !strings.Contains(twin.process.log.String(), says) {
			t.Errorf("%q: exits %d, says\n%s", word, code, twin.process.log.String())
		}
		if word == "" {
			eventually(t, "another node to say why", func() bool {
				return c.nodes[0].said("--moved")+c.nodes[1].said("--moved")+c.nodes[2].said("--moved") > 0
			})
		}
	}
	token(t, n.listen)
}

func (n *node) dataDir() string {
	for i, arg := range n.args {
		if arg == "--data-dir" {
			return n.args[i+1]
		}
	}
	return ""
}

// Members that advertise names move as they like: one of three, then all three,
// under a lock that is held through all of it.
func TestMovedWithNames(t *testing.T) {
	w := newNetwork(t, 6)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	writeFile(t, key, "0123456789abcdef0123456789abcdef\n")
	at := map[string]int{"n1": 1, "n2": 2, "n3": 3}
	w.names(at)
	c := &cluster{t: t}
	for i, id := range []string{"n1", "n2", "n3"} {
		c.nodes = append(c.nodes, &node{t: t, id: id, prefix: w.in(i + 1), args: []string{
			"--node-id", id, "--data-dir", filepath.Join(dir, id), "--listen", w.address(i+1) + ":7600", "--advertise", id + ".lk:7600",
			"--insecure", "--gossip-key-file", key, "--join", "n1.lk:7600,n2.lk:7600,n3.lk:7600", "--bootstrap-expect", "3",
		}})
	}
	c.bootAll()
	go_ := func(n *node, host int) {
		n.kill()
		at[n.id] = host
		w.names(at)
		n.prefix = w.in(host)
		n.flag("--listen", w.address(host)+":7600")
	}
	ready := func(n *node) {
		t.Helper()
		eventually(t, n.id+" is ready", func() bool { return strings.Contains(n.out.String(), "ready node="+n.id) })
	}
	for _, n := range c.nodes {
		ready(n)
	}
	const all = "n1.lk:7600,n2.lk:7600,n3.lk:7600"
	first := token(t, all, w.in(6)...)
	done := filepath.Join(dir, "done")
	held := startIn(t, w.in(6), "run", "--endpoints", all, "--ttl", "60s", "held", "--", "sh", "-c", "echo in; while ! test -e "+done+"; do sleep 0.1; done")
	eventually(t, "the lock is held", func() bool { return strings.Contains(held.out.String(), "in") })
	go_(c.nodes[0], 4)
	c.nodes[0].boot()
	ready(c.nodes[0])
	second := token(t, all, w.in(6)...)
	for i, host := range []int{5, 1, 2} {
		go_(c.nodes[i], host)
	}
	c.bootAll()
	for _, n := range c.nodes {
		ready(n)
	}
	third := token(t, all, w.in(6)...)
	if first >= second || second >= third {
		t.Errorf("tokens %d, %d, %d", first, second, third)
	}
	writeFile(t, done, "")
	if code := held.wait(t); code != 0 {
		t.Errorf("who held a lock through it exits %d: %s", code, held.log.String())
	}
}

// names writes what each host resolves ID.lk to.
func (w *network) names(at map[string]int) {
	w.t.Helper()
	text := "127.0.0.1 localhost\n"
	for id, host := range at {
		text += fmt.Sprintf("%s %s.lk\n", w.address(host), id)
	}
	w.hostsFiles(text)
}

// hostsFiles gives all hosts an /etc/hosts.
func (w *network) hostsFiles(text string) {
	w.t.Helper()
	for i := 1; i <= w.hosts; i++ {
		dir := filepath.Join("/etc/netns", w.host(i)) // bound over /etc by ip netns exec
		if _, err := os.Stat(dir); err != nil {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { os.RemoveAll(dir) })
		}
		writeFile(w.t, filepath.Join(dir, "hosts"), text)
	}
}

// startIn starts lockd in a place, "" for here.
func startIn(t *testing.T, prefix []string, args ...string) *process {
	t.Helper()
	all := append(append(append([]string{}, prefix...), binary), args...)
	return start(t, exec.Command(all[0], all[1:]...))
}
