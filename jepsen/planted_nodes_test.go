//go:build planted

package jepsen_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/rig"
)

// maltreated is a cluster that troubles can befall.
func maltreated(t *testing.T, dir, binary string) *rig.Rig {
	t.Helper()
	r, err := rig.New(dir, binary, 3, "--snapshot-bytes", "50000", "--trailing-logs", "16")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(errors.Join(err, r.Close()))
	}
	return r
}

// troubles are those of the rig's faults that a pattern lets through.
func troubles(t *testing.T, pattern string) []rig.Fault {
	t.Helper()
	match := regexp.MustCompile(pattern)
	all := slices.DeleteFunc(rig.Faults(), func(f rig.Fault) bool { return !match.MatchString(f.Name) })
	if len(all) == 0 {
		t.Fatalf("the rig has no fault %q", pattern)
	}
	return all
}

// A loopback is three nodes on this machine, which needs no root.
type loopback struct {
	addresses []string
	running   []*exec.Cmd
	ended     []chan struct{}
}

func onLoopback(t *testing.T, dir, binary string) *loopback {
	t.Helper()
	l := &loopback{addresses: freeAddresses(t, 3)}
	for i, address := range l.addresses {
		id := fmt.Sprintf("n%d", i+1)
		if err := os.Mkdir(filepath.Join(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		log, err := os.Create(filepath.Join(dir, id, "log"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, "serve", "--node-id", id, "--data-dir", filepath.Join(dir, id, "data"),
			"--journal", filepath.Join(dir, id, "journal"), "--listen", address,
			"--join", strings.Join(l.addresses, ","), "--bootstrap-expect", "3")
		cmd.Stdout, cmd.Stderr = log, log
		err = cmd.Start()
		log.Close()
		if err != nil {
			t.Fatal(errors.Join(err, l.Close()))
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait() // how it ended is in its log
		}()
		l.running, l.ended = append(l.running, cmd), append(l.ended, ended)
	}
	return l
}

func (l *loopback) Endpoints() string { return strings.Join(l.addresses, ",") }

func (l *loopback) Among(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, args[0], args[1:]...)
}

func (l *loopback) Ready(ctx context.Context) error {
	for i, address := range l.addresses {
		for !isReady(ctx, address) {
			select {
			case <-l.ended[i]:
				return fmt.Errorf("node %d has stopped", i+1)
			case <-ctx.Done():
				return fmt.Errorf("node %d is not ready", i+1)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

func isReady(ctx context.Context, address string) bool {
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (l *loopback) Close() error {
	for i, cmd := range l.running {
		_ = cmd.Process.Kill() // it may have ended
		<-l.ended[i]
	}
	l.running = nil
	return nil
}
