package child

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// withoutTTOU does what would stop who does it from the background. The signal
// is blocked in this thread, and not ignored: the runner must hear of it when
// others of its group want the terminal.
func withoutTTOU(do func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var without, before unix.Sigset_t
	without.Val[0] = 1 << (unix.SIGTTOU - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &without, &before); err != nil {
		return
	}
	do()
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
}
