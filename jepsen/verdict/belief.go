package verdict

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// Apart wants that no two clients were sure of one lock at one time, and that
// whoever held it later had the greater token.
func Apart(beliefs []history.Belief) (found []Finding) {
	sorted := slices.Clone(beliefs)
	slices.SortFunc(sorted, func(a, b history.Belief) int { return cmp.Compare(a.From, b.From) })
	for i := 1; i < len(sorted) && len(found) < findingsMax; i++ {
		before, after := sorted[i-1], sorted[i]
		// The one that reaches farthest of those before is the one to be held
		// against: sorted by From, a long belief outlives short ones.
		if before.To > after.To {
			sorted[i] = before
		}
		switch {
		case before.To >= after.From && before.Client != after.Client:
			found = append(found, Finding{What: fmt.Sprintf(
				"client %d was sure of the lock (token %d) until %.4f s, and client %d (token %d) from %.4f s",
				before.Client, before.Token, seconds(before.To), after.Client, after.Token, seconds(after.From))})
		case before.Token >= after.Token && before.Client != after.Client:
			found = append(found, Finding{What: fmt.Sprintf(
				"client %d held the lock with token %d, and client %d later, with token %d", before.Client, before.Token, after.Client, after.Token)})
		}
	}
	return found
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
