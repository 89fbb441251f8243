package remote

import (
	"sync"

	"github.com/lockd-io/lockd/fsm"
)

// A feed carries one session's events to the reader of its channel, and never
// makes who brings them wait. A goroutine runs only while the channel is full.
type feed struct {
	events chan fsm.Outcome
	work   *sync.WaitGroup

	mu      sync.Mutex // guards the fields below; taken after Backend.mu
	queue   []fsm.Outcome
	pumping bool          // a goroutine moves queue to events, and closes it
	last    bool          // nothing more comes: close events when all is in it
	stop    chan struct{} // closed: close events at once
	stopped bool
}

func newFeed(work *sync.WaitGroup) *feed {
	return &feed{events: make(chan fsm.Outcome, feedBuffered), work: work, stop: make(chan struct{})}
}

// give takes one event; after OutcomeEnded the channel closes.
func (f *feed) give(o *fsm.Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last {
		return
	}
	f.last = o.Kind == fsm.OutcomeEnded
	if !f.pumping {
		select {
		case f.events <- *o:
			if f.last {
				close(f.events)
			}
			return
		default:
		}
	}
	if len(f.queue) >= feedQueueMax && !f.last {
		return // it comes again
	}
	f.queue = append(f.queue, *o)
	if !f.pumping {
		f.pumping = true
		f.work.Go(f.pump)
	}
}

func (f *feed) pump() {
	for {
		f.mu.Lock()
		if len(f.queue) == 0 || f.stopped {
			f.pumping = false
			if f.last {
				close(f.events)
			}
			f.mu.Unlock()
			return
		}
		o := f.queue[0]
		if f.queue = f.queue[1:]; len(f.queue) == 0 {
			f.queue = nil
		}
		f.mu.Unlock()
		select {
		case f.events <- o:
		case <-f.stop:
		}
	}
}

// close closes the channel, whatever is still to be told.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.stopped {
		f.stopped = true
		close(f.stop)
	}
	if !f.last {
		f.last = true
		if !f.pumping {
			close(f.events)
		}
	}
}
