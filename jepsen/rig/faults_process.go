//go:build linux

package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"syscall"
	"time"
)

// who picks the nodes of a fault.
type who func(context.Context, *Rig, *rand.Rand) []*Node

func leader(ctx context.Context, r *Rig, rng *rand.Rand) []*Node {
	return []*Node{r.leaderOr(ctx, rng)}
}
func follower(ctx context.Context, r *Rig, rng *rand.Rand) []*Node {
	return []*Node{r.follower(ctx, rng)}
}
func anyone(_ context.Context, r *Rig, rng *rand.Rand) []*Node { return []*Node{r.any(rng)} }
func all(_ context.Context, r *Rig, _ *rand.Rand) []*Node      { return r.Nodes }

func majority(_ context.Context, r *Rig, rng *rand.Rand) (some []*Node) {
	for _, i := range rng.Perm(len(r.Nodes))[:len(r.Nodes)/2+1] {
		some = append(some, r.Nodes[i])
	}
	return some
}

func processFaults() []Fault {
	return []Fault{
		ended("kill the leader", syscall.SIGKILL, leader),
		ended("kill a follower", syscall.SIGKILL, follower),
		ended("kill a majority", syscall.SIGKILL, majority),
		ended("kill all", syscall.SIGKILL, all),
		ended("stop the leader in good order", syscall.SIGTERM, leader),
		paused("pause the leader", leader),
		paused("pause a follower", follower),
		paused("pause all", all),
		{Name: "restart one after the other", kind: process, begin: rolling},
		{Name: "the leadership is handed on and on", kind: process, begin: transfers},
		{Name: "snapshots all the time", kind: process, begin: snapshots},
		{Name: "starve the processor", kind: process, begin: starve},
	}
}

func ended(name string, s syscall.Signal, who who) Fault {
	return Fault{Name: name, kind: process, begin: func(ctx context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
		nodes := who(ctx, r, rng)
		var gone []<-chan struct{}
		for _, n := range nodes {
			gone = append(gone, n.signal(s))
		}
		return func() error {
			for i, n := range nodes {
				n.await(gone[i], stopPatience)
			}
			return r.Start()
		}, names(nodes), nil
	}}
}

func paused(name string, who who) Fault {
	return Fault{Name: name, kind: process, begin: func(ctx context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
		nodes := who(ctx, r, rng)
		for _, n := range nodes {
			n.signal(syscall.SIGSTOP)
		}
		return func() error {
			for _, n := range nodes {
				n.signal(syscall.SIGCONT)
			}
			return nil
		}, names(nodes), nil
	}}
}

// rollPatience is how long a node that was started again is waited for before the
// next one is stopped.
const rollPatience = 5 * time.Second

func rolling(ctx context.Context, r *Rig, _ *rand.Rand) (func() error, string, error) {
	return r.Start, names(r.Nodes), r.restart(ctx)
}

// restart restarts one node after the other, and waits for each a while.
func (r *Rig) restart(ctx context.Context) error {
	for _, n := range r.Nodes {
		n.end(syscall.SIGTERM, stopPatience)
		if err := n.boot(); err != nil {
			return err
		}
		ready, done := context.WithTimeout(ctx, rollPatience)
		_ = r.Ready(ready) // another fault may keep it from that
		done()
	}
	return nil
}

// transfers makes the leader go, several times: each hands the leadership over.
func transfers(ctx context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
	to := ""
	for range 4 {
		n := r.leaderOr(ctx, rng)
		to += n.ID + " "
		n.end(syscall.SIGTERM, rollPatience)
		if err := n.boot(); err != nil {
			return nil, "", err
		}
	}
	return r.Start, to, nil
}

// snapshots has every node take one for about fifty entries and keep hardly any
// entry, so that whoever is away for a moment needs one.
func snapshots(ctx context.Context, r *Rig, _ *rand.Rand) (func() error, string, error) {
	set := func(flags ...string) error {
		for _, n := range r.Nodes {
			n.also(flags...)
		}
		return r.restart(ctx)
	}
	return func() error { return set() }, names(r.Nodes), set("--snapshot-bytes", "5000", "--snapshot-interval", "100ms", "--trailing-logs", "1")
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
	return undo, "the machine", nil
}
