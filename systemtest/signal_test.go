//go:build system

package systemtest

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// past is met once a time has passed from now.
func past(span string) func() bool {
	d, err := time.ParseDuration(span)
	if err != nil {
		panic(err)
	}
	at := time.Now().Add(d)
	return func() bool { return time.Now().After(at) }
}

// TestSignalsWhileWaiting: whoever waits for a lock is ended by a signal as any
// program is, whether he is stopped or not, without a core and without a trace in
// the queue; what ends nobody does not end him.
func TestSignalsWhileWaiting(t *testing.T) {
	c := startCluster(t)
	holder, _, release := c.holdingRun("waited-for", "10s")
	// In a group of its own: TSTP does not stop who is of a group that has nobody
	// outside who could continue it, as all of a container's are.
	waiting := func() *process {
		cmd := exec.Command(binary, "run", "--endpoints", c.endpoints(), "waited-for", "--", "false")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		p := start(t, cmd)
		eventually(t, "it waits", func() bool { return len(c.show("waited-for").Waiters) == 1 })
		return p
	}
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM} {
		for _, stopped := range []bool{false, true} {
			p := waiting()
			if stopped {
				p.signal(unix.SIGTSTP)
				eventually(t, "it is stopped", func() bool {
					return strings.Contains(readFile(t, fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)), ") T ")
				})
			}
			p.signal(sig)
			p.signal(unix.SIGCONT)
			code := p.wait(t)
			status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
			if code != 128+int(sig) || !status.Signaled() || status.CoreDump() {
				t.Errorf("%s, stopped %v: exit %d, %v", unix.SignalName(sig), stopped, code, p.cmd.ProcessState)
			}
			if text := p.log.String(); text != "" {
				t.Errorf("%s: it says\n%s", unix.SignalName(sig), tail(text, 5))
			}
			if w := c.show("waited-for").Waiters; len(w) != 0 {
				t.Errorf("%s: it is still in the queue: %+v", unix.SignalName(sig), w)
			}
		}
	}
	p := waiting()
	p.signal(unix.SIGWINCH)
	p.signal(unix.SIGCONT)
	release()
	if code := p.wait(t); code != 1 {
		t.Errorf("after SIGWINCH and SIGCONT: exit %d, not the command's", code)
	}
	holder.wait(t)
}

// TestSetUIDLoss: who loses the lock of a command that he may not kill says that it
// may still run, and does not wait for it.
func TestSetUIDLoss(t *testing.T) {
	t.Setenv(roundsEnv, "1")
	inRounds(t, func(r *round) {
		holder := r.runAs(nobody, besideTTL)
		command := r.command()
		defer unix.Kill(-command, unix.SIGKILL)
		for _, n := range r.c.nodes {
			n.signal(unix.SIGSTOP)
		}
		code := holder.wait(r.T)
		for _, n := range r.c.nodes {
			n.signal(unix.SIGCONT)
		}
		if text := holder.log.String(); code != 74 || !strings.Contains(text, "MAY STILL RUN") {
			r.Errorf("exit %d:\n%s", code, text)
		}
		if err := unix.Kill(command, 0); err != nil {
			r.Errorf("this was to be about a command that lives: %v", err)
		}
		_ = unix.Kill(-command, unix.SIGKILL) // as root
		if code := r.next().wait(r.T); code != 0 {
			r.Errorf("the next one exits %d", code)
		}
	})
}
