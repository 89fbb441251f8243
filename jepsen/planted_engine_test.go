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

	"github.com/lockd-io/lockd/jepsen/workload"
)

// believe lets two processes of applications take turns at one resource. One of the
// processes is stopped now and then, for about as long as a session lives: on both
// sides of where it has to stop believing.
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
		all[i] = b.work(t, lasts, "--resource", address, "--prefix", "turns/", "--first-client", fmt.Sprint(1+100*i))
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
	return finding
}

// pauses stops a process for up to one and a half TTL, again and again.
func pauses(ctx context.Context, cmd *exec.Cmd, rng *rand.Rand) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rng.Int64N(int64(sessionTTL / 4))))
		err := cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(sessionTTL/4 + time.Duration(rng.Int64N(int64(sessionTTL*5/4))))
		if errors.Join(err, cmd.Process.Signal(syscall.SIGCONT)) != nil {
			return // it has ended
		}
	}
}
