//go:build linux

package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

func diskFaults() []Fault {
	return []Fault{
		{Name: "power fails everywhere", kind: disk, begin: func(_ context.Context, r *Rig, _ *rand.Rand) (func() error, string, error) {
			return r.Start, names(r.Nodes), r.PowerCut(r.Nodes...)
		}},
		{Name: "power fails at a node", kind: disk, begin: func(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
			n := r.any(rng)
			return r.Start, n.ID, r.PowerCut(n)
		}},
		{Name: "a disk is full", kind: disk, begin: full},
		{Name: "a disk hangs", kind: disk, needs: []string{"fsfreeze"}, begin: hang},
		{Name: "a disk is wiped", kind: disk, begin: wiped},
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

// PowerCut ends nodes and forgets what they had not flushed. Start starts them.
func (r *Rig) PowerCut(nodes ...*Node) error {
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

func full(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
	n := r.any(rng)
	fill := filepath.Join(n.disk.dir, "fill")
	_ = command("dd", "if=/dev/zero", "of="+fill, "bs=1M") // until there is no room
	return func() error {
		err := os.Remove(fill)
		n.end(syscall.SIGTERM, stopPatience)
		if err != nil {
			return err
		}
		return r.Start()
	}, n.ID, nil
}

// hang has every write and every flush wait until the fault is undone. A node that
// has waited for too long stops by itself.
func hang(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
	n := r.any(rng)
	return func() error {
		if err := command("fsfreeze", "--unfreeze", n.disk.dir); err != nil {
			return err
		}
		return r.Start()
	}, n.ID, command("fsfreeze", "--freeze", n.disk.dir)
}

// stopped ends a node so that all it has is on its disk, and copies that.
func (r *Rig) stopped(n *Node) (before string, err error) {
	n.end(syscall.SIGTERM, stopPatience)
	if err := command("sync", "-f", n.disk.dir); err != nil {
		return "", err
	}
	return n.disk.snapshot()
}

// back gives a node the disk that it had.
func (r *Rig) back(n *Node, before string) error {
	n.kill()
	if err := n.disk.restore(before); err != nil {
		return err
	}
	return r.Start()
}

// wiped starts a node on an empty disk, under its name. It must take part in
// nothing: in the end it has the disk that it had before.
func wiped(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
	n := r.any(rng)
	before, err := r.stopped(n)
	if err != nil {
		return nil, n.ID, err
	}
	if err := os.RemoveAll(n.disk.data()); err != nil {
		return nil, n.ID, err
	}
	return func() error { return r.back(n, before) }, n.ID, n.boot()
}

// spoilt damages a file of a node that is down, and lets it try. If it refuses to
// run on that, it gets back the disk that it had before. If it runs, what it
// acknowledges from then on counts, so that it keeps what it has.
func spoilt(name string, spoil func(path string, rng *rand.Rand) error) Fault {
	return Fault{Name: name, kind: disk, begin: func(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
		n := r.any(rng)
		before, err := r.stopped(n)
		if err != nil {
			return nil, n.ID, err
		}
		var files []string
		err = filepath.WalkDir(n.disk.data(), func(path string, entry os.DirEntry, err error) error {
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
			n.settle(stopPatience)
			if n.Running() {
				return n.disk.forget(before)
			}
			return r.back(n, before)
		}, n.ID + " " + filepath.Base(file), n.boot()
	}}
}
