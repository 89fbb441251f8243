package verdict

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lockd-io/lockd/jepsen/history"
)

// splitOf is what Linearizable searches, and what the witness took.
func splitOf(h history.History) ([]history.History, map[place]int) {
	w, _ := witnessOf(h)
	whole, _ := expiries(h, drift)
	split, _ := parts(abandoned(whole))
	return split, w.taken
}

// A part that has no order has none when it is narrowed either, whatever is said to
// have been taken, in whatever order.
func TestNarrowedFindsNoOrderThatIsNone(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, h := range histories(t, "bad") {
		split, taken := splitOf(h)
		for _, part := range split {
			m := modelOf(part)
			if porcupine.CheckOperationsTimeout(m, operations(part), time.Minute) != porcupine.Illegal {
				continue
			}
			for try := range 200 {
				if try > 0 {
					taken = make(map[place]int)
					for i, turn := range rng.Perm(len(part)) {
						if rng.IntN(4) > 0 {
							taken[placeOf(&part[i])] = turn
						}
					}
				}
				if ops, agrees := narrowed(part, taken); agrees && porcupine.CheckOperationsTimeout(m, ops, time.Minute) == porcupine.Ok {
					t.Fatalf("%s, %d: an order", name, try)
				}
			}
		}
	}
}

// A semaphore's part of a run that was undecided after a minute, 305 operations, has
// the order that the witness shows.
func TestShownOrderDecides(t *testing.T) {
	got := Linearizable(historiesOf(t, "shown")["semaphore"], 5*time.Second)
	if got.Verdict != Pass || got.Ops == 0 || got.Shown != got.Ops {
		t.Errorf("%v, %d of %d operations shown, %v", got.Verdict, got.Shown, got.Ops, got.Findings)
	}
}

// What the machine does always has an order that the witness shows.
func TestNarrowedFindsTheWitnesssOrder(t *testing.T) {
	for seed := range uint64(200) {
		w := newWorld(seed, 6)
		for range 1500 {
			w.step()
		}
		split, taken := splitOf(w.finish())
		for _, part := range split {
			ops, agrees := narrowed(part, taken)
			if !agrees || porcupine.CheckOperationsTimeout(modelOf(part), ops, time.Minute) != porcupine.Ok {
				t.Errorf("seed %d: no order of %d operations of %s", seed, len(part), namesOf(part))
			}
		}
	}
}
