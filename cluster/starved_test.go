package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A leader that gets the processor for a tenth of each second goes on leading: its
// pauses are shorter than two heartbeats. Renewals lie in its socket buffers until it
// wakes. Sessions of half a second live through it, whether it stamps an entry or
// sees that a deadline is due first.
func TestSessionsSurviveAStarvedLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, seconds = 20, 30
		var paused time.Duration
		born := time.Now()
		r := newRealm(t, func() time.Duration { return time.Since(born) + paused })
		r.start()
		r.openSessions(n, fsm.TTLMin)
		for second := range seconds {
			time.Sleep(2 * lookEvery)
			synctest.Wait()
			r.clockMu.Lock() // nobody looks meanwhile
			paused += 18 * lookEvery
			r.clockMu.Unlock()
			if second%2 == 0 {
				time.Sleep(lookEvery) // the next look comes before what it has to read
			}
			for i := range n {
				r.inbox.putCommand(renewal(fsm.SessionID(i+1), fsm.Seq(second+1)))
			}
			synctest.Wait()
			for i := range n {
				if !r.living(fsm.SessionID(i + 1)) {
					t.Fatalf("session %d died in second %d", i+1, second)
				}
			}
		}
		if got, least := r.uncounted(), time.Duration(seconds)*16*lookEvery; got < least {
			t.Errorf("%v uncounted, want at least %v", got, least)
		}
		r.end()
	})
}
