package child

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A terminal is the runner's controlling terminal, or none. One process group
// at a time is in its foreground: gets what is typed, Ctrl-C included, and may
// read.
type terminal struct {
	fd int // -1: there is none
	// hands: the command's group is to have the terminal while the runner's would.
	hands bool
}

// noGroup is in the foreground of a terminal that is not there, or has gone.
const noGroup = -1

// openTerminal finds the terminal by its name: what the command's standard
// input is does not matter to who asks for a password.
func openTerminal() *terminal {
	for {
		fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == nil {
			return &terminal{fd: fd}
		}
		if !errors.Is(err, unix.EINTR) {
			return &terminal{fd: -1}
		}
	}
}

func (t *terminal) close() {
	if t.fd >= 0 {
		_ = unix.Close(t.fd)
	}
}

// foreground is the group that has the terminal.
func (t *terminal) foreground() int {
	if t.fd < 0 {
		return noGroup
	}
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return noGroup
	}
	return group
}

// give puts a group into the foreground, from the background too.
func (t *terminal) give(group int) {
	withoutTTOU(func() {
		// An error is a terminal that has gone, or a group that has; there is
		// nothing to move then.
		_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, group)
	})
}

// hand gives the terminal to the command if the runner has it.
func (t *terminal) hand(own, command int) {
	if t.foreground() == own {
		t.give(command)
	}
}

// takeBack gives the terminal to the runner if the command has it, or nobody
// who lives: the command may have been a shell that gave it to one of its jobs.
// In whoever else's hands it is, it stays.
func (t *terminal) takeBack(own, command int) {
	at := t.foreground()
	if at > 0 && (at == command || at != own && errors.Is(unix.Kill(-at, 0), unix.ESRCH)) {
		t.give(own)
	}
}
