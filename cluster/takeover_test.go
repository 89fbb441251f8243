package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A takeover takes a while to be committed, and before it come entries of the
// leader before, who stamped them meanwhile. Were the clock read when the takeover
// is proposed, that while would count a second time, on top of their stamps.
func TestNothingCountsBeforeTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const theirs = fsm.Instant(40 * fsm.Second)
		r := newRealm(t, since())
		hold := make(chan struct{})
		first := true
		r.setGate(func() error {
			if !first {
				return nil
			}
			first = false
			<-hold
			// What the leader before has left in the log is committed with it.
			r.mu.Lock()
			r.term = 2
			r.mu.Unlock()
			if _, err := r.commitEntry(fsm.SealEntry(fsm.AppendEntryHeader(nil), 2, theirs, fsm.Check{}, 0)); err != nil {
				return err
			}
			r.mu.Lock()
			r.term = 3
			r.mu.Unlock()
			return nil
		})
		r.start()
		time.Sleep(countedMax / 2) // one look would count all of it
		r.inbox.putCommand(&fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1}, TTL: fsm.Second})
		close(hold)
		synctest.Wait()
		r.end()
		got := r.committed()
		if len(got) != 3 || got[2].Term != 3 || got[2].Now != theirs {
			t.Errorf("entries %+v; want the first of this reign stamped %d, where the other left off", got, theirs)
		}
	})
}
