package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// waitingFor says in one sentence what keeps an empty node from being a member.
func (f *formation) waitingFor(now time.Duration) string {
	if rivals := f.rivals(now); len(rivals) > 0 {
		if r := rivals[0]; r.ref == f.me.ref {
			return fmt.Sprintf("another process runs on a copy of this data directory, at %s: stop one of them and empty its directory", r.Address)
		}
		return fmt.Sprintf("the node at %s has the id %s too: give one of them another", rivals[0].Address, f.me.ID)
	}
	if s, found := f.cluster(now); found {
		if slices.Contains(s.Chosen, f.me.ID) {
			return fmt.Sprintf("%s founded cluster %s and is about to add this node", s.ID, s.Cluster)
		}
		return fmt.Sprintf("%s is in cluster %s, which was formed without this node: it stays out until a member adds it", s.ID, s.Cluster)
	}
	peers := f.peers(now)
	if p := f.me.Promised; p != (ref{}) && p != f.me.ref && p != f.abdicated && now-f.lastHeard(p) > stuckAfter {
		return fmt.Sprintf("promised itself to %s, which is not heard from: start %s again. "+
			"If its data is lost for good, and no node has a cluster id, empty the data directories of all nodes and start over", p.ID, p.ID)
	}
	if id, at := f.duplicate(now); id != "" {
		return fmt.Sprintf("two nodes go by the id %s, at %s: they count as none", id, strings.Join(at, " and "))
	}
	if text := f.contest(now); text != "" {
		return text
	}
	if n := len(f.fresh(now)) - len(peers); n > 0 && len(peers)+1 < f.expect {
		return fmt.Sprintf("%d nodes expect another number of nodes than %d (bootstrap-expect)", n, f.expect)
	}
	switch p := f.me.Promised; {
	case f.expect == 0:
		return "no cluster found yet; this node does not form one (bootstrap-expect is 0)"
	case len(peers)+1 < f.expect:
		return fmt.Sprintf("found %d of %d empty nodes to form a cluster", len(peers)+1, f.expect)
	case p == f.me.ref:
		return fmt.Sprintf("has %d of %d promises to form a cluster", len(f.promisers(now))+1, f.expect)
	case p != ref{}:
		return fmt.Sprintf("promised itself to %s, which forms the cluster", p.ID)
	default:
		return "waits for a node with a lower id to propose the cluster"
	}
}

// duplicate is an id that several other nodes claim, and where they are.
func (f *formation) duplicate(now time.Duration) (id string, at []string) {
	claims := make(map[string][]string)
	for _, s := range f.seen {
		if now-s.at <= freshFor {
			claims[s.ID] = append(claims[s.ID], s.Address)
		}
	}
	for claimed, addresses := range claims {
		if len(addresses) > 1 && (id == "" || claimed < id) {
			id, at = claimed, addresses
		}
	}
	slices.Sort(at)
	return id, slices.Compact(at)
}
