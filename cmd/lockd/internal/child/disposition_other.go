//go:build unix && !linux

package child

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// byDefault has a signal do to this process what it does by default, as far as
// Go can: a stop is SIGSTOP, and SIGQUIT has no effect.
func byDefault(sig unix.Signal) {
	switch sig {
	case unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		sig = unix.SIGSTOP
	case unix.SIGINT, unix.SIGTERM, unix.SIGHUP:
		signal.Reset(sig)
	default:
		return
	}
	_ = unix.Kill(os.Getpid(), sig)
}

// ignored is not known here.
func ignored(unix.Signal) bool { return false }

func noCore() {}
