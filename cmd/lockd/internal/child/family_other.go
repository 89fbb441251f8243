//go:build unix && !linux

package child

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// All of a command is its group here: without /proc nothing else is known of it.

// alone is known of who leads the group and has the terminal on both ends.
func alone(group int) bool {
	for _, file := range []*os.File{os.Stdin, os.Stdout} {
		if at, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPGRP); err != nil || at != group {
			return false
		}
	}
	return group == os.Getpid()
}

// signalOthers: they are not known.
func signalOthers(int, unix.Signal) {}

func (p *process) kill() (left, refused int) {
	switch err := p.signalGroup(unix.SIGKILL); {
	case errors.Is(err, unix.EPERM):
		return 1, 1
	case err == nil:
		return 1, 0
	}
	return 0, 0
}

func (p *process) left() int {
	if p.signalGroup(0) != nil {
		return 0
	}
	return 1
}

func (p *process) terminate() (left int) {
	if p.signalGroup(unix.SIGTERM) != nil {
		return 0
	}
	_ = p.signalGroup(unix.SIGCONT)
	return 1
}

func (p *process) freeze() bool { return p.signalGroup(unix.SIGSTOP) == nil }
func (p *process) thaw()        { _ = p.signalGroup(unix.SIGCONT) }
