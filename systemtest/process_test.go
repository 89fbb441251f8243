//go:build system

package systemtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the lockd that all tests run, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Geteuid() != 0 {
			fmt.Fprintln(os.Stderr, "systemtest: needs root for network namespaces; run `make test-system` as root")
			return 1
		}
		dir, err := os.MkdirTemp("", "lockd-system-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "lockd")
		build := exec.Command("go", "build", "-o", binary, "github.com/lockd-io/lockd/cmd/lockd")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building lockd: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// patience bounds every wait for a condition: far above what any takes.
const patience = 60 * time.Second

// eventually waits for a condition.
func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if met() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

// output gathers what a process prints; safe to read while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// A process is one that this test started, and nothing else may end.
type process struct {
	cmd  *exec.Cmd
	out  output // stdout
	log  output // stderr
	done chan struct{}
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // the exit code is read from ProcessState
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill is kill -9, and waits until the process is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// wait returns the exit code; 128+n after signal n.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * patience):
		t.Fatalf("%v does not end; it said:\n%s", p.cmd.Args, p.log.String())
	}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// A node is one `lockd serve`, through its restarts.
type node struct {
	*process
	t      *testing.T
	id     string
	listen string // where clients and nodes reach it
	prefix []string
	args   []string
	logs   []*output // of all its lives
}

// boot starts the node, or starts it again.
func (n *node) boot() {
	n.t.Helper()
	args := append(append(append([]string{}, n.prefix...), binary, "serve"), n.args...)
	n.process = start(n.t, exec.Command(args[0], args[1:]...))
	n.logs = append(n.logs, &n.process.log)
}

// said counts the log lines of all its lives that contain text.
func (n *node) said(text string) int {
	count := 0
	for _, log := range n.logs {
		count += strings.Count(log.String(), text)
	}
	return count
}

// A cluster is three nodes on loopback.
type cluster struct {
	t     *testing.T
	nodes []*node
}

// freePorts finds ports that nobody listens on now, each with the one above it,
// where gossip listens. They lie beneath those that the kernel gives to outgoing
// connections, or one of those could be in the way when a node starts again.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for port := 20000 + 2*rand.IntN(5000); len(ports) < n; port += 2 {
		if port >= 32000 {
			t.Fatal("no free ports")
		}
		if free(port) && free(port+1) {
			ports = append(ports, port)
		}
	}
	return ports
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// prepareCluster describes three nodes that are not started.
func prepareCluster(t *testing.T, flags ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var addresses []string
	for _, port := range freePorts(t, 3) {
		addresses = append(addresses, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	for i, address := range addresses {
		id := fmt.Sprintf("n%d", i+1)
		n := &node{t: t, id: id, listen: address, args: append([]string{
			"--node-id", id, "--data-dir", filepath.Join(t.TempDir(), id), "--listen", address,
			"--join", strings.Join(addresses, ","), "--bootstrap-expect", "3",
		}, flags...)}
		c.nodes = append(c.nodes, n)
	}
	return c
}

// startCluster starts three nodes and waits until all are ready.
func startCluster(t *testing.T, flags ...string) *cluster {
	t.Helper()
	c := prepareCluster(t, flags...)
	c.bootAll()
	for _, n := range c.nodes {
		eventually(t, n.id+" is ready", func() bool { return strings.Contains(n.out.String(), "ready node="+n.id) })
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range c.nodes {
				t.Logf("%s said at the end:\n%s", n.id, tail(n.log.String(), 30))
			}
		}
	})
	return c
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (c *cluster) endpoints() string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.listen)
	}
	return strings.Join(all, ",")
}

// lockd runs one command to its end and returns what it printed.
func lockd(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// query asks with --json, for up to two seconds.
func query(answer any, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	out, err := lockd(ctx, append(args, "--json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), answer)
}

// status is what `lockd status --json` has at least.
type status struct {
	ClusterID    string `json:"cluster_id"`
	Leader       string `json:"leader"`
	Term         uint64 `json:"term"`
	AppliedIndex uint64 `json:"applied_index"`
	Nodes        []struct {
		ID      string `json:"id"`
		Address string `json:"address"`
		Voter   bool   `json:"voter"`
		Alive   bool   `json:"alive"`
	} `json:"nodes"`
}

// lockState is what `lockd show --json` has at least.
type lockState struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Holders []struct {
		Session string `json:"session"`
		Label   string `json:"label"`
		Owner   string `json:"owner"`
		Token   string `json:"token"`
		Count   int    `json:"count"`
	} `json:"holders"`
	Waiters []struct {
		Session  string `json:"session"`
		Position int    `json:"position"`
	} `json:"waiters"`
}

// leader waits for one that a running node knows, and that runs.
func (c *cluster) leader() *node {
	c.t.Helper()
	var found *node
	eventually(c.t, "a leader", func() bool {
		for _, asked := range c.nodes {
			if !asked.running() {
				continue
			}
			var s status
			if query(&s, "status", "--endpoints", asked.listen) != nil || s.Leader == "" {
				continue
			}
			for _, n := range c.nodes {
				if n.id == s.Leader && n.running() {
					found = n
					return true
				}
			}
		}
		return false
	})
	return found
}

// followers are the nodes that do not lead.
func (c *cluster) followers() []*node {
	leader := c.leader()
	var all []*node
	for _, n := range c.nodes {
		if n != leader {
			all = append(all, n)
		}
	}
	return all
}

func (c *cluster) show(name string) lockState {
	c.t.Helper()
	var s lockState
	eventually(c.t, "show "+name, func() bool {
		s = lockState{}
		return query(&s, "show", name, "--endpoints", c.endpoints()) == nil
	})
	return s
}

// run starts `lockd run` with these flags, name and command.
func (c *cluster) run(args ...string) *process {
	c.t.Helper()
	return start(c.t, exec.Command(binary, append([]string{"run", "--endpoints", c.endpoints()}, args...)...))
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
