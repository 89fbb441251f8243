package verdict

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// Agreed is what the replicas' own journals say of them.
type Agreed struct {
	Verdict  Verdict
	Entries  int // that were compared: at least two replicas, or lives of one, came to it
	Findings []Finding
}

// Agree wants that all replicas, in all their lives, came to the same state at each
// index: that no two applied different entries there, or the same one with
// different effects (state-machine safety, figure 3 of the Raft paper). Journals
// are by the replica's name. If no state can be compared it is Undecided.
func Agree(journals map[string]io.Reader) (Agreed, error) {
	type seen struct {
		hash     uint64
		by       string
		compared bool
	}
	states := make(map[uint64]seen)
	var out Agreed
	for _, replica := range slices.Sorted(maps.Keys(journals)) {
		err := history.LoadJournal(journals[replica], func(e history.Entry) error {
			before, known := states[e.Index]
			switch {
			case !known:
				states[e.Index] = seen{hash: e.Hash, by: replica}
				return nil
			case before.hash != e.Hash && len(out.Findings) < findingsMax:
				out.Findings = append(out.Findings, Finding{What: fmt.Sprintf(
					"at index %d replica %s came to %016x, and %s to %016x", e.Index, before.by, before.hash, replica, e.Hash)})
			}
			if !before.compared {
				before.compared = true
				states[e.Index] = before
				out.Entries++
			}
			return nil
		})
		if err != nil {
			return Agreed{}, fmt.Errorf("the journal of %s: %w", replica, err)
		}
	}
	switch {
	case len(out.Findings) > 0:
		out.Verdict = Violated
	case out.Entries > 0:
		out.Verdict = Pass
	}
	return out, nil
}
