package verdict

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// Apart wants that no two clients were sure of one lock at one time, and that
// whoever held it later had the greater token: another client a greater one, the
// same client none that is smaller (its beliefs may be parts of one hold).
func Apart(beliefs []history.Belief) (found []Finding) {
	sorted := slices.Clone(beliefs)
	slices.SortFunc(sorted, func(a, b history.Belief) int { return cmp.Compare(a.From, b.From) })
	var reaches history.Belief
	if len(sorted) > 0 {
		reaches = sorted[0]
	}
	for i := 1; i < len(sorted) && len(found) < findingsMax; i++ {
		before, after := sorted[i-1], sorted[i]
		switch {
		case reaches.To >= after.From && reaches.Client != after.Client:
			found = append(found, Finding{What: fmt.Sprintf(
				"client %d was sure of the lock (token %d) until %.4f s, and client %d (token %d) from %.4f s",
				reaches.Client, reaches.Token, seconds(reaches.To), after.Client, after.Token, seconds(after.From))})
		case before.Token > after.Token || before.Token == after.Token && before.Client != after.Client:
			found = append(found, Finding{What: fmt.Sprintf(
				"client %d held the lock with token %d, and client %d later, with token %d", before.Client, before.Token, after.Client, after.Token)})
		}
		// The one that reaches farthest of those before is the one to be held
		// against: sorted by From, a long belief outlives short ones.
		if after.To > reaches.To {
			reaches = after
		}
	}
	return found
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
