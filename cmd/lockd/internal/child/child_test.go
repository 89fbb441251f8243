package child

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// runnerVar makes the test binary a runner of the shell script in it, so that
// tests can kill a runner or give it a terminal; validVar bounds its grant.
const runnerVar, validVar = "CHILD_TEST_SCRIPT", "CHILD_TEST_VALID"

func TestMain(m *testing.M) {
	if script := os.Getenv(runnerVar); script != "" {
		os.Exit(runner(script))
	}
	// A shell cannot trap what was ignored when it started, as under nohup, or in
	// the background of a script. What this process catches, its children have by
	// default.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// runner does what lockd run does once it has its grant.
func runner(script string) int {
	valid := time.Hour
	if d, err := time.ParseDuration(os.Getenv(validVar)); err == nil {
		valid = d
	}
	signals := make(chan os.Signal, 8)
	Notify(signals)
	c := shell(script)
	c.Signals, c.Grace = signals, min(c.Grace, valid/4)
	ending, err := Run(newGrant(valid), c)
	switch {
	case err != nil:
		panic(err)
	case ending.Lost:
		return lostCode
	case ending.Signal != 0:
		EndBy(ending.Signal, ending.Typed)
	}
	return ending.Code
}

// lostCode is a runner's whose grant was not valid to the end.
const lostCode = 74

// A grant is valid for as long as the test wants.
type grant struct {
	until  atomic.Int64 // Unix nanoseconds
	ctx    context.Context
	cancel context.CancelFunc
}

func newGrant(d time.Duration) *grant {
	g := &grant{}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.renew(d)
	return g
}

func (g *grant) renew(d time.Duration)    { g.until.Store(time.Now().Add(d).UnixNano()) }
func (g *grant) ValidUntil() time.Time    { return time.Unix(0, g.until.Load()) }
func (g *grant) Context() context.Context { return g.ctx }

func shell(script string) Command {
	return Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: os.Environ(),
		Files: [3]*os.File{os.Stdin, os.Stdout, os.Stderr}, Grace: time.Second,
	}
}

// reading gives the command a pipe for its output and reads lines from it.
func reading(t *testing.T, c *Command) *bufio.Scanner {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	c.Files[1] = w
	return bufio.NewScanner(r)
}

func line(t *testing.T, s *bufio.Scanner) string {
	t.Helper()
	if !s.Scan() {
		t.Fatalf("no line: %v", s.Err())
	}
	return s.Text()
}

func TestCodes(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -KILL $$": 137, "kill -TERM $$": 143} {
		ending, err := Run(newGrant(time.Hour), shell(script))
		if err != nil || ending != (Ending{Code: want}) {
			t.Errorf("%s: %+v, %v", script, ending, err)
		}
	}
}

func TestNotStarted(t *testing.T) {
	c := shell("")
	c.Path = filepath.Join(t.TempDir(), "absent")
	if _, err := Run(newGrant(time.Hour), c); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}

// begun runs the command beside the test.
func begun(t *testing.T, g Grant, c Command) <-chan Ending {
	t.Helper()
	done := make(chan Ending, 1)
	go func() {
		ending, err := Run(g, c)
		if err != nil {
			t.Error(err)
		}
		done <- ending
	}()
	return done
}

// patience bounds every wait: nothing that is waited for takes long.
const patience = 20 * time.Second

func awaitEnd(t *testing.T, done <-chan Ending) Ending {
	t.Helper()
	select {
	case ending := <-done:
		return ending
	case <-time.After(patience):
		t.Fatal("the command goes on")
		return Ending{}
	}
}

// A command that does as it is told ends by SIGTERM while the grant is valid.
func TestTermBeforeTheEnd(t *testing.T) {
	g := newGrant(time.Hour)
	c := shell(`trap 'echo told; exit 5' TERM; echo up; while :; do sleep 0.01; done`)
	c.Grace = 30 * time.Minute
	out := reading(t, &c)
	done := begun(t, g, c)
	line(t, out)
	g.renew(20 * time.Minute) // as if renewals had failed for 40 minutes
	if got := line(t, out); got != "told" {
		t.Errorf("the command said %q", got)
	}
	if ending := awaitEnd(t, done); ending != (Ending{Code: 5, Lost: true}) {
		t.Errorf("%+v", ending)
	}
}

