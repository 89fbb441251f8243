package remote

import (
	"sync"
	"testing"

	"github.com/lockd-io/lockd/fsm"
)

// Who reads slowly is not told everything at once: what found no room comes again. But
// nothing brings the end of a session once more.
func TestFeedKeepsTheEnd(t *testing.T) {
	var work sync.WaitGroup
	f := newFeed(&work)
	for n := range feedBuffered + feedQueueMax + 10 {
		f.give(&fsm.Outcome{Kind: fsm.OutcomeLoss, Event: fsm.EventID(n + 1)})
	}
	f.give(&fsm.Outcome{Kind: fsm.OutcomeEnded})
	var last fsm.Outcome
	heard := 0
	for last = range f.events {
		heard++
	}
	if last.Kind != fsm.OutcomeEnded || heard < feedQueueMax {
		t.Errorf("%d events, the last of them %+v", heard, last)
	}
	work.Wait()
}
