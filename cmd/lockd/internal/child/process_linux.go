package child

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attributes make the command the leader of a group, and mortal with the
// thread that starts it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// cldStopped is CLD_STOPPED: the child was stopped.
const cldStopped = 5

// awaitChange waits until the command is stopped or has ended, and leaves an
// ended one to reap.
func (p *process) awaitChange() (by unix.Signal, stopped bool) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || info.Code != cldStopped {
			return 0, false
		}
		// Take the stop, and nothing else, off the kernel's list.
		if sig, ok := p.stopSignal(); ok {
			return sig, true
		}
	}
}

// stopSignal is false if the command was continued or killed meanwhile.
func (p *process) stopSignal() (unix.Signal, bool) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, p.pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
	if err != nil || info.Signo == 0 {
		return 0, false
	}
	return unix.Signal((*childInfo)(unsafe.Pointer(&info)).status), true
}

// childInfo is what the kernel's siginfo holds about a child; x/sys names
// only the head of it. The union begins where a pointer may.
type childInfo struct {
	_, _, _ int32 // signo, errno, code
	_       [0]uintptr
	_, _    int32 // pid, uid
	status  int32
}

// reap frees the pid of the ended command and tells its exit code.
func (p *process) reap() int {
	for {
		if _, err := unix.Wait4(p.pid, &p.status, 0, nil); !errors.Is(err, unix.EINTR) {
			return exitCode(p.status)
		}
	}
}
