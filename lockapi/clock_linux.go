package lockapi

import (
	"time"

	"golang.org/x/sys/unix"
)

// systemClock is the time since boot, the time in which the machine slept
// included: a holder that slept past its TTL must know so when it wakes.
func systemClock() func() time.Duration {
	var first unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &first) != nil {
		return processClock()
	}
	return newBootClock(mappedClocks(), func() time.Duration {
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // it has worked above
		return time.Duration(now.Nano())
	}).now
}
