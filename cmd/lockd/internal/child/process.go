package child

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A process is the started command, leader of the group that has its pid.
// Until reap the pid is the command's, even if it has ended: signals never
// reach another group.
type process struct {
	pid     int
	stopped chan unix.Signal // a signal stopped it; the latest one
	ended   chan struct{}    // closed when it has ended
	status  unix.WaitStatus  // once ended
	frozen  []int            // see freeze

	send func(pid int, sig unix.Signal) error // kill(2); tests have it refuse
}

func start(c Command, t *terminal) (*process, error) {
	p := &process{stopped: make(chan unix.Signal, 1), ended: make(chan struct{}), send: unix.Kill}
	started := make(chan error)
	go func() {
		// The kernel means this thread when it says that the parent died, so
		// the thread must live as long as the command.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		attributes := mortal()
		if attributes.Setpgid = true; t.hands && t.foreground() == unix.Getpgrp() {
			attributes.Foreground, attributes.Ctty = true, t.fd // before it can ask
		}
		begun, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{Env: c.Env, Files: c.Files[:], Sys: attributes})
		if err != nil {
			started <- err
			return
		}
		p.pid = begun.Pid
		_ = begun.Release() // it is waited for by pid
		started <- nil
		defer close(p.ended)
		for {
			sig, stopped := p.awaitChange()
			if !stopped {
				return
			}
			select {
			case <-p.stopped:
			default:
			}
			p.stopped <- sig
		}
	}()
	return p, <-started
}

// over tells whether the command has ended.
func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signalGroup reaches whoever is left in the group; that may be nobody. The
// error is EPERM if the kernel lets this user signal none of them.
func (p *process) signalGroup(sig unix.Signal) error { return p.send(-p.pid, sig) }

// exitCode is a shell's view of a status.
func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
