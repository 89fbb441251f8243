package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// Five thousand sessions die in one instant: an entry expires a thousand of them,
// and the next entry follows at once, until all are gone.
func TestManyDeathsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5*fsm.SweepMax + 1
		r := newRealm(t, since())
		r.start()
		r.openSessions(n, fsm.Second)
		before := len(r.committed())
		var ended []int
		var at []time.Duration
		begun := time.Now()
		r.setGate(func() error {
			sessions, _, _ := r.machine.state.Sizes() // as of the entry before; nothing is applied meanwhile
			ended, at = append(ended, n-sessions), append(at, time.Since(begun))
			return nil
		})
		time.Sleep(time.Second + 2*sweepEvery)
		synctest.Wait()
		got := r.committed()[before:]
		if len(got) != 6 {
			t.Fatalf("%d entries for %d deaths; want 6", len(got), n)
		}
		for i, e := range got {
			if len(e.Commands) != 0 {
				t.Errorf("entry %d has commands: %+v", i, e.Commands)
			}
			if want := i * fsm.SweepMax; ended[i] != want {
				t.Errorf("%d dead before entry %d, want %d", ended[i], i, want)
			}
			if at[i] != at[0] {
				t.Errorf("entry %d came %v after the first", i, at[i]-at[0])
			}
		}
		if sessions, _, _ := r.machine.state.Sizes(); sessions != 0 {
			t.Errorf("%d sessions live", sessions)
		}
		r.end()
	})
}

// A thousand waits whose time is up in different milliseconds: an entry every
// 20 ms, not one each.
func TestManyDeadlinesOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		r.openSessions(2, 60*fsm.Second)
		ask := func(id fsm.SessionID, seq fsm.Seq, wait fsm.Duration) {
			r.inbox.putCommand(&fsm.Command{
				Op: fsm.OpAcquire, Session: id, Incarnation: 1, Seq: seq, Mark: 1, Wait: wait,
				Wants: []fsm.Want{{Name: "n", Kind: fsm.KindLock, Mode: fsm.Exclusive}},
			})
		}
		ask(1, 1, 0)
		synctest.Wait()
		for i := range 1000 {
			ask(2, fsm.Seq(i+1), fsm.Second+fsm.Duration(i)*fsm.Millisecond)
		}
		synctest.Wait()
		if _, _, waits := r.machine.state.Sizes(); waits != 1000 {
			t.Fatalf("%d waits", waits)
		}
		before := len(r.committed())
		time.Sleep(2*time.Second + 2*sweepEvery)
		synctest.Wait()
		if n := len(r.committed()) - before; n < 40 || n > 52 {
			t.Errorf("%d entries for 1,000 deadlines in a second, want about 50", n)
		}
		if _, _, waits := r.machine.state.Sizes(); waits != 0 {
			t.Errorf("%d waits left", waits)
		}
		r.end()
	})
}

// The limit is on entries that are there for the time alone: whatever somebody
// asks leaves at once, and takes what is due along.
func TestDeadlinesRideAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		for i := range 10 {
			r.inbox.putCommand(&fsm.Command{
				Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: uint64(i)}, TTL: fsm.Second + fsm.Duration(i)*fsm.Millisecond,
			})
		}
		synctest.Wait()
		time.Sleep(time.Second) // the first is due, and an entry was proposed for it
		synctest.Wait()
		before := len(r.committed())
		time.Sleep(5 * time.Millisecond)
		r.inbox.putCommand(&fsm.Command{Op: fsm.OpRead, Nonce: fsm.Nonce{Hi: 2}})
		synctest.Wait()
		if n := len(r.committed()) - before; n != 1 {
			t.Errorf("%d entries, want the read's", n)
		}
		for i := range 10 {
			if dead := i <= 5; r.living(fsm.SessionID(i+1)) == dead {
				t.Errorf("session %d is dead: %v", i+1, !dead)
			}
		}
		r.end()
	})
}

// Ten thousand idle sessions renew: their renewals share entries.
func TestRenewalsShareEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000
		r := newRealm(t, since())
		r.start()
		r.openSessions(n, 10*fsm.Second)
		before, begun := len(r.committed()), time.Now()
		for round := range 3 {
			for i := range n {
				r.inbox.putCommand(renewal(fsm.SessionID(i+1), fsm.Seq(round+1)))
				if i%10 == 9 {
					time.Sleep(3333 * time.Microsecond) // 3.3 s a round
				}
			}
		}
		time.Sleep(gatherMax)
		synctest.Wait()
		most := int(time.Since(begun)/gatherMax) + 2
		if got := len(r.committed()) - before; got > most || got < most/2 {
			t.Errorf("%d entries for %d renewals, at most %d wanted", got, 3*n, most)
		}
		for i := range n {
			if !r.living(fsm.SessionID(i + 1)) {
				t.Fatalf("session %d died", i+1)
			}
		}
		r.end()
	})
}