// A command that ignores SIGTERM is killed when validity ends, and so is what
// it started.
func TestKillAtTheEnd(t *testing.T) {
	g := newGrant(time.Hour)
	c := shell(`trap '' TERM; sleep 60 & echo $!; while :; do sleep 1; done`)
	out := reading(t, &c)
	done := begun(t, g, c)
	grandchild := line(t, out)
	g.renew(100 * time.Millisecond)
	if ending := awaitEnd(t, done); ending != (Ending{Code: 137, Lost: true}) {
		t.Errorf("%+v", ending)
	}
	awaitDeath(t, grandchild)
}

// After a pause in which validity passed there is no SIGTERM: every moment
// may be another holder's.
func TestKillAtOnceWhenPast(t *testing.T) {
	g := newGrant(time.Hour)
	c := shell(`trap 'echo told' TERM; echo up; while :; do sleep 0.01; done`)
	out := reading(t, &c)
	done := begun(t, g, c)
	line(t, out)
	g.renew(-time.Millisecond)
	if ending := awaitEnd(t, done); ending != (Ending{Code: 137, Lost: true}) {
		t.Errorf("%+v", ending)
	}
	c.Files[1].Close()
	if out.Scan() {
		t.Errorf("the command said %q", out.Text())
	}
}

// A grant that is known to be lost is past, whatever the clock says.
func TestKillWhenLost(t *testing.T) {
	g := newGrant(time.Hour)
	c := shell(`echo up; while :; do sleep 0.01; done`)
	out := reading(t, &c)
	done := begun(t, g, c)
	line(t, out)
	g.cancel()
	if ending := awaitEnd(t, done); ending != (Ending{Code: 137, Lost: true}) {
		t.Errorf("%+v", ending)
	}
}

// What a command that was told to end leaves behind does not outlive it.
func TestGroupDiesWithItsLeader(t *testing.T) {
	g := newGrant(time.Hour)
	c := shell(`trap '' TERM; sleep 60 & trap 'exit 0' TERM; echo $!; while :; do sleep 0.01; done`)
	c.Grace = 30 * time.Minute
	out := reading(t, &c)
	done := begun(t, g, c)
	grandchild := line(t, out)
	g.renew(20 * time.Minute)
	if ending := awaitEnd(t, done); ending != (Ending{Code: 0, Lost: true}) {
		t.Errorf("%+v", ending)
	}
	awaitDeath(t, grandchild)
}

// A command that ended by itself may leave others behind; they are not ours
// to kill.
func TestGroupSurvivesAGoodEnd(t *testing.T) {
	c := shell(`sleep 60 >&- 2>&- & echo $!`)
	out := reading(t, &c)
	ending, err := Run(newGrant(time.Hour), c)
	if err != nil || ending != (Ending{}) {
		t.Fatalf("%+v, %v", ending, err)
	}
	pid, _ := strconv.Atoi(line(t, out))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the background process: %v", err)
	}
}

// Signals reach the whole group.
func TestSignals(t *testing.T) {
	signals := make(chan os.Signal)
	c := shell(`trap 'wait; echo outer; exit 6' HUP
		sh -c 'trap "echo inner; exit" HUP; echo up; while :; do sleep 0.01; done' &
		while :; do sleep 0.01; done`)
	c.Signals = signals
	out := reading(t, &c)
	done := begun(t, newGrant(time.Hour), c)
	line(t, out)
	signals <- syscall.SIGHUP
	if got := line(t, out) + " " + line(t, out); got != "inner outer" {
		t.Errorf("said %q", got)
	}
	if ending := awaitEnd(t, done); ending != (Ending{Code: 6}) {
		t.Errorf("%+v", ending)
	}
}

// TestRunnerDies: nobody is left to keep the lock, so nobody may go on.
func TestRunnerDies(t *testing.T) {
	runner := exec.Command(os.Args[0])
	runner.Env = append(os.Environ(), runnerVar+"=echo $$; exec sleep 60")
	pipe, err := runner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	command := line(t, bufio.NewScanner(pipe))
	if err := runner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitDeath(t, command)
	_ = runner.Wait()
}

// awaitDeath returns when a process is dead, collected or not.
func awaitDeath(t *testing.T, pid string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%s/stat", pid))
		if err != nil {
			return
		}
		_, state, _ := strings.Cut(string(stat), ") ")
		if state[0] == 'Z' || state[0] == 'X' {
			return
		}
	}
	t.Errorf("process %s lives on", pid)
}
