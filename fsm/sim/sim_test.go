package sim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this one `seed` alone")
	firstFlag = flag.Uint64("first", 1, "the first of the seeds")
	seedsFlag = flag.Uint64("seeds", 50, "how many")
	linesFlag = flag.Int("lines", 40, "of what happened last, where a promise was broken")
)

// TestSimulation runs one history for each seed, and wants: equal snapshots and
// chains at equal indexes, on every replica; the invariants, after every entry; what
// the ledger holds against every outcome; and that no two processes ever believe
// what contradicts each other, by their own clocks. When the network is repaired and
// everybody gives back what he has, no waiter is left and nothing is held; and when
// all have closed, there is no session.
func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		*firstFlag, *seedsFlag = *seedFlag, 1
	}
	var done, failed atomic.Uint64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for failed.Load() == 0 {
				n := done.Add(1) - 1
				if n >= *seedsFlag {
					return
				}
				seed := *firstFlag + n
				if why, _ := simulate(seed, false); why != "" && failed.Add(1) == 1 {
					t.Errorf("%s", report(seed))
				}
				progress(n + 1)
			}
		})
	}
	workers.Wait()
}

// report tells what happened last under a seed, and how to see it again.
func report(seed uint64) string {
	why, trace := simulate(seed, true)
	lines := min(*linesFlag, len(trace))
	return fmt.Sprintf("%s\nseed %d: %s\nagain: go test ./fsm/sim -run TestSimulation -seed %d",
		strings.Join(trace[len(trace)-lines:], "\n"), seed, why, seed)
}

// progress is shown on a terminal alone.
func progress(n uint64) {
	if n%100 != 0 && n != *seedsFlag {
		return
	}
	end := ""
	if n == *seedsFlag {
		end = "\n"
	}
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r%d of %d seeds%s", n, *seedsFlag, end)
	}
}

// simulate runs one history. It says what was broken, if anything was.
func simulate(seed uint64, tracing bool) (why string, trace []string) {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0)), tracing: tracing}
	w.ledger = newLedger(w)
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			why, trace = v.text, w.trace
		default:
			panic(v)
		}
	}()
	for range oneOf(w, 3, 3, 4, 5) {
		w.addNode()
	}
	for range w.rng.IntN(3) {
		w.addCaller()
	}
	for range 2 + w.rng.IntN(4) {
		w.spawn(nil)
	}
	w.after(0, w.rule)
	w.run(w.between(4*time.Second, 18*time.Second))
	w.heal()
	return "", w.trace
}

// heal repairs the network and sends everybody home.
func (w *world) heal() {
	w.calm = true
	w.note("the network is repaired")
	w.await("somebody waits or holds for ever", func() bool {
		locks, _ := w.view().Locks("", "", 1)
		return len(locks) == 0 && w.idle()
	})
	for _, p := range w.processes {
		if p.living() {
			p.close()
		}
	}
	w.await("a session does not end", func() bool {
		for id := range w.ledger.lives {
			if _, _, found := w.view().Session(id, 0, 0, 1); found {
				return false
			}
		}
		return w.idle()
	})
	w.run(w.now + 5*time.Second)
	for _, n := range w.nodes {
		if n.snapshot(); n.applied != len(w.log) {
			w.fail("node %d has applied %d of %d entries", n.id, n.applied, len(w.log))
		}
	}
}

// view is the state as of all that is committed.
func (w *world) view() *fsm.View {
	newest := w.nodes[0]
	for _, n := range w.nodes {
		if n.applied > newest.applied {
			newest = n
		}
	}
	return newest.state.View()
}

// idle tells whether nobody has anything on its way.
func (w *world) idle() bool {
	for _, p := range w.processes {
		if !p.alive {
			continue
		}
		if !p.living() || len(p.sent) > 0 || p.some(func(a *acquire) bool { return !a.over }) != nil {
			return false
		}
	}
	return true
}

// await runs on until then, within more time than any deadline takes.
func (w *world) await(otherwise string, then func() bool) {
	for end := w.now + time.Minute; !then(); {
		if w.now > end {
			locks, _ := w.view().Locks("", "", 10)
			w.fail("%s: %+v", otherwise, locks)
		}
		w.run(w.now + 250*time.Millisecond)
	}
}
