//go:build unix && !linux

package child

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes make the command the leader of a group. The kernel offers
// nothing that ends it with its runner.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitChange waits until the command is stopped or has ended. It reaps an
// ended one and keeps the status: x/sys has no waitid here.
func (p *process) awaitChange() (by unix.Signal, stopped bool) {
	for {
		_, err := unix.Wait4(p.pid, &p.status, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err == nil && p.status.Stopped():
			return p.status.StopSignal(), true
		default:
			return 0, false
		}
	}
}

// reap tells the exit code of the ended command.
func (p *process) reap() int { return exitCode(p.status) }
