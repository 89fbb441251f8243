package lockapi

import (
	"testing"
	"time"
)

// A fakeMachine has the clocks of one that can sleep.
type fakeMachine struct {
	wall, monotonic, boot time.Duration
	asked                 int
	pause                 time.Duration // of the process, while it asks
}

func (m *fakeMachine) run(d time.Duration) {
	m.wall, m.monotonic, m.boot = m.wall+d, m.monotonic+d, m.boot+d
}

func (m *fakeMachine) sleep(d time.Duration) { m.wall, m.boot = m.wall+d, m.boot+d }

func (m *fakeMachine) clock() *bootClock {
	return newBootClock(func() (time.Duration, time.Duration) { return m.wall, m.monotonic }, func() time.Duration {
		m.asked++
		boot := m.boot
		m.run(m.pause)
		m.pause = 0
		return boot
	})
}

func (m *fakeMachine) want(t *testing.T, c *bootClock) {
	t.Helper()
	if got := c.now(); (got - m.boot).Abs() > askJitter {
		t.Fatalf("the clock says %v, it is %v", got, m.boot)
	}
}

func TestBootClock(t *testing.T) {
	m := &fakeMachine{wall: 90 * time.Hour, monotonic: time.Second, boot: time.Hour}
	c := m.clock()
	m.want(t, c)
	for range 10 {
		m.run(time.Millisecond)
		m.want(t, c)
	}
	if m.asked != 1 {
		t.Fatalf("asked %d times in ten milliseconds", m.asked)
	}
	m.sleep(2 * askJitter)
	m.want(t, c) // however soon after a reading
	m.sleep(9 * time.Hour)
	m.want(t, c)
	m.wall -= 9 * time.Hour // somebody sets the time of day
	m.want(t, c)
	m.run(time.Millisecond)
	m.want(t, c)

	// A sleep that a change of the time of day hides shows a little later.
	m.sleep(time.Hour)
	m.wall -= time.Hour
	m.run(askEvery)
	m.want(t, c)

	// The process stands still while it asks.
	m.sleep(time.Minute)
	m.pause = time.Minute
	m.want(t, c)
	m.run(time.Millisecond)
	m.want(t, c)
}

// Readings are never quite at once: the clock does not fall for that.
func TestBootClockDoesNotFall(t *testing.T) {
	m := &fakeMachine{}
	c := m.clock()
	last := c.now()
	for i := range 1000 {
		m.run(askEvery / 3)
		m.boot += time.Duration(i%3-1) * askJitter / 3
		if now := c.now(); now < last {
			t.Fatalf("%v after %v", now, last)
		} else {
			last = now
		}
	}
}

// The real one agrees with the system.
func TestSystemClockRuns(t *testing.T) {
	clock := systemClock()
	first := clock()
	start := time.Now()
	for time.Since(start) < 2*askEvery {
		if now := clock(); now < first {
			t.Fatal("fell")
		}
	}
	if passed := clock() - first; passed < 2*askEvery-askJitter {
		t.Fatal(passed)
	}
}

func BenchmarkSystemClock(b *testing.B) {
	clock := systemClock()
	for b.Loop() {
		clock()
	}
}
