//go:build linux

package child

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// runnerOf starts a runner of its own, with no terminal, and reads what its
// command says.
func runnerOf(t *testing.T, script string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	runner := exec.Command(os.Args[0])
	runner.Env = append(os.Environ(), runnerVar+"="+script)
	runner.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	runner.Stderr = os.Stderr
	pipe, err := runner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = runner.Process.Kill(); _ = runner.Wait() })
	return runner, bufio.NewScanner(pipe)
}

// endingSignals are those that Notify asks for, but for most of the real-time ones.
var endingSignals = []syscall.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGTERM,
	unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM, unix.SIGIO, unix.SIGPWR, unix.SIGXCPU, unix.SIGXFSZ,
	unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS, unix.SIGSTKFLT, 40, 64,
}

// commandShapes are what a signal may find. Each says the pids of all that must
// not outlive the lock; those in groups of their own included.
var commandShapes = []struct{ name, script string }{
	{"plain", `ulimit -c 0; echo $$; exec sleep 60`},
	// Shells have a background command ignore INT and QUIT.
	{"with a background child", `ulimit -c 0; sleep 60 >&- 2>&- & echo $$ $!; wait`},
	{"with a group of its own", `ulimit -c 0; timeout 60 sleep 60 >&- 2>&- & echo $$ $!; wait`},
	{"stopped", `ulimit -c 0; sleep 60 >&- 2>&- & echo $$ $!; kill -STOP $$; wait`},
}

// TestSignalsEndAll: every signal that ends a program reaches the command, and when
// the runner has ended, nothing of the command lives.
func TestSignalsEndAll(t *testing.T) {
	for _, shape := range commandShapes {
		t.Run(shape.name, func(t *testing.T) {
			for _, sig := range endingSignals {
				runner, out := runnerOf(t, shape.script)
				pids := strings.Fields(line(t, out))
				if shape.name == "stopped" {
					awaitState(t, pids[0], 'T')
				}
				_ = runner.Process.Signal(sig)
				if shape.name == "stopped" && !tells(sig) {
					// It waits, as without a runner, for whoever has stopped the command.
					awaitPending(t, pids[0], sig)
					_ = runner.Process.Signal(unix.SIGCONT)
				}
				status := awaitRunner(t, runner)
				for _, pid := range pids {
					if alive(t, pid) {
						t.Errorf("%v: %s lives on", unix.SignalName(sig), pid)
					}
				}
				if byItself := slices.Contains([]syscall.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTERM}, sig); byItself != (status.Signaled() && status.Signal() == sig) ||
					exitCode(status) != 128+int(sig) || status.CoreDump() {
					t.Errorf("%v: the runner ends by %v, code %d", unix.SignalName(sig), status.Signal(), exitCode(status))
				}
			}
		})
	}
}

// TestGraceOfWhatIsLeft: who ignores what has ended the command has a grace, and
// the runner waits for him.
func TestGraceOfWhatIsLeft(t *testing.T) {
	runner, out := runnerOf(t, `sh -c "trap \"\" HUP TERM; echo \$\$; exec sleep 60 >&- 2>&-" & wait`)
	left := line(t, out)
	_ = runner.Process.Signal(unix.SIGHUP)
	awaitRunner(t, runner)
	if alive(t, left) {
		t.Error("it lives on")
	}
}

// TestSignalsPass: those that end nobody reach the command too, and a command
// that ends by itself after them may leave something running.
func TestSignalsPass(t *testing.T) {
	runner, out := runnerOf(t, `trap "echo winch" WINCH; trap "echo cont" CONT; trap "exit 0" USR1
		sleep 60 >&- 2>&- & echo $!; while :; do sleep 0.01; done`)
	left := line(t, out)
	for sig, want := range map[syscall.Signal]string{unix.SIGWINCH: "winch", unix.SIGCONT: "cont"} {
		_ = runner.Process.Signal(sig)
		if got := line(t, out); got != want {
			t.Errorf("%v: the command said %q", sig, got)
		}
	}
	_ = runner.Process.Signal(unix.SIGUSR1)
	if status := awaitRunner(t, runner); exitCode(status) != 0 {
		t.Errorf("code %d", exitCode(status))
	}
	if alive(t, left) {
		t.Error("a signal has ended the command, and what it has left lives on")
	}
}

