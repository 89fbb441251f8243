package lockapi

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockd-io/lockd/fsm"
)

// TestBeliefNeverOutlivesTheService plays random histories of one session:
// renewals that are slow in either direction, answers that never come, a
// machine whose time stands still for a while, and a client whose clock is
// wrong by as much as is allowed for. At no time may the client believe in a
// deadline that the machine has reached.
func TestBeliefNeverOutlivesTheService(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ttl := time.Duration(rapid.IntRange(500, 60_000).Draw(t, "ttl ms")) * time.Millisecond
		drift := rapid.IntRange(-500, 500).Draw(t, "drift ppm")
		local := func(real time.Duration) time.Duration {
			return real + real/1_000_000*time.Duration(drift)
		}
		b := belief{margin: marginOf(ttl)}
		var real time.Duration
		var machine fsm.Instant // at real
		var serviceEnds fsm.Instant
		step := func(label string, most time.Duration) {
			d := time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, label))
			real += d
			if !rapid.Bool().Draw(t, "stands still") {
				machine += fsm.Instant(d)
			}
		}
		believed := func() bool { return b.known && local(real) < b.sessionUntil() }
		for range rapid.IntRange(1, 60).Draw(t, "renewals") {
			sent := local(real)
			step("way there", ttl/2)
			if machine >= serviceEnds && serviceEnds > 0 {
				return // the session has ended
			}
			at := machine
			serviceEnds = max(serviceEnds, at.Add(fsm.Duration(ttl)))
			step("way back", ttl/2)
			if rapid.IntRange(0, 4).Draw(t, "lost") > 0 {
				b.credit(sent, at)
				b.renewed(at, ttl)
			}
			step("pause", ttl/3)
			if believed() && machine >= serviceEnds {
				t.Fatalf("at machine time %d the client still believes in a session that ended at %d", machine, serviceEnds)
			}
		}
		// Nobody renews any more: the client must be the first to know.
		left := serviceEnds.Sub(machine)
		real += time.Duration(left)
		machine = serviceEnds
		if believed() {
			t.Fatalf("the service ends at %v real, the client believes until %v of its clock, which shows %v", real, b.sessionUntil(), local(real))
		}
	})
}

// A pair of a week ago must not speak against a slow clock for ever.
func TestBeliefForgetsOldPairs(t *testing.T) {
	const ttl = 10 * time.Second
	b := belief{margin: marginOf(ttl)}
	// The client's clock loses 100 parts in a million on the machine's.
	for machine := time.Duration(0); machine < 7*24*time.Hour; machine += ttl / 3 {
		at := fsm.Instant(machine)
		b.credit(machine-machine/10_000, at)
		b.renewed(at, ttl)
		ends := time.Duration(b.ends)
		if until := b.sessionUntil(); until > ends-ends/10_000 {
			t.Fatalf("after %v the client believes for %v longer than the service", machine, until-(ends-ends/10_000))
		}
	}
}

func TestBeliefUsesTheBestPair(t *testing.T) {
	b := belief{margin: time.Second}
	const at = fsm.Instant(fsm.Second)
	b.credit(10*time.Second, at)
	b.renewed(at, 10*time.Second)
	want := b.sessionUntil()
	// The end of a long wait was sent long before it was applied. It says less.
	b.credit(10*time.Second, fsm.Instant(60*fsm.Second))
	if got := b.sessionUntil(); got != want {
		t.Errorf("a bad pair moved the belief from %v to %v", want, got)
	}
	// What is due at 61 s is due 1 s after a command that was sent at 70 s and applied at 60 s.
	b.credit(70*time.Second, fsm.Instant(60*fsm.Second))
	got := b.until(fsm.Instant(61 * fsm.Second))
	if got > 70*time.Second || got < 70*time.Second-time.Millisecond {
		t.Errorf("believes until %v, not just under 70s", got)
	}
}

// An answer that lay about says less than one that came before it, and takes nothing
// back: neither of when the session ends, nor of what is known of the clock.
func TestBeliefDoesNotMoveBack(t *testing.T) {
	b := belief{margin: marginOf(10 * time.Second)}
	b.credit(5*time.Second, fsm.Instant(5*fsm.Second))
	b.renewed(fsm.Instant(5*fsm.Second), 10*time.Second)
	until := b.sessionUntil()
	b.credit(time.Second, fsm.Instant(fsm.Second))
	b.renewed(fsm.Instant(fsm.Second), 10*time.Second)
	if now := b.sessionUntil(); now < until {
		t.Errorf("believed until %v, and then until %v", until, now)
	}
}

func TestMargin(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		500 * time.Millisecond: 200 * time.Millisecond,
		2 * time.Second:        200 * time.Millisecond,
		10 * time.Second:       time.Second,
	} {
		if got := marginOf(ttl); got != want {
			t.Errorf("margin of %v: %v, not %v", ttl, got, want)
		}
	}
}

func TestWindowIsFull(t *testing.T) {
	w := newWindow(1)
	n := 0
	for ; w.room(0) && n < 2*fsm.WindowSize; n++ {
		if reserved := !w.room(reserve); reserved != (n >= fsm.WindowSize-reserve) {
			t.Fatalf("the reserve begins at %d", n)
		}
		w.take()
	}
	if n != fsm.WindowSize {
		t.Errorf("%d numbers were given out", n)
	}
	if w.settle(2); w.room(0) {
		t.Error("room although the lowest is not settled")
	}
	if w.settle(1); w.mark != 3 || !w.room(0) {
		t.Errorf("mark %d", w.mark)
	}
}

// TestWindow holds the window against the obvious implementation.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWindow(1)
		open := map[fsm.Seq]bool{}
		lowest := func() fsm.Seq {
			for seq := fsm.Seq(1); seq < w.next; seq++ {
				if open[seq] {
					return seq
				}
			}
			return w.next
		}
		for range rapid.IntRange(1, 4*fsm.WindowSize).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "take") && w.room(0) {
				seq := w.take()
				if open[seq] || seq-w.mark >= fsm.WindowSize {
					t.Fatalf("gave %d with the mark at %d", seq, w.mark)
				}
				open[seq] = true
			} else {
				seq := fsm.Seq(rapid.Uint64Range(0, uint64(w.next)+2).Draw(t, "seq"))
				w.settle(seq)
				delete(open, seq)
			}
		}
		if want := lowest(); w.mark != want {
			t.Fatalf("mark %d, want %d", w.mark, want)
		}
		if w.room(0) != (w.next-w.mark < fsm.WindowSize) {
			t.Fatalf("room with next %d and mark %d", w.next, w.mark)
		}
	})
}

func TestLabelIsCut(t *testing.T) {
	long := make([]byte, 0, 300)
	for range 100 {
		long = append(long, "ä\x00"...)
	}
	if got := cutLabel(string(long)); !fsm.ValidText(got, fsm.LabelSizeMax) || len(got) < fsm.LabelSizeMax-1 {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	if got := defaultLabel(); got == "" || !fsm.ValidText(got, fsm.LabelSizeMax) {
		t.Errorf("default label %q", got)
	}
}

func TestSystemClock(t *testing.T) {
	for _, clock := range []func() time.Duration{systemClock(), processClock()} {
		if a, b := clock(), clock(); a < 0 || b < a {
			t.Errorf("%v, then %v", a, b)
		}
	}
}
