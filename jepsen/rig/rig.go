//go:build linux

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	port       = "7600"
	gossipPort = "7601"
)

// A Rig is a cluster of nodes, numbered from 1, and a place for clients.
type Rig struct {
	Nodes  []*Node
	dir    string
	binary string
	net    *wires
}

// New makes everything for a cluster of that many nodes under dir, and starts
// nothing. flags go to every `serve`. Close undoes it, and must be called after an
// error too, if there is a Rig.
func New(dir, binary string, nodes int, flags ...string) (_ *Rig, err error) {
	r := &Rig{dir: dir, binary: binary}
	if r.net, err = newWires(nodes + 1); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		return nil, err
	}
	var addresses []string
	for i := 1; i <= nodes; i++ {
		addresses = append(addresses, r.net.address(i)+":"+port)
	}
	for i, address := range addresses {
		n := &Node{ID: fmt.Sprintf("n%d", i+1), Address: address}
		at := filepath.Join(dir, n.ID)
		if n.disk, err = newVolume(at); err != nil {
			return nil, err
		}
		if n.log, err = os.Create(filepath.Join(at, "log")); err != nil {
			return nil, err
		}
		n.Journal = filepath.Join(at, "journal")
		n.args = r.net.in(i+1, append([]string{binary, "serve", "--node-id", n.ID, "--data-dir", n.disk.data(), "--journal", n.Journal,
			"--listen", address, "--join", strings.Join(addresses, ","), "--bootstrap-expect", fmt.Sprint(nodes),
			"--gossip-key-file", key, "--insecure"}, flags...)...)
		r.Nodes = append(r.Nodes, n)
	}
	return r, nil
}

// Close kills all nodes and removes disks and network. Logs stay.
func (r *Rig) Close() error {
	var failed []error
	for _, n := range r.Nodes {
		if n.disk != nil {
			_ = command("fsfreeze", "--unfreeze", n.disk.dir) // if a fault was not undone
		}
		n.kill()
		if n.disk != nil {
			failed = append(failed, n.disk.unmount())
		}
		if n.log != nil {
			failed = append(failed, n.log.Close())
		}
	}
	r.net.remove()
	return errors.Join(failed...)
}

// Start boots every node that does not run.
func (r *Rig) Start() error {
	for _, n := range r.Nodes {
		if err := n.boot(); err != nil {
			return err
		}
	}
	return nil
}

// Endpoints are all nodes' addresses.
func (r *Rig) Endpoints() string {
	var all []string
	for _, n := range r.Nodes {
		all = append(all, n.Address)
	}
	return strings.Join(all, ",")
}

// Client is a command of lockd's that runs among the clients.
func (r *Rig) Client(ctx context.Context, args ...string) *exec.Cmd {
	return r.Among(ctx, append([]string{r.binary}, args...)...)
}

// Among is any command that runs among the clients.
func (r *Rig) Among(ctx context.Context, args ...string) *exec.Cmd {
	full := r.net.in(0, args...)
	return exec.CommandContext(ctx, full[0], full[1:]...)
}

// Leader is the node that leads, as far as the first that answers knows; nil if
// none does.
func (r *Rig) Leader(ctx context.Context) *Node {
	for _, asked := range r.Nodes {
		if !asked.Running() {
			continue
		}
		ctx, done := context.WithTimeout(ctx, 2*time.Second)
		out, err := r.Client(ctx, "status", "--json", "--endpoints", asked.Address).Output()
		done()
		var status struct{ Leader string }
		if err != nil || json.Unmarshal(out, &status) != nil {
			continue
		}
		for _, n := range r.Nodes {
			if n.ID == status.Leader {
				return n
			}
		}
	}
	return nil
}

// Ready waits until every node has caught up with a leader.
func (r *Rig) Ready(ctx context.Context) error {
	for _, n := range r.Nodes {
		for {
			out, err := r.Among(ctx, "curl", "-s", "-m", "2", "-o", "/dev/null", "-w", "%{http_code}", "http://"+n.Address+"/readyz").Output()
			if err == nil && string(out) == "200" {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not ready: %s", n.ID, out)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}