// TestStopSignals: the runner stops by each signal that stops programs, but only
// after its command, all of which goes on with it.
func TestStopSignals(t *testing.T) {
	for _, sig := range stops {
		runner, out := runnerOf(t, `timeout 60 sleep 60 >&- 2>&- & echo $$ $!; exec sleep 60`)
		pids := strings.Fields(line(t, out))
		_ = runner.Process.Signal(sig)
		awaitStopped(t, runner, sig)
		for _, pid := range pids {
			if s := state(t, pid); s != 'T' {
				t.Errorf("%v: the runner is stopped, %s is %c", sig, pid, s)
			}
		}
		_ = runner.Process.Signal(unix.SIGCONT)
		for _, pid := range pids {
			awaitState(t, pid, 'S')
		}
		_ = runner.Process.Signal(unix.SIGTERM)
		awaitRunner(t, runner)
	}
}

func pidOf(t *testing.T, text string) int {
	t.Helper()
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func alive(t *testing.T, pid string) bool {
	t.Helper()
	_, after, found := strings.Cut(contents(t, "/proc/"+pid+"/stat"), ") ")
	return found && after[0] != 'Z' && after[0] != 'X'
}

// soon wants a condition met.
func soon(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func awaitState(t *testing.T, pid string, want byte) {
	t.Helper()
	soon(t, fmt.Sprintf("%s is %c", pid, want), func() bool { return state(t, pid) == want })
}

func awaitPending(t *testing.T, pid string, sig syscall.Signal) {
	t.Helper()
	soon(t, "the signal has come", func() bool {
		_, after, _ := strings.Cut(contents(t, "/proc/"+pid+"/status"), "ShdPnd:\t")
		field, _, _ := strings.Cut(after, "\n")
		set, err := strconv.ParseUint(field, 16, 64)
		return err == nil && set>>(sig-1)&1 == 1
	})
}

func awaitStopped(t *testing.T, runner *exec.Cmd, by syscall.Signal) {
	t.Helper()
	var status unix.WaitStatus
	soon(t, "the runner is stopped", func() bool {
		pid, err := unix.Wait4(runner.Process.Pid, &status, unix.WUNTRACED|unix.WNOHANG, nil)
		return err == nil && pid != 0
	})
	if !status.Stopped() || status.StopSignal() != by {
		t.Fatalf("the runner is not stopped by %v: %x", by, status)
	}
}

func awaitRunner(t *testing.T, runner *exec.Cmd) unix.WaitStatus {
	t.Helper()
	done := make(chan struct{})
	go func() { _ = runner.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the runner goes on")
	}
	return unix.WaitStatus(runner.ProcessState.Sys().(syscall.WaitStatus))
}

// TestWhoLeftTheSession is not the command's any more, whatever ended that.
func TestWhoLeftTheSession(t *testing.T) {
	runner, out := runnerOf(t, `setsid sleep 60 >&- 2>&- & sleep 0.1; echo $!; exec sleep 60`)
	daemon := line(t, out)
	for { // setsid may have forked, or not yet have done it
		of, err := unix.Getsid(pidOf(t, daemon))
		if err != nil {
			t.Fatal(err)
		}
		if of == pidOf(t, daemon) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	_ = runner.Process.Signal(unix.SIGTERM)
	awaitRunner(t, runner)
	if err := unix.Kill(pidOf(t, daemon), unix.SIGKILL); err != nil {
		t.Errorf("the daemon: %v", err)
	}
}
