package child

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mortal lets the command die with the thread that starts it.
func mortal() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// What a child's siginfo tells, by the kernel's CLD_ numbers.
const (
	cldExited  = 1
	cldStopped = 5
)

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
			p.status = statusOf(&info)
			return 0, false
		}
		// Take the stop, and nothing else, off the kernel's list.
		if sig, ok := p.stopSignal(); ok {
			return sig, true
		}
	}
}

// statusOf is an end as wait tells it: the signal, or the code above it.
func statusOf(info *unix.Siginfo) unix.WaitStatus {
	status := unix.WaitStatus((*childInfo)(unsafe.Pointer(info)).status)
	if info.Code == cldExited {
		status <<= 8
	}
	return status
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
	pid, _  int32 // pid, uid
	status  int32
}

// adopt makes orphans of the command fall to this process, not to init.
func adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// bury reaps the orphans that have ended, but not the command.
func (p *process) bury() {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		pid := int((*childInfo)(unsafe.Pointer(&info)).pid)
		if err != nil || info.Signo == 0 || pid == p.pid {
			return
		}
		if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); got != pid || err != nil {
			return
		}
	}
}

// reap frees the pid of the ended command.
func (p *process) reap() {
	for {
		if _, err := unix.Wait4(p.pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
