//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// flushFaults have strace stand between a process and its disk.
func flushFaults() []Fault {
	slow := func(name string, who who) Fault {
		return traced(name, "delay_enter=150000", who, func(*Rig, []*Node) error { return nil }) // microseconds
	}
	return []Fault{
		slow("the leader's flushes are slow", leader),
		slow("all flushes are slow", all),
		traced("flushes fail", "error=EIO", anyone, func(r *Rig, nodes []*Node) error {
			for _, n := range nodes { // it should have stopped by itself
				n.end(syscall.SIGTERM, stopPatience)
			}
			return r.Start()
		}),
	}
}

// traced tampers with what flushes, until it is undone.
func traced(name, inject string, who who, then func(*Rig, []*Node) error) Fault {
	const calls = "fsync,fdatasync"
	begin := func(ctx context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
		nodes := who(ctx, r, rng)
		var tracers []*exec.Cmd
		undo := func() error {
			for _, cmd := range tracers {
				_ = cmd.Process.Signal(syscall.SIGTERM) // it lets go of the process
				_ = cmd.Wait()
			}
			return then(r, nodes)
		}
		for _, n := range nodes {
			pid := n.pid()
			if pid == 0 {
				continue
			}
			cmd := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace="+calls, "-e", "inject="+calls+":"+inject, "-p", strconv.Itoa(pid))
			if err := cmd.Start(); err != nil {
				return nil, "", fmt.Errorf("%w (%w)", err, undo())
			}
			tracers = append(tracers, cmd)
		}
		return undo, names(nodes), nil
	}
	return Fault{Name: name, kind: disk, needs: []string{"strace"}, probe: mayTrace, begin: begin}
}

// mayTrace tells whether another process can be traced here.
func mayTrace(*Rig) error {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		return err
	}
	defer func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
	}()
	// It ends with the process that it traces, or at once if it may not.
	cmd := exec.Command("timeout", "1", "strace", "-qq", "-o", os.DevNull, "-p", strconv.Itoa(sleep.Process.Pid))
	var exit *exec.ExitError
	out, err := cmd.CombinedOutput()
	if errors.As(err, &exit) && exit.ExitCode() == 124 { // it was still tracing
		return nil
	}
	return fmt.Errorf("strace: %w: %s", err, out)
}
