package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A Fault is something that befalls the cluster until it is undone.
type Fault struct {
	Name string
	// begin returns how to undo it, and what it was done to.
	begin func(ctx context.Context, r *Rig, rng *rand.Rand) (undo func() error, to string, err error)
}

// Faults are all there are. After each is undone, all nodes run, on disks that
// have all that they acknowledged.
func Faults() []Fault {
	return slices.Concat(processFaults(), networkFaults(), diskFaults())
}

func (r *Rig) any(rng *rand.Rand) *Node { return r.Nodes[rng.IntN(len(r.Nodes))] }

// leaderOr is the leader, or any node if nobody knows one.
func (r *Rig) leaderOr(ctx context.Context, rng *rand.Rand) *Node {
	if n := r.Leader(ctx); n != nil {
		return n
	}
	return r.any(rng)
}

func (r *Rig) follower(ctx context.Context, rng *rand.Rand) *Node {
	leader := r.Leader(ctx)
	for {
		if n := r.any(rng); n != leader {
			return n
		}
	}
}

func processFaults() []Fault {
	signal := func(name string, s, undo syscall.Signal, who func(context.Context, *Rig, *rand.Rand) []*Node) Fault {
		return Fault{name, func(ctx context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
			nodes := who(ctx, r, rng)
			for _, n := range nodes {
				n.signal(s)
			}
			return func() error {
				for _, n := range nodes {
					if undo != 0 {
						n.signal(undo)
					} else {
						n.end(s, 20*time.Second)
					}
				}
				return r.Start()
			}, names(nodes), nil
		}}
	}
	leader := func(ctx context.Context, r *Rig, rng *rand.Rand) []*Node { return []*Node{r.leaderOr(ctx, rng)} }
	follower := func(ctx context.Context, r *Rig, rng *rand.Rand) []*Node { return []*Node{r.follower(ctx, rng)} }
	all := func(_ context.Context, r *Rig, _ *rand.Rand) []*Node { return r.Nodes }
	majority := func(_ context.Context, r *Rig, rng *rand.Rand) []*Node {
		order := rng.Perm(len(r.Nodes))
		var some []*Node
		for _, i := range order[:len(r.Nodes)/2+1] {
			some = append(some, r.Nodes[i])
		}
		return some
	}
	return []Fault{
		signal("kill the leader", syscall.SIGKILL, 0, leader),
		signal("kill a follower", syscall.SIGKILL, 0, follower),
		signal("kill a majority", syscall.SIGKILL, 0, majority),
		signal("kill all", syscall.SIGKILL, 0, all),
		signal("stop the leader in good order", syscall.SIGTERM, 0, leader),
		signal("pause the leader", syscall.SIGSTOP, syscall.SIGCONT, leader),
		signal("pause a follower", syscall.SIGSTOP, syscall.SIGCONT, follower),
		signal("pause all", syscall.SIGSTOP, syscall.SIGCONT, all),
		{"restart one after the other", rolling},
		{"starve the processor", starve},
	}
}

func names(nodes []*Node) (text string) {
	for _, n := range nodes {
		text += " " + n.ID
	}
	return text
}

func rolling(ctx context.Context, r *Rig, _ *rand.Rand) (func() error, string, error) {
	for _, n := range r.Nodes {
		n.end(syscall.SIGTERM, 20*time.Second)
		if err := n.boot(); err != nil {
			return nil, "", err
		}
		ready, done := context.WithTimeout(ctx, 20*time.Second)
		err := r.Ready(ready)
		done()
		if err != nil {
			return nil, n.ID, err
		}
	}
	return func() error { return nil }, names(r.Nodes), nil
}

func starve(context.Context, *Rig, *rand.Rand) (func() error, string, error) {
	var busy []*exec.Cmd
	undo := func() error {
		for _, cmd := range busy {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		return nil
	}
	for range 8 {
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			return nil, "", fmt.Errorf("%w (%w)", err, undo())
		}
		busy = append(busy, cmd)
	}
	return undo, "all", nil
}

