package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// An Event is a fault that was: when it began and ended, since the nemesis began.
type Event struct {
	Fault string        `json:"fault"`
	To    string        `json:"to"`
	Begin time.Duration `json:"begin_ns"`
	End   time.Duration `json:"end_ns"`
}

// A Nemesis maltreats a cluster.
type Nemesis struct {
	Rig    *Rig
	Faults []Fault
	Seed   uint64
	Hold   time.Duration // of a fault, at most
	Rest   time.Duration // between two, at most
	Tell   func(string)  // of each fault; nil tells nobody
}

// Run begins one fault after the other until ctx ends, each kind as often as any
// other, and undoes each. The error is of the nemesis itself: what it did to the
// cluster it does not judge.
func (n *Nemesis) Run(ctx context.Context) (events []Event, err error) {
	rng := rand.New(rand.NewPCG(n.Seed, 2))
	start := time.Now()
	for {
		for _, i := range rng.Perm(len(n.Faults)) {
			wait(ctx, n.Rest/2+time.Duration(rng.Int64N(int64(n.Rest/2)+1)))
			if ctx.Err() != nil {
				return events, nil
			}
			f := n.Faults[i]
			e := Event{Fault: f.Name, Begin: time.Since(start)}
			undo, to, err := f.begin(context.WithoutCancel(ctx), n.Rig, rng)
			if err != nil {
				return events, fmt.Errorf("%s: %w", f.Name, err)
			}
			e.To = to
			if n.Tell != nil {
				n.Tell(fmt.Sprintf("%6.1fs %s:%s", e.Begin.Seconds(), f.Name, " "+to))
			}
			wait(ctx, n.Hold/4+time.Duration(rng.Int64N(int64(n.Hold*3/4)+1)))
			if err := undo(); err != nil {
				return events, fmt.Errorf("undo %s: %w", f.Name, err)
			}
			e.End = time.Since(start)
			events = append(events, e)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
