package cluster

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// lookEvery is how often a leader looks at its clock at least. Two looks
	// make an interval.
	lookEvery = 50 * time.Millisecond
	// countedMax is what counts of one interval at most: twice lookEvery, so
	// that a late tick costs nothing and a paused process little.
	countedMax = 100 * time.Millisecond
)

// A reignClock turns one reign's monotonic clock into machine time. It is a
// value: it reads no clock, it is told. One reign, one reignClock: time origins
// are never carried from a reign to the next, because between the two another
// leader may have renewed sessions (T3).
//
// Its time never runs faster than real time, and every error is on the slow
// side, which holds longer. What is not counted stays uncounted for ever:
//
//   - of an interval between two looks, all but countedMax. The process was
//     stopped or starved, and the renewals that would have saved the sessions
//     lie in its socket buffers (T5);
//   - everything while the proposed entry is older than the patience. The disk
//     or the majority stalls, and the renewals pile up behind the entry (T4).
type reignClock struct {
	time      fsm.Instant   // machine time at the last look
	last      time.Duration // monotonic time of the last look
	patience  time.Duration // one heartbeat timeout
	proposed  time.Duration // when the entry under way was proposed
	underWay  bool
	uncounted time.Duration // so far in this reign, for the log
}

// newReignClock starts at base, the machine's time when takeover was applied;
// now must be read after that.
func newReignClock(base fsm.Instant, now, patience time.Duration) reignClock {
	return reignClock{time: base, last: now, patience: patience}
}

// look counts the time since the last look and returns the machine time. A now
// before the last look counts nothing.
func (c *reignClock) look(now time.Duration) fsm.Instant {
	passed := now - c.last
	if passed <= 0 {
		return c.time
	}
	counted := passed
	if c.underWay {
		counted = min(counted, max(0, c.proposed+c.patience-c.last))
	}
	counted = min(counted, countedMax)
	c.time = c.time.Add(fsm.Duration(counted))
	c.uncounted += passed - counted
	c.last = now
	return c.time
}

// propose looks, and notes that an entry leaves now: the machine time returned
// is its stamp. Nothing may be added to the entry afterwards (T2): a renewal
// that was sent after the stamp was read would be promised less than its TTL.
// One that is proposed again, because raft refused it, is as old as at first.
func (c *reignClock) propose(now time.Duration) fsm.Instant {
	stamp := c.look(now)
	if !c.underWay {
		c.proposed, c.underWay = now, true
	}
	return stamp
}

// settle looks, and notes that the entry is applied or refused.
func (c *reignClock) settle(now time.Duration) {
	c.look(now)
	c.underWay = false
}