func networkFaults() []Fault {
	lose := func(name string, drops func(ctx context.Context, r *Rig, rng *rand.Rand) (all []drop, to string)) Fault {
		return Fault{name, func(ctx context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
			all, to := drops(ctx, r, rng)
			return func() error { return r.net.lose(nil) }, to, r.net.lose(all)
		}}
	}
	some := func(in, out bool, d drop, leads bool) func(context.Context, *Rig, *rand.Rand) ([]drop, string) {
		return func(ctx context.Context, r *Rig, rng *rand.Rand) ([]drop, string) {
			n := r.any(rng)
			if leads {
				n = r.leaderOr(ctx, rng)
			}
			return r.between(r.number(n), in, out, d), n.ID
		}
	}
	everywhere := func(d drop, from int) func(context.Context, *Rig, *rand.Rand) ([]drop, string) {
		return func(_ context.Context, r *Rig, _ *rand.Rand) (all []drop, to string) {
			for d.from = from; d.from <= len(r.Nodes); d.from++ {
				for d.to = from; d.to <= len(r.Nodes); d.to++ {
					if d.from != d.to {
						all = append(all, d)
					}
				}
			}
			return all, "all"
		}
	}
	cut := drop{percent: 100}
	return []Fault{
		lose("cut the leader off", some(true, true, cut, true)),
		lose("cut a node off", some(true, true, cut, false)),
		lose("the leader hears nobody", some(true, false, cut, true)),
		lose("nobody hears the leader", some(false, true, cut, true)),
		lose("two nodes see only the third", func(_ context.Context, r *Rig, rng *rand.Rand) ([]drop, string) {
			a := 1 + rng.IntN(len(r.Nodes))
			b := 1 + a%len(r.Nodes)
			return []drop{{from: a, to: b, percent: 100}, {from: b, to: a, percent: 100}}, r.Nodes[a-1].ID + " " + r.Nodes[b-1].ID
		}),
		lose("all cut apart", everywhere(cut, 1)),
		lose("a fifth of the packets is lost", everywhere(drop{percent: 20}, 0)),
		lose("half of the packets is lost", everywhere(drop{percent: 50}, 1)),
		lose("connections of nodes are reset", everywhere(drop{percent: 30, reset: true}, 1)),
		lose("clients' connections are reset", func(_ context.Context, r *Rig, _ *rand.Rand) (all []drop, to string) {
			for i := 1; i <= len(r.Nodes); i++ {
				all = append(all, drop{from: 0, to: i, percent: 5, reset: true})
			}
			return all, "clients"
		}),
		lose("clients do not reach the leader", func(ctx context.Context, r *Rig, rng *rand.Rand) ([]drop, string) {
			n := r.leaderOr(ctx, rng)
			return []drop{{from: 0, to: r.number(n), percent: 100}}, n.ID
		}),
	}
}

// between is everything between a host and the others, clients not included.
func (r *Rig) between(i int, in, out bool, d drop) (all []drop) {
	for k := 1; k <= len(r.Nodes); k++ {
		if k == i {
			continue
		}
		if in {
			d.from, d.to = k, i
			all = append(all, d)
		}
		if out {
			d.from, d.to = i, k
			all = append(all, d)
		}
	}
	return all
}

func (r *Rig) number(n *Node) int { return 1 + slices.Index(r.Nodes, n) }

func diskFaults() []Fault {
	return []Fault{
		{"power fails everywhere", func(_ context.Context, r *Rig, _ *rand.Rand) (func() error, string, error) {
			return r.Start, names(r.Nodes), r.powerCut(r.Nodes)
		}},
		{"power fails at a node", func(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
			n := r.any(rng)
			return r.Start, n.ID, r.powerCut([]*Node{n})
		}},
		{"a disk is full", func(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
			n := r.any(rng)
			fill := filepath.Join(n.disk.dir, "fill")
			_ = command("dd", "if=/dev/zero", "of="+fill, "bs=1M") // until there is no room
			return func() error {
				err := os.Remove(fill)
				n.end(syscall.SIGTERM, 20*time.Second)
				if err != nil {
					return err
				}
				return r.Start()
			}, n.ID, nil
		}},
		spoilt("a bit flips", func(path string, rng *rand.Rand) error {
			data, err := os.ReadFile(path)
			if err != nil || len(data) == 0 {
				return err
			}
			data[rng.IntN(min(len(data), 1<<20))] ^= 1 << rng.IntN(8)
			return os.WriteFile(path, data, 0o600)
		}),
		spoilt("a file is cut off", func(path string, rng *rand.Rand) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return os.Truncate(path, rng.Int64N(info.Size()+1))
		}),
		spoilt("a file is lost", func(path string, _ *rand.Rand) error { return os.Remove(path) }),
	}
}

// powerCut ends nodes and forgets what they had not flushed.
func (r *Rig) powerCut(nodes []*Node) error {
	for _, n := range nodes {
		n.signal(syscall.SIGSTOP)
	}
	copies := make([]string, len(nodes))
	var err error
	for i, n := range nodes {
		if copies[i], err = n.disk.snapshot(); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		n.kill()
	}
	for i, n := range nodes {
		if err := n.disk.restore(copies[i]); err != nil {
			return err
		}
	}
	return nil
}

// spoilt damages a file of a node that is down, and lets it try. What it does is
// its own affair, as long as the cluster is right; in the end it gets back the disk
// that it had before.
func spoilt(name string, spoil func(path string, rng *rand.Rand) error) Fault {
	return Fault{name, func(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
		n := r.any(rng)
		n.end(syscall.SIGTERM, 20*time.Second) // so that all of it is on the disk
		if err := command("sync", "-f", n.disk.dir); err != nil {
			return nil, n.ID, err
		}
		before, err := n.disk.snapshot()
		if err != nil {
			return nil, n.ID, err
		}
		var files []string
		err = filepath.WalkDir(filepath.Join(n.disk.dir, "data"), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && entry.Name() != "lock" {
				files = append(files, path)
			}
			return err
		})
		if err != nil || len(files) == 0 {
			return nil, n.ID, fmt.Errorf("no files: %w", err)
		}
		file := files[rng.IntN(len(files))]
		if err := spoil(file, rng); err != nil {
			return nil, n.ID, err
		}
		return func() error {
			n.kill()
			if err := n.disk.restore(before); err != nil {
				return err
			}
			return r.Start()
		}, n.ID + " " + filepath.Base(file), n.boot()
	}}
}
