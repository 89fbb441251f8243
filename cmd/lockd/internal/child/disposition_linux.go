package child

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A disposition is what the kernel does about a signal. Its zero is the default
// action, on every architecture; no part of it is looked at.
type disposition [8]uintptr

// signalSet is the size of the kernel's set of signals, in bytes.
const signalSet = 8

// setDisposition is sigaction(2). os/signal cannot bring the default back: what
// was once asked for, Go drops afterwards, or ends by it with all its stacks.
func setDisposition(sig unix.Signal, now *disposition) (before disposition) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(now)),
		uintptr(unsafe.Pointer(&before)), signalSet, 0, 0)
	return before
}

// byDefault has a signal do to this process what it does by default, now. It
// returns when the process was continued, or if nothing has come of it: a
// group that nobody could continue is not stopped.
func byDefault(sig unix.Signal) {
	runtime.LockOSThread() // to this thread the signal comes before Tgkill returns
	defer runtime.UnlockOSThread()
	before := setDisposition(sig, &disposition{})
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
	setDisposition(sig, &before)
}

// ignored tells of a signal that Go does not catch unasked whether this process
// ignores it.
func ignored(sig unix.Signal) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(status, []byte("\nSigIgn:"))
	field, _, _ := bytes.Cut(after, []byte("\n"))
	set, err := strconv.ParseUint(string(bytes.TrimSpace(field)), 16, 64)
	return err == nil && set>>(sig-1)&1 == 1
}

// noCore sees that SIGQUIT leaves no core: it would be the runner's.
func noCore() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // or a pattern of pipes gets one all the same
}
