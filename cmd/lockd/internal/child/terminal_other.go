//go:build unix && !linux

package child

import (
	"os/signal"
	"syscall"
)

// withoutTTOU does what would stop who does it from the background. One
// thread's mask cannot be had here; the signal is ignored from the first time on.
func withoutTTOU(do func()) {
	signal.Ignore(syscall.SIGTTOU)
	do()
}
