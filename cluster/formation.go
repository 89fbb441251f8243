package cluster

import (
	"fmt"
	"slices"
	"time"
)

// Formation: how nodes with empty disks become one cluster, and never two.
//
// It would split a cluster to let every node that sees "three nodes" begin one:
// of four nodes, two may first see {1,2,3} and two {2,3,4}; both views have a
// majority of "three", both elect a leader, and no healing merges them. So
// instead a node *promises* itself, once and on disk, to one proposer, and the
// proposer needs as many promises as the cluster is to have nodes.
//
// The rules, for nodes that all expect the same number E of nodes:
//
//   - F0. A node neither proposes nor mints while 2E nodes or more could found a
//     cluster, as far as it knows: itself, the empty nodes that it hears of, be it
//     that they expect another number, and whoever may be at an address of Join
//     that does not answer. (A node alone, E = 1, with Join of others asks them
//     first therefore; see contest.go.)
//   - F1. A node that promised nobody proposes (promises itself to itself) when it
//     has heard of E empty nodes, itself among them, and has the lowest id of
//     those that are still free to propose or do so.
//   - F2. A node that promised nobody promises itself to whoever proposes and asks.
//   - F3. A proposer that hears of a proposer with a lower id abdicates: it
//     promises itself to that one. It never proposes again.
//   - F4. A node whose proposer has abdicated may promise itself to another that asks.
//   - F5. A proposer with E promises, its own among them, mints the cluster's id,
//     founds the cluster alone and then adds the other E-1 one by one.
//   - F6. A node that hears of a minted cluster does nothing but wait to be added.
//
// Why there are never two clusters while there are fewer than 2E nodes, which is
// what F0 sees to where nodes know of each other: two sets of E promises share a
// node. Its promise left the one proposer for the other
// only by F3 or F4, that is after the one had abdicated; an abdication is on
// disk before it is told, is not taken back, and a proposer that abdicated does
// not mint. A proposer that minted does not abdicate.
//
// Why it ends when everybody hears everybody: promises point to nodes that
// propose or that abdicated, abdications point to ever lower ids, so that the
// lowest proposer is left, and it gets every promise that it asks for.
//
// A promise outlives the proposer. If that one is gone for good before it
// minted, those who promised wait for ever, and say so: only an operator can
// know that it is gone. The remedy is to empty the data directories of all nodes,
// which is safe exactly as long as no cluster id exists.
//
// formation is that as a value: no clock, no file, no socket. former drives it.
// Whoever drives it must have what a method returns as the next saved state on
// disk, and have told it so with keep, before anything else is said or done.
type formation struct {
	me saved
	formationOptions
	seen      map[sightingKey]sighting
	hints     map[string]time.Duration // addresses that others named, and when
	seats     map[string]seat          // by address of join
	abdicated ref                      // the proposer that this node promised itself to, if it can never mint
}

// formationOptions are what a formation does not learn.
type formationOptions struct {
	boot    instance
	address string
	expect  int
	mint    clusterID // the id to mint, if it comes to that: 16 random bytes
	join    []string
	alone   bool // found without those of join that are silent
	started time.Duration
}

func newFormation(me saved, o formationOptions) *formation {
	o.join = slices.Compact(slices.Sorted(slices.Values(o.join)))
	return &formation{
		me: me, formationOptions: o,
		seen: make(map[sightingKey]sighting), hints: make(map[string]time.Duration), seats: make(map[string]seat),
	}
}

// Times and bounds of formation.
const (
	// freshFor is how long a node counts after it was last heard: several
	// rounds of probes.
	freshFor = 5 * time.Second
	// stuckAfter is how long a proposer may be silent before those who wait for
	// it say so.
	stuckAfter = 30 * time.Second
	// seenMax bounds what is remembered of nodes, far above any cluster's size.
	seenMax = 256
	// hintsMax bounds the addresses learnt from others, so that nobody can make
	// a node dial without end.
	hintsMax = 64
)

// keep tells that s is on disk.
func (f *formation) keep(s saved) { f.me = s }

