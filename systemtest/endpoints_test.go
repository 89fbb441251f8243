//go:build system

package systemtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// lonelyCluster is a cluster of one node on an address, which is ready.
func lonelyCluster(t *testing.T, address string) *node {
	t.Helper()
	n := &node{t: t, id: "n1", listen: address, args: []string{"--node-id", "n1", "--data-dir", filepath.Join(t.TempDir(), "data"),
		"--listen", address, "--bootstrap-expect", "1", "--heartbeat-timeout", "200ms"}}
	n.boot()
	eventually(t, "the node is ready", func() bool { return strings.Contains(n.out.String(), "ready node=") })
	return n
}

// Three clusters of one, and clients that were told of all three: none of them
// holds a lock, and each says which endpoint belongs to which cluster.
func TestEndpointsOfSeveralClusters(t *testing.T) {
	c := &cluster{t: t}
	var ids []string
	for _, port := range freePorts(t, 3) {
		n := lonelyCluster(t, fmt.Sprintf("127.0.0.1:%d", port))
		var s status
		if err := query(&s, "status", "--endpoints", n.listen); err != nil {
			t.Fatal(err)
		}
		c.nodes, ids = append(c.nodes, n), append(ids, s.ClusterID)
	}
	inside := filepath.Join(t.TempDir(), "inside")
	for range roundsAsked(t, 3) {
		var clients []*process
		for range 3 {
			rand.Shuffle(3, func(i, k int) { c.nodes[i], c.nodes[k] = c.nodes[k], c.nodes[i] })
			clients = append(clients, c.run("x", "--", "sh", "-c", "echo in >> "+inside+"; sleep 1"))
		}
		for _, p := range clients {
			if code := p.wait(t); code != 64 {
				t.Errorf("exits %d: %s", code, p.log.String())
			}
			for _, id := range ids {
				if !strings.Contains(p.log.String(), id) {
					t.Errorf("does not name cluster %s: %s", id, p.log.String())
				}
			}
		}
		if text, err := os.ReadFile(inside); err == nil {
			t.Fatalf("somebody held the lock: %q", text)
		}
	}
	for _, look := range [][]string{{"status"}, {"ls"}, {"show", "x"}, {"members"}} {
		p := startIn(t, nil, append(look, "--endpoints", c.endpoints())...)
		if code := p.wait(t); code != 64 || !strings.Contains(p.log.String(), ids[0]) {
			t.Errorf("%v exits %d: %s", look, code, p.log.String())
		}
	}
}

// A name with two addresses, the first of which is mute: stopped, or dropped on the
// way. Clients find the other, and so do nodes that form a cluster by it.
func TestNameWithAMuteAddress(t *testing.T) {
	w := newNetwork(t, 5)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	writeFile(t, key, "0123456789abcdef0123456789abcdef\n")
	// Hosts 1 to 3 are the cluster, 4 is mute, and 5 has the clients.
	several := "127.0.0.1 localhost\n"
	for _, i := range []int{4, 1, 2, 3} {
		several += w.address(i) + " several.lk\n"
	}
	w.hostsFiles(several)
	w.rules(4, "table inet mute {\n chain in { type filter hook input priority 0; policy drop;\n }\n}\n")
	c := &cluster{t: t}
	for i := 1; i <= 3; i++ {
		id := fmt.Sprintf("n%d", i)
		c.nodes = append(c.nodes, &node{t: t, id: id, prefix: w.in(i), listen: w.address(i) + ":7600", args: []string{
			"--node-id", id, "--data-dir", filepath.Join(dir, id), "--listen", w.address(i) + ":7600", "--insecure",
			"--gossip-key-file", key, "--join", "several.lk:7600", "--bootstrap-expect", "3",
		}})
	}
	c.bootAll()
	for _, n := range c.nodes {
		eventually(t, n.id+" is ready", func() bool { return strings.Contains(n.out.String(), "ready node="+n.id) })
	}
	first := token(t, "several.lk:7600", w.in(5)...)
	c.nodes[0].signal(syscall.SIGSTOP) // the second address, and perhaps the leader
	second := token(t, "several.lk:7600", w.in(5)...)
	p := startIn(t, w.in(5), "status", "--endpoints", "several.lk:7600")
	if code := p.wait(t); code != 0 {
		t.Errorf("status exits %d: %s", code, p.log.String())
	}
	if first >= second {
		t.Errorf("tokens %d and %d", first, second)
	}
	c.nodes[0].signal(syscall.SIGCONT)
}

// Lists of IPv6 addresses, and mixed ones.
func TestEndpointsOfIPv6(t *testing.T) {
	port := freePorts(t, 2)
	n := lonelyCluster(t, fmt.Sprintf("[::1]:%d", port[0]))
	for _, endpoints := range []string{
		n.listen, n.listen + "," + fmt.Sprintf("[::1]:%d", port[1]), fmt.Sprintf("127.0.0.1:%d,", port[1]) + n.listen,
	} {
		token(t, endpoints)
		p := startIn(t, nil, "run", "--backend", "lockd://"+endpoints, "y", "--", "true")
		if code := p.wait(t); code != 0 {
			t.Errorf("--backend lockd://%s: exits %d: %s", endpoints, code, p.log.String())
		}
		look := exec.Command(binary, "ls")
		look.Env = append(os.Environ(), "LOCKD_ENDPOINTS="+endpoints)
		p = start(t, look)
		if code := p.wait(t); code != 0 {
			t.Errorf("LOCKD_ENDPOINTS=%s: exits %d: %s", endpoints, code, p.log.String())
		}
	}
}
