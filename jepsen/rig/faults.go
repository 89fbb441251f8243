//go:build linux

package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"time"
)

// A Fault is something that befalls the cluster until it is undone.
type Fault struct {
	Name string
	kind kind
	// needs are commands that it cannot do without, probe what else must work here.
	needs []string
	probe func(r *Rig) error
	// begin returns how to undo it, and what it was done to.
	begin func(ctx context.Context, r *Rig, rng *rand.Rand) (undo func() error, to string, err error)
}

// A kind is what a fault meddles with. Of those that come together the processes
// have their trouble first and are relieved of it last: one whose disk hangs
// neither starts nor ends.
type kind int

const (
	process kind = iota
	network
	disk // one at a time: two may take more than a minority's
)

// Faults are all there are. After each is undone, all nodes run, on disks that
// have all that they acknowledged.
func Faults() []Fault {
	return slices.Concat(processFaults(), networkFaults(), diskFaults(), flushFaults())
}

// Possible is nil if the fault can be had on this machine, and says what is
// missing if not.
func (f Fault) Possible(r *Rig) error {
	for _, command := range f.needs {
		if _, err := exec.LookPath(command); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if f.probe != nil {
		if err := f.probe(r); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

// any is a node that is not stopped, if there is one.
func (r *Rig) any(rng *rand.Rand) *Node {
	order := rng.Perm(len(r.Nodes))
	for _, i := range order {
		if n := r.Nodes[i]; n.Running() && !n.paused() {
			return n
		}
	}
	return r.Nodes[order[0]]
}

// leaderOr is the leader, or any node if nobody knows one.
func (r *Rig) leaderOr(ctx context.Context, rng *rand.Rand) *Node {
	if n := r.Leader(ctx); n != nil {
		return n
	}
	return r.any(rng)
}

func (r *Rig) follower(ctx context.Context, rng *rand.Rand) *Node {
	leader := r.leaderOr(ctx, rng)
	others := slices.DeleteFunc(slices.Clone(r.Nodes), func(n *Node) bool { return n == leader })
	return others[rng.IntN(len(others))]
}

func (r *Rig) number(n *Node) int { return 1 + slices.Index(r.Nodes, n) }

func names(nodes []*Node) (text string) {
	for i, n := range nodes {
		if i > 0 {
			text += " "
		}
		text += n.ID
	}
	return text
}

// stopPatience is how long a node may take to stop in good order.
const stopPatience = 20 * time.Second
