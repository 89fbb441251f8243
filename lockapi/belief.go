package lockapi

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// marginShare and marginMin are what a client stops believing early: time
	// for a look at the clock and the act that follows it.
	marginShare = 10
	marginMin   = 200 * time.Millisecond
	// driftShare: one part in so many by which the client's clock may run
	// slower than the machine's. NTP slews by at most one part in 2,000.
	driftShare = 1024
)

func marginOf(ttl time.Duration) time.Duration { return max(ttl/marginShare, marginMin) }

// A belief is what a client may take for true of machine time, without a clock
// in common with the machine.
//
// Take a command that was first sent at local time t, and of which the client
// knows that it was applied at machine time A. It was not applied before t,
// and machine time never runs faster than real time: so what is due at machine
// time U does not happen before local t + (U - A). Any acknowledged command
// will do, and the one that says most is used.
//
// "First sent" matters: a renewal sent at 0 is applied, its answer is slow, it
// is sent again at 8, and the first answer comes at 8.05. Were it counted from
// 8, the client would believe for 8 seconds after the service has stopped.
//
// Pairs of different age are compared with care: if the machine's clock gains
// one part in 20,000 on the client's, the oldest pair says most, and after two
// days it would be wrong by nine seconds. So every span of machine time counts
// for a little less, and then an old pair loses against a new one in time.
type belief struct {
	margin time.Duration
	known  bool
	offset time.Duration // the greatest t - slow(A)
	ends   fsm.Instant   // the session's deadline, as far as it was acknowledged
}

// slow is a span of machine time as the client's clock may show it at least.
func slow(i fsm.Instant) time.Duration { return time.Duration(i - i/driftShare) }

// credit takes the pair of an acknowledged command: first sent, applied at.
func (b *belief) credit(sent time.Duration, at fsm.Instant) {
	if offset := sent - slow(at); !b.known || offset > b.offset {
		b.known, b.offset = true, offset
	}
}

// renewed notes that the machine gave the session its whole TTL at the time at.
func (b *belief) renewed(at fsm.Instant, ttl time.Duration) {
	b.ends = max(b.ends, at.Add(fsm.Duration(ttl)))
}

// until is the local time from which the client may no longer count on u
// being still to come.
func (b *belief) until(u fsm.Instant) time.Duration {
	return b.offset + slow(u) - b.margin
}

// sessionUntil is until when to believe in the session.
func (b *belief) sessionUntil() time.Duration { return b.until(b.ends) }
