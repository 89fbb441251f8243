//go:build unix

package cluster

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// writesPaused is set for the process that TestStoppedProcessIsNoHangingDisk stops.
const writesPaused = "LOCKD_TEST_WRITES_PAUSED"

// A process that is stopped in the middle of a write does not take that for a disk
// that hangs: it goes on.
func TestStoppedProcessIsNoHangingDisk(t *testing.T) {
	const patience = 2 * time.Second
	if os.Getenv(writesPaused) != "" {
		g := &guard{patience: patience}
		err := g.write("test", func() error {
			fmt.Println("writing")
			_, err := bufio.NewReader(os.Stdin).ReadString('\n')
			return err
		})
		fmt.Println("written", err)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestStoppedProcessIsNoHangingDisk$")
	child.Env = append(os.Environ(), writesPaused+"=1")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }()
	lines := bufio.NewScanner(out)
	says := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("it says %q, want %q", lines.Text(), want)
		}
	}
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := child.Process.Signal(s); err != nil {
			t.Error(err)
		}
	}
	says("writing")
	signal(syscall.SIGSTOP)
	time.Sleep(patience + patience/watchLooks) // the pause is what is tested
	signal(syscall.SIGCONT)
	time.Sleep(patience / watchLooks) // whoever barks does so now
	fmt.Fprintln(in, "go on")
	says("written <nil>")
	_ = in.Close()
	for lines.Scan() {
	}
}

// A watchdog that was stopped while it looked looks no more.
func TestStoppedWatchdogIsStill(t *testing.T) {
	barked := make(chan struct{}, 1)
	w := watch(time.Hour, func() { barked <- struct{}{} })
	w.stop()
	for range 2 * watchLooks {
		w.look()
	}
	if len(barked) > 0 {
		t.Error("it barked")
	}
	if w.timer.Stop() {
		t.Error("it would look again")
	}
}
