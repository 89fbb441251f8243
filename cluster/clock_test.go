package cluster

import (
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

func TestReignClock(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	type step struct {
		op  string // look, propose, settle
		now time.Duration
	}
	ticks := func(from, to time.Duration) []step {
		var all []step
		for at := from; at <= to; at += lookEvery {
			all = append(all, step{"look", at})
		}
		return all
	}
	join := func(parts ...[]step) []step {
		var all []step
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for _, tt := range []struct {
		name      string
		steps     []step
		want      time.Duration // machine time after the steps, less the base
		uncounted time.Duration
	}{
		{"punctual looks count everything", ticks(50*ms, 2*s), 2 * s, 0},
		{"a late look within the bound counts fully", []step{{"look", 100 * ms}}, 100 * ms, 0},
		{"T5: a stopped process counts one bound, before any tick notices",
			[]step{{"propose", 9 * s}}, 100 * ms, 8900 * ms},
		{"T5: pauses of 0.9 s in each second", join(
			ticks(50*ms, 100*ms), []step{{"look", 1 * s}},
			ticks(1050*ms, 1100*ms), []step{{"look", 2 * s}},
		), 400 * ms, 1600 * ms},
		{"uncounted time never comes back", join([]step{{"look", 5 * s}}, ticks(5050*ms, 6*s)), 1100 * ms, 4900 * ms},
		{"time does not run backwards", []step{{"look", 100 * ms}, {"look", 40 * ms}, {"look", 100 * ms}}, 100 * ms, 0},
		{"an entry under way counts within the patience",
			join([]step{{"propose", 0}}, ticks(50*ms, 600*ms), []step{{"settle", 620 * ms}}), 620 * ms, 0},
		{"T4: the clock stands still behind a stalled entry",
			join([]step{{"propose", 0}}, ticks(50*ms, 6*s), []step{{"settle", 6 * s}}), 700 * ms, 5300 * ms},
		{"T4: the stall ends between two looks; the rest of the interval is not counted either",
			join([]step{{"propose", 0}}, ticks(50*ms, 700*ms), []step{{"settle", 740 * ms}, {"look", 750 * ms}}), 710 * ms, 40 * ms},
		{"after the stall it runs on", join(
			[]step{{"propose", 0}}, ticks(50*ms, 2*s), []step{{"settle", 2 * s}}, ticks(2050*ms, 3*s),
		), 1700 * ms, 1300 * ms},
		{"an entry that is refused and proposed again stays as old as it is", join(
			[]step{{"propose", 0}}, ticks(50*ms, 500*ms), []step{{"propose", 500 * ms}}, ticks(550*ms, 2*s),
		), 700 * ms, 1300 * ms},
		{"patience is counted from the proposal, not from the last look",
			join(ticks(50*ms, 1*s), []step{{"propose", 1040 * ms}}, ticks(1050*ms, 3*s)), 1740 * ms, 1260 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const base, origin = fsm.Instant(5 * fsm.Hour), 77 * time.Hour
			c := newReignClock(base, origin, 700*ms)
			for _, st := range tt.steps {
				before := c.time
				switch st.op {
				case "look":
					c.look(origin + st.now)
				case "propose":
					if got := c.propose(origin + st.now); got != c.time {
						t.Fatalf("stamp %d is not the time %d", got, c.time)
					}
				case "settle":
					c.settle(origin + st.now)
				}
				if c.time < before {
					t.Fatalf("time fell from %d to %d", before, c.time)
				}
			}
			if got := time.Duration(c.time.Sub(base)); got != tt.want {
				t.Errorf("counted %v, want %v", got, tt.want)
			}
			if c.uncounted != tt.uncounted {
				t.Errorf("uncounted %v, want %v", c.uncounted, tt.uncounted)
			}
		})
	}
}

// T3: the time that passed since a lost reign's origin is nothing to a new one.
func TestReignClockOfANewReignStartsAtItsOwnTakeover(t *testing.T) {
	first := newReignClock(100, time.Second, time.Second)
	first.look(time.Second + lookEvery)
	// Three hours under another leader, who brought machine time to 900.
	second := newReignClock(900, 3*time.Hour, time.Second)
	if got := second.look(3 * time.Hour); got != 900 {
		t.Errorf("a new reign begins at %d, want the machine's time at its takeover, 900", got)
	}
}

// Machine time never runs faster than real time, however it is looked at.
func TestReignClockIsNeverFast(t *testing.T) {
	seed := uint64(1)
	random := func(n uint64) uint64 {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		return seed % n
	}
	for range 2000 {
		c := newReignClock(0, 0, 700*time.Millisecond)
		now := time.Duration(0)
		for range 40 {
			step := time.Duration(random(uint64(120 * time.Millisecond)))
			if random(10) == 0 {
				step *= 30
			}
			from, at := c.time, now
			now += step
			switch random(3) {
			case 0:
				c.look(now)
			case 1:
				c.propose(now)
			default:
				c.settle(now)
			}
			if counted := time.Duration(c.time.Sub(from)); counted > now-at {
				t.Fatalf("counted %v of %v", counted, now-at)
			}
		}
		if time.Duration(c.time)+c.uncounted != now {
			t.Fatalf("counted %v and %v uncounted are not the %v that passed", time.Duration(c.time), c.uncounted, now)
		}
	}
}
