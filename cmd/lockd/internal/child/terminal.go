package child

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// A terminal is the runner's controlling terminal, if the command reads from
// it. One process group at a time is in its foreground: gets what is typed,
// Ctrl-C included, and may read.
type terminal struct {
	fd  int
	own int // the runner's process group
}

// openTerminal returns nil if the file is not the controlling terminal.
func openTerminal(input *os.File) *terminal {
	if input == nil {
		return nil
	}
	t := &terminal{fd: int(input.Fd()), own: unix.Getpgrp()}
	if _, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP); err != nil {
		return nil
	}
	// Or taking the terminal back, which is done from the background, would
	// stop the runner. It is after start: the command does not inherit it.
	signal.Ignore(syscall.SIGTTOU)
	return t
}

// isAt tells whether a group is in the foreground.
func (t *terminal) isAt(group int) bool {
	at, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	return err == nil && at == group
}

// hand puts a group into the foreground if the runner is there.
func (t *terminal) hand(group int) { t.move(t.own, group) }

// takeBack puts the runner into the foreground if the group is there.
func (t *terminal) takeBack(group int) { t.move(group, t.own) }

func (t *terminal) move(from, to int) {
	if t.isAt(from) {
		// An error is a terminal that has gone; there is nothing to move then.
		_ = unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, to)
	}
}
