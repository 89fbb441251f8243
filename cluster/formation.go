package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Formation: how nodes with empty disks become one cluster, and never two (P1).
//
// It would split a cluster to let every node that sees "three nodes" begin one:
// of four nodes, two may first see {1,2,3} and two {2,3,4}; both views have a
// majority of "three", both elect a leader, and no healing merges them. So
// instead a node *promises* itself, once and on disk, to one proposer, and the
// proposer needs as many promises as the cluster is to have nodes.
//
// The rules, for nodes that all expect the same number E of nodes:
//
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
// Why there are never two clusters while there are fewer than 2E nodes: two sets
// of E promises share a node. Its promise left the one proposer for the other
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
	abdicated map[ref]bool             // proposers that can never mint
}

// A report is what a node says of itself, in every message.
type report struct {
	ref
	Boot    instance `json:"boot"` // the process: a copied directory has another
	Address string   `json:"address"`
	Expect  int      `json:"expect"`

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

// formationOptions are what a formation does not learn.
type formationOptions struct {
	boot    instance
	address string
	expect  int
	mint    clusterID // the id to mint, if it comes to that: 16 random bytes
	join    []string
	started time.Duration
}

func newFormation(me saved, o formationOptions) *formation {
	return &formation{
		me: me, formationOptions: o,
		seen: make(map[sightingKey]sighting), hints: make(map[string]time.Duration), abdicated: make(map[ref]bool),
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
	// hintsMax bounds the addresses learnt from others, so that nobody can make
	// a node dial without end.
	hintsMax = 64
)

// keep tells that s is on disk.
func (f *formation) keep(s saved) { f.me = s }

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
		r.Known = append(r.Known, s.Address)
	}
	return r
}

// heard takes in what another node said of itself.
func (f *formation) heard(now time.Duration, r report) {
	if r.Boot == f.boot {
		return // this very process, under its own address
	}
	if r.Promised != (ref{}) && r.Promised != r.ref {
		// It proposes no more (F3), or never will (F2). A report without any
		// promise says nothing: it may be older than the proposal.
		f.abdicated[r.ref] = true
	}
	f.seen[sightingKey{r.ref, r.Address}] = sighting{report: r, at: now}
	for _, address := range r.Known {
		if _, ok := f.hints[address]; ok || len(f.hints) < hintsMax {
			f.hints[address] = now
		}
	}
	for key, s := range f.seen {
		if now-s.at > stuckAfter {
			delete(f.seen, key)
		}
	}
	for address, at := range f.hints {
		if now-at > stuckAfter {
			delete(f.hints, address)
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
		if promisers := f.promisers(now); len(promisers) >= f.expect-1 {
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
	return len(peers)+1 >= f.expect
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
		f.me.Promised == f.me.ref && r.ID < f.me.ID,             // F3
		f.me.Promised != f.me.ref && f.abdicated[f.me.Promised]: // F4
		next.Promised = r.ref
		return next, ""
	default:
		return next, fmt.Sprintf("has promised itself to %s", f.me.Promised.ID)
	}
}

// admit takes the word of a member that this node belongs to its cluster: the
// next saved state, and "" or the reason why not. A promise to somebody else
// does not stand in the way: that cluster exists, so the other's never will.
func (f *formation) admit(r report) (next saved, refusal string) {
	next = f.me
	switch {
	case r.empty():
		return next, "was not asked by a member"
	case f.me.Cluster.known() && f.me.Cluster != r.Cluster:
		return next, fmt.Sprintf("is a member of cluster %s", f.me.Cluster)
	}
	next.Cluster = r.Cluster
	return next, ""
}

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
	if p := f.me.Promised; p != (ref{}) && p != f.me.ref && !f.abdicated[p] && now-f.lastHeard(p) > stuckAfter {
		return fmt.Sprintf("promised itself to %s, which is not heard from: start %s again. "+
			"If its data is lost for good, and no node has a cluster id, empty the data directories of all nodes and start over", p.ID, p.ID)
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

// requestKind says what a message of formation asks for.
type requestKind string

const (
	requestProbe   requestKind = "probe"   // who are you?
	requestPromise requestKind = "promise" // promise yourself to me
	requestAdmit   requestKind = "admit"   // you are a member of my cluster
	requestAdd     requestKind = "add"     // lead, and add this member
)
