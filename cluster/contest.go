package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A seat is what is known of an address of Join: who was heard there.
type seat struct {
	asked  bool  // a call has ended, with or without an answer
	who    []ref // those who answered the last time; this node among them if it is its own
	silent int   // addresses of the name at which nobody did
}

// seated takes in what came of a call to an address of Join.
func (f *formation) seated(address string, s seat) {
	s.asked = true
	f.seats[address] = s
}

// contenders are the nodes that might found a cluster, as far as this one
// knows: itself, the empty nodes heard lately that expect any number of nodes,
// and one for each address of Join at which nobody is known to be. Whoever was
// told to found alone does not count those that it asked and that were silent.
func (f *formation) contenders(now time.Duration) (heard []sighting, silent []string) {
	fresh := f.fresh(now)
	heard = slices.DeleteFunc(slices.Clone(fresh), func(s sighting) bool { return !s.empty() || s.Expect == 0 })
	present := func(r ref) bool {
		return r == f.me.ref || slices.ContainsFunc(fresh, func(s sighting) bool { return s.ref == r })
	}
	for _, address := range f.join {
		s := f.seats[address]
		if address == f.address || f.alone && s.asked {
			continue
		}
		if !s.asked || s.silent > 0 || len(s.who) == 0 || !slices.ContainsFunc(s.who, present) {
			silent = append(silent, address)
		}
	}
	return heard, silent
}

// contested is F0: it tells whether the promises that this node may gather can
// be too few to be the only ones.
func (f *formation) contested(now time.Duration) bool {
	heard, silent := f.contenders(now)
	return 1+len(heard)+len(silent) >= 2*f.expect
}

// contest says what F0 waits for; "" if nothing.
func (f *formation) contest(now time.Duration) string {
	heard, silent := f.contenders(now)
	if f.expect == 0 || !f.contested(now) {
		return ""
	}
	var others []string
	for _, s := range heard {
		others = append(others, fmt.Sprintf("%s at %s expects %d", s.ID, s.Address, s.Expect))
	}
	for _, address := range silent {
		others = append(others, "nobody answers at "+address)
	}
	advice := "give all nodes of one cluster the same bootstrap-expect: their number"
	if f.expect == 1 && len(heard) == 0 {
		advice += ". If this node is to found a cluster of its own all the same, say so (bootstrap-alone)"
	}
	return fmt.Sprintf("expects %d (bootstrap-expect), but %d nodes could found a cluster, so that there could be several: %s; %s",
		f.expect, 1+len(heard)+len(silent), strings.Join(others, ", "), advice)
}
