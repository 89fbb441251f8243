package mem

import (
	"context"
	"sync"

	"github.com/lockd-io/lockd/fsm"
)

// eventsKept is how many events may wait for a slow reader. What comes on top
// is dropped; it comes again with a renewal.
const eventsKept = 1 << 16

// A reader is what one Attach hears.
type reader struct {
	out  chan fsm.Outcome
	more chan struct{} // capacity 1: there may be events
	cut  chan struct{} // closed when nothing more is to be said
	end  func()        // closes cut, once

	mu     sync.Mutex // guards the fields below
	events []fsm.Outcome
	last   bool // nothing comes after events
}

func newReader() *reader {
	r := &reader{out: make(chan fsm.Outcome), more: make(chan struct{}, 1), cut: make(chan struct{})}
	r.end = sync.OnceFunc(func() { close(r.cut) })
	return r
}

// give appends an event. It never waits.
func (r *reader) give(o fsm.Outcome) {
	r.mu.Lock()
	if o.Kind == fsm.OutcomeEnded || len(r.events) < eventsKept {
		r.events = append(r.events, o)
	}
	r.last = r.last || o.Kind == fsm.OutcomeEnded
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// take gives what has gathered, and whether it is the last.
func (r *reader) take() (events []fsm.Outcome, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	events, r.events = r.events, nil
	return events, r.last
}

// run hands events on until the last, or ctx ends.
func (r *reader) run(ctx context.Context) {
	defer close(r.out)
	for last := false; !last; {
		select {
		case <-r.more:
		case <-r.cut:
			return
		case <-ctx.Done():
			return
		}
		var events []fsm.Outcome
		events, last = r.take()
		for i := range events {
			select {
			case r.out <- events[i]:
			case <-r.cut:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}
