//go:build planted

package jepsen_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/lockd-io/lockd/jepsen/workload"
)

// believe lets two processes of applications take turns at one resource. One of the
// processes is stopped now and then.
func (b *bout) believe(t *testing.T, lasts time.Duration) (finding string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "teeth") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	address := filepath.Join(dir, "resource")
	l, err := workload.ListenAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	resource := new(workload.Resource)
	var serving sync.WaitGroup
	serving.Go(func() { _ = resource.Serve(l) }) // it ends with the listener and the processes
	var all [2]*clients
	for i := range all {
		// Most are in the process that is stopped, so that it is mostly one of them who holds.
		all[i] = b.work(t, lasts, "--resource", address, "--prefix", "turns/", "--first-client", fmt.Sprint(1+100*i), "--clients", fmt.Sprint(6-4*i),
			"--out", filepath.Join(dir, fmt.Sprint(i)))
	}
	ctx, done := context.WithTimeout(context.Background(), lasts)
	defer done()
	pauses(ctx, all[0].cmd, rand.New(rand.NewPCG(uint64(b.seed), uint64(b.rounds))))
	for _, c := range all {
		if found := c.finding(t); finding == "" {
			finding = found
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	serving.Wait()
	if finding != "" {
		return finding
	}
	return together(t, dir)
}

// together is what cannot be of what the processes believed: each has judged its own.
func together(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "beliefs.jsonl"))
	if err != nil || len(files) != 2 {
		t.Fatalf("what the processes believed: %v %v", files, err)
	}
	var all []history.Belief
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		beliefs, err := history.LoadBeliefs(file)
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, beliefs...)
	}
	if found := verdict.Apart(all); len(found) > 0 {
		return found[0].String()
	}
	return ""
}

// pauses stops a process again and again. First a few times for half a TTL, with
// hardly a moment in between: what is asked then is answered when it is stopped again,
// and an answer that counts from when it is read is late by a pause. Then for longer
// than a session lives, and not much longer: what believes too long believes still.
func pauses(ctx context.Context, cmd *exec.Cmd, rng *rand.Rand) {
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	for {
		for n := range 5 {
			stopped, between := sessionTTL*2/5+upTo(sessionTTL/5), upTo(20*time.Millisecond)
			if n == 3 {
				between = upTo(sessionTTL / 4)
			}
			if n == 4 {
				stopped, between = sessionTTL+upTo(sessionTTL/2), sessionTTL/4
			}
			err := cmd.Process.Signal(syscall.SIGSTOP)
			wait(ctx, stopped)
			if errors.Join(err, cmd.Process.Signal(syscall.SIGCONT)) != nil {
				return // it has ended
			}
			if wait(ctx, between); ctx.Err() != nil {
				return
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
