//go:build system

package systemtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A network of namespaces on one bridge: one host a node.
type network struct {
	t      *testing.T
	prefix string
	hosts  int
}

func must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func newNetwork(t *testing.T, hosts int) *network {
	t.Helper()
	w := &network{t: t, prefix: fmt.Sprintf("lk%d", time.Now().UnixNano()%100000), hosts: hosts}
	bridge := w.prefix + "b"
	// The bridge has a namespace of its own, so that nothing of the host's
	// network is touched.
	must(t, "ip", "netns", "add", bridge)
	t.Cleanup(func() { must(t, "ip", "netns", "del", bridge) })
	must(t, "ip", "-n", bridge, "link", "add", "br0", "type", "bridge")
	must(t, "ip", "-n", bridge, "link", "set", "br0", "up")
	for i := 1; i <= hosts; i++ {
		ns, outer := w.host(i), fmt.Sprintf("p%d", i)
		must(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { must(t, "ip", "netns", "del", ns) })
		must(t, "ip", "-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", outer, "netns", bridge)
		must(t, "ip", "-n", bridge, "link", "set", outer, "master", "br0", "up")
		must(t, "ip", "-n", ns, "addr", "add", w.address(i)+"/24", "dev", "eth0")
		must(t, "ip", "-n", ns, "link", "set", "eth0", "up")
		must(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	return w
}

func (w *network) host(i int) string    { return fmt.Sprintf("%sh%d", w.prefix, i) }
func (w *network) address(i int) string { return fmt.Sprintf("10.77.0.%d", i) }

// in prefixes a command so that it runs on host i.
func (w *network) in(i int) []string { return []string{"ip", "netns", "exec", w.host(i)} }

// cut drops all packets between the groups, both ways.
func (w *network) cut(groups ...[]int) {
	group := make(map[int]int)
	for g, hosts := range groups {
		for _, i := range hosts {
			group[i] = g
		}
	}
	for i := 1; i <= w.hosts; i++ {
		rules := "flush ruleset\ntable inet cut {\n chain in { type filter hook input priority 0;\n"
		for k := 1; k <= w.hosts; k++ {
			if group[i] != group[k] {
				rules += fmt.Sprintf("  ip saddr %s drop\n", w.address(k))
			}
		}
		w.rules(i, rules+" }\n}\n")
	}
}

func (w *network) heal() {
	for i := 1; i <= w.hosts; i++ {
		w.rules(i, "flush ruleset\n")
	}
}

func (w *network) rules(i int, text string) {
	w.t.Helper()
	args := append(w.in(i), "nft", "-f", "-")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("nft: %v\n%s", err, out)
	}
}

// Four nodes that each expect three, in two views, cut apart and healed: they
// make one cluster with one leader, whatever each saw first.
func TestFormationInSplitViews(t *testing.T) {
	w := newNetwork(t, 4)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	writeFile(t, key, "0123456789abcdef0123456789abcdef\n")
	at := func(i int) string { return w.address(i) + ":7600" }
	views := map[int][]int{1: {1, 2, 3}, 2: {1, 2, 3}, 3: {2, 3, 4}, 4: {2, 3, 4}}
	w.cut([]int{1, 2}, []int{3, 4})
	var nodes []*node
	for i := 1; i <= 4; i++ {
		var joins []string
		for _, k := range views[i] {
			joins = append(joins, at(k))
		}
		id := fmt.Sprintf("n%d", i)
		n := &node{t: t, id: id, listen: at(i), prefix: w.in(i), args: []string{
			"--node-id", id, "--data-dir", filepath.Join(dir, id), "--listen", at(i), "--insecure",
			"--gossip-key-file", key, "--join", strings.Join(joins, ","), "--bootstrap-expect", "3",
		}}
		nodes = append(nodes, n)
		n.boot()
	}
	ask := func(i int) (s status, err error) {
		args := append(w.in(i), binary, "status", "--json", "--endpoints", at(i))
		out, err := exec.Command("timeout", append([]string{"2"}, args...)...).Output()
		if err == nil {
			err = decode(out, &s)
		}
		return s, err
	}
	time.Sleep(5 * time.Second) // in the partition nobody has three
	for i := 1; i <= 4; i++ {
		if s, err := ask(i); err == nil && s.ClusterID != "" {
			t.Errorf("n%d made a cluster of two: %+v", i, s)
		}
	}
	w.heal()
	members := func() (ids, leaders map[string]int) {
		ids, leaders = map[string]int{}, map[string]int{}
		for i := 1; i <= 4; i++ {
			if s, err := ask(i); err == nil && s.ClusterID != "" && s.Leader != "" {
				ids[s.ClusterID]++
				leaders[s.Leader]++
			}
		}
		return ids, leaders
	}
	eventually(t, "three nodes are members and know a leader", func() bool {
		ids, _ := members()
		return len(ids) > 0 && most(ids) >= 3
	})
	ids, leaders := members()
	if len(ids) != 1 || len(leaders) != 1 {
		t.Errorf("cluster ids %v, leaders %v", ids, leaders)
	}
	t.Logf("cluster ids %v, leaders %v", ids, leaders)
	for _, n := range nodes {
		t.Logf("%s: %s", n.id, tail(strings.TrimSpace(n.log.String()), 1))
	}
}

func most(counts map[string]int) (largest int) {
	for _, n := range counts {
		largest = max(largest, n)
	}
	return largest
}

// A founder that is left alone acknowledges nothing: its disk would be the only
// one that knows.
func TestFounderAloneGrantsNothing(t *testing.T) {
	c := prepareCluster(t)
	for _, n := range c.nodes {
		n.boot()
	}
	founder, others := c.nodes[0], c.nodes[1:]
	eventually(t, "n1 founds the cluster", func() bool { return founder.said("founds a cluster") > 0 })
	for _, n := range others {
		n.signal(syscall.SIGKILL)
	}
	for _, n := range others {
		n.kill()
	}
	if code := c.run("--wait", "3s", "early", "--", "true").wait(t); code != 69 && code != 75 {
		t.Errorf("a run exits %d without a majority", code)
	}
	for _, n := range others {
		n.boot()
	}
	if code := c.run("early", "--", "true").wait(t); code != 0 {
		t.Errorf("a run exits %d with all nodes back", code)
	}
}
