//go:build unix && !linux

package child

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// mortal: the kernel offers nothing that ends the command with its runner.
func mortal() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

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

func adopt()             {} // the kernel cannot
func (p *process) bury() {}
func (p *process) reap() {} // awaitChange has
