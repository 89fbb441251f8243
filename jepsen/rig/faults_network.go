//go:build linux

package rig

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// picks says what is lost, and who is meant.
type picks func(ctx context.Context, r *Rig, rng *rand.Rand) (lost []drop, to string)

func networkFaults() []Fault {
	cut, gossip := drop{percent: 100}, drop{percent: 100, gossip: true}
	return []Fault{
		lost("cut the leader off", around(leader, true, true, cut)),
		lost("cut a node off", around(anyone, true, true, cut)),
		lost("the leader hears nobody", around(leader, true, false, cut)),
		lost("nobody hears the leader", around(leader, false, true, cut)),
		lost("two nodes see only the third", func(_ context.Context, r *Rig, rng *rand.Rand) ([]drop, string) {
			a := 1 + rng.IntN(len(r.Nodes))
			b := 1 + a%len(r.Nodes)
			return []drop{{from: a, to: b, percent: 100}, {from: b, to: a, percent: 100}}, r.Nodes[a-1].ID + " " + r.Nodes[b-1].ID
		}),
		lost("each hears one other", func(_ context.Context, r *Rig, _ *rand.Rand) (lost []drop, _ string) {
			for i := range r.Nodes { // in a ring
				next := 1 + (i+1)%len(r.Nodes)
				lost = append(lost, drop{from: next, to: 1 + i, percent: 100})
			}
			return lost, "all"
		}),
		lost("all cut apart", everywhere(cut, 1)),
		lost("a fifth of the packets is lost", everywhere(drop{percent: 20}, 0)),
		lost("half of the packets is lost", everywhere(drop{percent: 50}, 1)),
		lost("connections of nodes are reset", everywhere(drop{percent: 30, reset: true}, 1)),
		lost("gossip is lost", everywhere(gossip, 1)),
		lost("clients' connections are reset", clients(drop{percent: 5, reset: true}, all)),
		lost("clients do not reach the leader", clients(cut, leader)),
		{Name: "all is slow on its way", kind: network, probe: mayDetour, begin: slow},
		{Name: "killed when it catches up", kind: network, begin: caughtUp},
	}
}

func lost(name string, picks picks) Fault {
	return Fault{Name: name, kind: network, begin: func(ctx context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
		drops, to := picks(ctx, r, rng)
		lift, err := r.net.lay(rules{drops: drops})
		return lift, to, err
	}}
}

// around is what comes to a node from the others, what goes from it to them, or
// both. Clients reach all of them.
func around(who who, in, out bool, d drop) picks {
	return func(ctx context.Context, r *Rig, rng *rand.Rand) ([]drop, string) {
		n := who(ctx, r, rng)[0]
		return r.between(r.number(n), in, out, d), n.ID
	}
}

func (r *Rig) between(i int, in, out bool, d drop) (lost []drop) {
	for k := 1; k <= len(r.Nodes); k++ {
		if k == i {
			continue
		}
		if in {
			d.from, d.to = k, i
			lost = append(lost, d)
		}
		if out {
			d.from, d.to = i, k
			lost = append(lost, d)
		}
	}
	return lost
}

// everywhere is between all hosts from a number on: 0 is the clients'.
func everywhere(d drop, from int) picks {
	return func(_ context.Context, r *Rig, _ *rand.Rand) (lost []drop, to string) {
		for d.from = from; d.from <= len(r.Nodes); d.from++ {
			for d.to = from; d.to <= len(r.Nodes); d.to++ {
				if d.from != d.to {
					lost = append(lost, d)
				}
			}
		}
		return lost, "all"
	}
}

// clients is what clients send to some nodes.
func clients(d drop, who who) picks {
	return func(ctx context.Context, r *Rig, rng *rand.Rand) (lost []drop, to string) {
		nodes := who(ctx, r, rng)
		for _, n := range nodes {
			d.to = r.number(n)
			lost = append(lost, d)
		}
		return lost, names(nodes)
	}
}

// slow has what nodes and clients say to nodes take its time, the same for all or
// another for each.
func slow(_ context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
	var detours []*detour
	undo := func() error {
		for _, d := range detours {
			d.close()
		}
		return nil
	}
	ports := make(map[int]int)
	for host := range r.net.hosts {
		d, err := r.net.detour(host, time.Duration(5+rng.IntN(100))*time.Millisecond)
		if err != nil {
			return nil, "", errors.Join(err, undo())
		}
		detours = append(detours, d)
		ports[host] = d.port()
	}
	lift, err := r.net.lay(rules{detours: ports})
	if err != nil {
		return nil, "", errors.Join(err, undo())
	}
	// What is connected already does not make the detour: it has to dial again.
	drops, _ := everywhere(drop{percent: 100, reset: true}, 0)(nil, r, nil)
	again, err := r.net.lay(rules{drops: drops})
	time.Sleep(100 * time.Millisecond)
	err = errors.Join(err, again())
	return func() error { return errors.Join(lift(), undo()) }, "all", err
}

// caughtUp cuts a follower off for as long as the others need to leave entries
// behind, and kills it some time while it is given what it lacks.
func caughtUp(ctx context.Context, r *Rig, rng *rand.Rand) (func() error, string, error) {
	n := r.follower(ctx, rng)
	lift, err := r.net.lay(rules{drops: r.between(r.number(n), true, true, drop{percent: 100})})
	return func() error {
		if err := lift(); err != nil {
			return err
		}
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
		n.kill()
		return r.Start()
	}, n.ID, err
}
