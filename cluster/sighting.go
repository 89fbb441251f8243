package cluster

import (
	"slices"
	"strings"
	"time"
)

// A report is what a node says of itself, in every message.
type report struct {
	ref
	Boot    instance `json:"boot"` // the process: a copied directory has another
	Address string   `json:"address"`
	Expect  int      `json:"expect"`
	standing

	Promised ref       `json:"promised_to"`
	Cluster  clusterID `json:"cluster_id"`
	// Chosen are the ids that the founder is about to add.
	Chosen []string `json:"chosen,omitempty"`
	// Leader is who leads, as far as a member knows.
	Leader        string `json:"leader,omitempty"`
	LeaderAddress string `json:"leader_address,omitempty"`
	// Known are the addresses of nodes heard from lately.
	Known []string `json:"known,omitempty"`
}

// announcement is the part of a report that is judged.
func (r report) announcement() announcement {
	return announcement{r.Instance, r.Boot, r.Address, r.standing}
}

func (r report) empty() bool     { return !r.Cluster.known() }
func (r report) proposing() bool { return r.empty() && r.Promised == r.ref }

type sightingKey struct {
	ref
	address string
}

type sighting struct {
	report
	at time.Duration
}

// report is what this node says of itself.
func (f *formation) report(now time.Duration) report {
	r := report{
		ref: f.me.ref, Boot: f.boot, Address: f.address, Expect: f.expect,
		Promised: f.me.Promised, Cluster: f.me.Cluster,
	}
	for _, p := range f.me.Owed {
		r.Chosen = append(r.Chosen, p.ID)
	}
	for _, s := range f.fresh(now) {
		if len(r.Known) < knownMax {
			r.Known = append(r.Known, s.Address)
		}
	}
	return r
}

// heard takes in what another node said of itself.
func (f *formation) heard(now time.Duration, r report) {
	if r.Boot == f.boot {
		return // this very process, under its own address
	}
	if r.ref == f.me.Promised && r.Promised != (ref{}) && r.Promised != r.ref {
		// It will never mint (F3). A report without any promise says nothing: it
		// may be older than the proposal.
		f.abdicated = r.ref
	}
	key := sightingKey{r.ref, r.Address}
	if _, ok := f.seen[key]; ok || len(f.seen) < seenMax {
		f.seen[key] = sighting{report: r, at: now}
	}
	f.hinted(now, r.Known)
	for key, s := range f.seen {
		if now-s.at > stuckAfter {
			delete(f.seen, key)
		}
	}
}

// hinted takes in addresses that others named, and forgets those that nobody
// names any more.
func (f *formation) hinted(now time.Duration, addresses []string) {
	for address, at := range f.hints {
		if now-at > stuckAfter {
			delete(f.hints, address)
		}
	}
	for _, address := range addresses {
		if _, ok := f.hints[address]; ok || len(f.hints) < hintsMax {
			f.hints[address] = now
		}
	}
}

// addresses are those worth a probe: given ones, those heard, those named.
func (f *formation) addresses() []string {
	all := slices.Clone(f.join)
	for key := range f.seen {
		all = append(all, key.address)
	}
	for address := range f.hints {
		all = append(all, address)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(a string) bool { return a == f.address })
}

// fresh are the nodes heard lately, by id. An id that more than one of them
// claims is left out: one of them is a copy, or misnamed.
func (f *formation) fresh(now time.Duration) []sighting {
	var list []sighting
	for _, s := range f.seen {
		if now-s.at <= freshFor {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b sighting) int { return strings.Compare(a.ID, b.ID) })
	var alone []sighting
	for i, s := range list {
		if i > 0 && list[i-1].ID == s.ID || i+1 < len(list) && list[i+1].ID == s.ID || s.ID == f.me.ID {
			continue
		}
		alone = append(alone, s)
	}
	return alone
}

// rivals are other nodes that go by this node's id.
func (f *formation) rivals(now time.Duration) []sighting {
	var list []sighting
	for _, s := range f.seen {
		if s.ID == f.me.ID && now-s.at <= freshFor {
			list = append(list, s)
		}
	}
	return list
}

// cluster is a fresh sighting of somebody who is in a cluster.
func (f *formation) cluster(now time.Duration) (sighting, bool) {
	for _, s := range f.fresh(now) {
		if !s.empty() {
			return s, true
		}
	}
	return sighting{}, false
}

// peers are the empty nodes that expect what this one expects.
func (f *formation) peers(now time.Duration) []sighting {
	return slices.DeleteFunc(f.fresh(now), func(s sighting) bool { return !s.empty() || s.Expect != f.expect })
}

// addressOf is where r was heard last; "" if not lately.
func (f *formation) addressOf(r ref) string {
	best := sighting{}
	for key, s := range f.seen {
		if key.ref == r && s.at >= best.at {
			best = s
		}
	}
	return best.Address
}

// lastHeard is when r was last heard from, or when this process started.
func (f *formation) lastHeard(r ref) time.Duration {
	at := f.started
	for key, s := range f.seen {
		if key.ref == r {
			at = max(at, s.at)
		}
	}
	return at
}
