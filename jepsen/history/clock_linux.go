package history

import "golang.org/x/sys/unix"

// MachineClock is one clock for all processes of a machine, in nanoseconds: the time
// since it was booted. It goes on while a process is stopped, and nobody can set it.
func MachineClock() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic("history: the system does not tell the time since boot: " + err.Error())
	}
	return now.Nano()
}
