//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// An Event is a fault that was.
type Event struct {
	Fault      string
	To         string
	Begin, End time.Time
}

// A Nemesis maltreats a cluster.
type Nemesis struct {
	Rig    *Rig
	Faults []Fault
	Seed   uint64
	Skip   int           // how many of the faults others had their turn with, so that all come
	Hold   time.Duration // of a fault, at most
	Rest   time.Duration // between two, at most
	Tell   func(string)  // of each fault; nil tells nobody

	rng    *rand.Rand
	start  time.Time
	deck   []Fault
	events []Event
}

// Run lets faults come until ctx ends, each kind as often as any other, and undoes
// each: one at a time for a third of the time, then two, then one to three, as the
// seed has it. The error is of the nemesis itself: what it did to the cluster it
// does not judge.
func (n *Nemesis) Run(ctx context.Context, lasts time.Duration) ([]Event, error) {
	n.rng, n.start = rand.New(rand.NewPCG(n.Seed, 2)), time.Now()
	n.deck = n.shuffled()
	n.deck = append(n.deck[n.Skip%len(n.deck):], n.deck[:n.Skip%len(n.deck)]...)
	for {
		wait(ctx, n.Rest/2+time.Duration(n.rng.Int64N(int64(n.Rest/2)+1)))
		if ctx.Err() != nil {
			return n.events, nil
		}
		together := 1 + n.rng.IntN(3)
		switch gone := time.Since(n.start); {
		case gone < lasts/3:
			together = 1
		case gone < lasts*2/3:
			together = 2
		}
		if err := n.bout(ctx, n.draw(together)); err != nil {
			return n.events, err
		}
	}
}

// The shuffle is the same for all who have the seed.
func (n *Nemesis) shuffled() []Fault {
	deck := slices.Clone(n.Faults)
	n.rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// draw takes the next faults that can be there together, the first to begin first.
// Those in between have their turn next.
func (n *Nemesis) draw(together int) (drawn []Fault) {
	var later []Fault
	for len(drawn) < together {
		if len(n.deck) == 0 {
			if n.deck = n.shuffled(); len(later) >= len(n.deck) {
				n.deck = nil
				return drawn // there are no such faults
			}
		}
		f := n.deck[0]
		n.deck = n.deck[1:]
		if slices.ContainsFunc(drawn, func(d Fault) bool { return d.Name == f.Name || d.kind == disk && f.kind == disk }) {
			later = append(later, f)
			continue
		}
		drawn = append(drawn, f)
	}
	n.deck = append(later, n.deck...)
	slices.SortStableFunc(drawn, func(a, b Fault) int { return int(a.kind) - int(b.kind) })
	return drawn
}

// bout begins faults one after the other, holds them, and undoes them in reverse.
// What was begun is undone, whatever fails.
func (n *Nemesis) bout(ctx context.Context, faults []Fault) (err error) {
	var undo []func() error
	first := len(n.events)
	defer func() {
		for i := len(undo) - 1; i >= 0; i-- {
			if failed := undo[i](); failed != nil {
				err = errors.Join(err, fmt.Errorf("undo %s: %w", faults[i].Name, failed))
			}
			n.events[first+i].End = time.Now()
		}
	}()
	for i, f := range faults {
		if i > 0 { // not quite at one time
			wait(ctx, time.Duration(n.rng.Int64N(int64(n.Hold/4)+1)))
		}
		e := Event{Fault: f.Name, Begin: time.Now()}
		u, to, err := f.begin(context.WithoutCancel(ctx), n.Rig, n.rng)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		e.To = to
		undo, n.events = append(undo, u), append(n.events, e)
		if n.Tell != nil {
			n.Tell(fmt.Sprintf("%6.1fs %s%s: %s", e.Begin.Sub(n.start).Seconds(), strings.Repeat("  + ", min(i, 1)), f.Name, to))
		}
	}
	wait(ctx, n.Hold/4+time.Duration(n.rng.Int64N(int64(n.Hold*3/4)+1)))
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
