package fsm

import "strconv"

// A type for each kind of number, so that none is passed for another.
type (
	// Index is the place of an entry in the log that orders the commands.
	Index uint64
	// Term is the term of the leader that put an entry into the log.
	Term uint64
	// Instant is machine time: nanoseconds that the machine has counted since
	// its first entry. It has nothing to do with the time of day.
	Instant int64
	// Duration is a span of machine time in nanoseconds.
	Duration int64
	// Level is the feature level of the state. Any change in what Apply does
	// or answers for the same bytes is a new level.
	Level uint32
	// SessionID numbers a session. The machine gives it and never reuses it;
	// 0 is no client's, see ReservedSession.
	SessionID uint64
	// Incarnation counts the processes that lived a session, from 1. Commands
	// of a lower one are fenced.
	Incarnation uint32
	// Seq numbers the commands of one incarnation of a session, from 1.
	Seq uint64
	// EventID numbers what a session must be told and acknowledge, from 1.
	EventID uint64
	// GrantID numbers a successful acquire, over all names and sessions.
	GrantID uint64
	// WaiterID numbers a place in a queue, over all names: the global order.
	WaiterID uint64
	// Permits counts the permits of a semaphore.
	Permits uint32
)

// ReservedSession holds what is held by no session of a client's: each such grant
// has a deadline of its own. It never expires, nobody can speak for it, and it is
// told of nothing.
const ReservedSession SessionID = 0

// Units of Duration.
const (
	Millisecond Duration = 1_000_000
	Second               = 1000 * Millisecond
	Hour                 = 3600 * Second
)

// Forever as a wait never times out.
const Forever Duration = -1

// Add moves an instant by d; it stops at the greatest instant.
func (i Instant) Add(d Duration) Instant {
	if sum := i + Instant(d); sum >= i || d < 0 {
		return sum
	}
	return instantMax
}

// instantMax does not come.
const instantMax = Instant(1<<63 - 1)

// Sub is the span from j to i.
func (i Instant) Sub(j Instant) Duration { return Duration(i - j) }

// Token is a fencing token: 15 bits of epoch over 48 bits of a counter, so
// that it stays positive as a signed 64-bit number. Tokens rise strictly over
// all names and kinds, for ever.
type Token uint64

const tokenCounterBits = 48

// Epoch is raised by a restore, so that tokens of a lost time line stay dead.
type Epoch uint16

const epochMax Epoch = 1<<15 - 1

func makeToken(e Epoch, counter uint64) Token {
	return Token(uint64(e)<<tokenCounterBits | counter)
}

// Epoch is the part that a restore raises.
func (t Token) Epoch() Epoch { return Epoch(t >> tokenCounterBits) }

// String is the decimal form, which is also its form in JSON: 2^53 is passed
// at epoch 32.
func (t Token) String() string { return strconv.FormatUint(uint64(t), 10) }

func (id SessionID) String() string { return strconv.FormatUint(uint64(id), 10) }
func (id GrantID) String() string   { return strconv.FormatUint(uint64(id), 10) }
