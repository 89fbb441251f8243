package main

import (
	"bytes"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The nodes of a kept cluster know each other by their addresses: dev says so when
// it is to have others, rather than wait for ever for a leader.
func TestDevDoesNotMove(t *testing.T) {
	args := []string{"dev", "--listen", "127.0.0.1:0", "--dir", t.TempDir(), "--log-level", "error"}
	dev, lines := lockd(t, args...)
	first, _, _ := strings.Cut(awaitLine(t, lines, "ready endpoints="), ",")
	end(t, dev, syscall.SIGINT)
	taken, err := net.Listen("tcp", first) // so that port 0 is another this time
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var told bytes.Buffer
	again := exec.Command("lockd", args...)
	again.Stderr = &told
	if _ = again.Run(); again.ProcessState.ExitCode() != exitUsage || !strings.Contains(told.String(), "is at "+first) {
		t.Errorf("exit code %d:\n%s", again.ProcessState.ExitCode(), &told)
	}
}
