package lockapi

import (
	"sync/atomic"
	"time"
)

const (
	// askEvery bounds how long a bootClock goes on without asking.
	askEvery = 50 * time.Millisecond
	// askJitter is what two readings of one clock may differ by because the
	// process did not run between them.
	askJitter = time.Millisecond
	// askTries: readings that such a pause spoilt are made again.
	askTries = 4
)

// A bootClock is the time since boot, the machine's sleep included, at the
// price of the clocks that the kernel maps into the process: to ask for the
// time since boot is a system call, and a lock and its release take six
// readings. While a machine sleeps its monotonic clock stands and its time of
// day goes on, so that a sleep is seen as the one gaining on the other. Whenever
// they have moved against each other, be it that somebody set the time of day,
// and every askEvery in any case, the system is asked.
type bootClock struct {
	read func() (wall, monotonic time.Duration)
	boot func() time.Duration
	last atomic.Pointer[bootReading]
}

// A bootReading is what the system said when it was asked.
type bootReading struct {
	asked time.Duration // monotonic
	drift time.Duration // wall less monotonic
	slept time.Duration // since boot less monotonic
}

func newBootClock(read func() (wall, monotonic time.Duration), boot func() time.Duration) *bootClock {
	c := &bootClock{read: read, boot: boot}
	c.ask(nil)
	return c
}

// now may be called from any goroutine. It never falls by more than askJitter.
func (c *bootClock) now() time.Duration {
	wall, monotonic := c.read()
	last := c.last.Load()
	if monotonic-last.asked >= askEvery || (wall-monotonic-last.drift).Abs() > askJitter {
		last = c.ask(last)
		monotonic = last.asked
	}
	return monotonic + last.slept
}

func (c *bootClock) ask(last *bootReading) *bootReading {
	var next bootReading
	for range askTries {
		wall, monotonic := c.read()
		boot := c.boot()
		_, after := c.read()
		next = bootReading{asked: monotonic, drift: wall - monotonic, slept: boot - monotonic}
		if after-monotonic < askJitter {
			break
		}
	}
	if last != nil && (next.slept-last.slept).Abs() < askJitter {
		next.slept = last.slept // no sleep; the readings are never quite at once
	}
	c.last.Store(&next)
	return &next
}

// mappedClocks are the time of day and the monotonic time of the process.
func mappedClocks() func() (wall, monotonic time.Duration) {
	start := time.Now()
	return func() (wall, monotonic time.Duration) {
		now := time.Now()
		return time.Duration(now.UnixNano()), now.Sub(start)
	}
}