// step decides what to do by itself: the next saved state, equal to the present
// one if nothing changes, and whom to ask for a promise. After a change, call
// it again.
func (f *formation) step(now time.Duration) (next saved, ask []string) {
	next = f.me
	if f.me.Cluster.known() || f.expect == 0 || len(f.rivals(now)) > 0 {
		return next, nil
	}
	if _, found := f.cluster(now); found { // F6
		return next, nil
	}
	switch f.me.Promised {
	case (ref{}):
		if f.mayPropose(now) {
			next.Promised = f.me.ref
		}
	case f.me.ref:
		if promisers := f.promisers(now); len(promisers) >= f.expect-1 && !f.contested(now) {
			next.Cluster = f.mint // F5
			next.Owed = append([]promiser{{f.me.ref, f.address}}, promisers[:f.expect-1]...)
			return next, nil
		}
		for _, s := range f.peers(now) {
			if s.proposing() && s.ID < f.me.ID {
				next.Promised = s.ref // F3
				return next, nil
			}
		}
		for _, s := range f.peers(now) {
			if s.Promised != f.me.ref {
				ask = append(ask, s.Address)
			}
		}
	}
	return next, ask
}

// mayPropose is F1. Nodes that are bound to another do not count as lower ones:
// if that other is gone for good, they can only follow.
func (f *formation) mayPropose(now time.Duration) bool {
	peers := f.peers(now)
	for _, s := range peers {
		if s.ID < f.me.ID && (s.Promised == ref{} || s.proposing()) {
			return false
		}
	}
	return len(peers)+1 >= f.expect && !f.contested(now)
}

// promisers are those whose promise to this node is known, by id.
func (f *formation) promisers(now time.Duration) []promiser {
	var list []promiser
	for _, s := range f.peers(now) {
		if s.Promised == f.me.ref {
			list = append(list, promiser{s.ref, s.Address})
		}
	}
	return list
}

// promise answers a proposer that asks: the next saved state, and "" or the
// reason why not.
func (f *formation) promise(now time.Duration, r report) (next saved, refusal string) {
	next = f.me
	switch {
	case f.me.Cluster.known():
		return next, "is a member of a cluster already"
	case f.expect == 0:
		return next, "does not form a cluster (its bootstrap-expect is 0)"
	case r.Expect != f.expect:
		return next, fmt.Sprintf("expects %d nodes, not %d", f.expect, r.Expect)
	case !r.proposing():
		return next, "was not asked by a proposer"
	case len(f.rivals(now)) > 0 || r.ID == f.me.ID:
		return next, "is not the only node with its id"
	}
	if s, found := f.cluster(now); found { // F6
		return next, fmt.Sprintf("knows that %s is in cluster %s", s.ID, s.Cluster)
	}
	switch {
	case f.me.Promised == r.ref:
		return next, ""
	case f.me.Promised == ref{}, // F2
		f.me.Promised == f.me.ref && r.ID < f.me.ID,               // F3
		f.me.Promised != f.me.ref && f.abdicated == f.me.Promised: // F4
		next.Promised = r.ref
		return next, ""
	default:
		return next, fmt.Sprintf("has promised itself to %s", f.me.Promised.ID)
	}
}

// admit takes the word of a member that this node belongs to its cluster: the
// next saved state, and "" or the reason why not. A promise to somebody else
// does not stand in the way: that cluster exists, so the other's never will.
//
// as is who the member means: this node's disk may have been wiped since it
// promised. It would then be bound to a cluster that never makes it a voter, since
// the one that promised was another.
func (f *formation) admit(r report, as ref) (next saved, refusal string) {
	next = f.me
	switch {
	case r.empty():
		return next, "was not asked by a member"
	case f.me.Cluster.known() && f.me.Cluster != r.Cluster:
		return next, fmt.Sprintf("is a member of cluster %s", f.me.Cluster)
	case as != f.me.ref:
		return next, "has another data directory than the node that promised: its disk was wiped or exchanged. " +
			"Bring the old directory back, or let it join the cluster as a new node"
	}
	next.Cluster = r.Cluster
	return next, ""
}
