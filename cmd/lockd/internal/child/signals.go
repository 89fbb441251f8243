package child

import (
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalMax is the last signal that there may be.
const signalMax = 64

// stops are what stops a program by default and can be caught.
var stops = [...]syscall.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU}

// Notify asks for the signals that end a program by default, to be passed on to a
// command, but for those that whoever started the runner wants ignored, as nohup
// does. SIGQUIT is ignored with SIGINT: a shell without job control has its
// background commands ignore both, of which Go tells the one.
func Notify(signals chan<- os.Signal) {
	if signal.Ignored(unix.SIGINT) {
		signal.Ignore(unix.SIGQUIT)
	}
	for sig := syscall.Signal(1); sig <= signalMax; sig++ {
		if ends(sig) && !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
}

// ends tells whether a signal is one that Notify asks for.
func ends(sig syscall.Signal) bool {
	switch sig {
	case unix.SIGKILL, unix.SIGSTOP: // cannot be caught
		return false
	case unix.SIGCHLD, unix.SIGCONT, unix.SIGWINCH: // end nobody
		return false
	case unix.SIGPIPE, unix.SIGURG, unix.SIGPROF: // the runner's own: of its connections, of Go
		return false
	case 32, 33, 34: // the C library's
		return false
	}
	return !slices.Contains(stops[:], sig)
}

// tells are the signals after which a stopped command is continued, or it could
// not do as it is told.
func tells(sig unix.Signal) bool {
	switch sig {
	case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGTERM:
		return true
	}
	return false
}

// jobSignals are those of job control, and of the window's size, while there is a
// command. stop leaves them to the kernel again.
func jobSignals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 16)
	signal.Notify(c, unix.SIGCONT, unix.SIGWINCH)
	for _, sig := range stops {
		if !ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	return c, func() { signal.Stop(c) }
}
