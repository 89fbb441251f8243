package cluster

import (
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

func testInbox(ttl fsm.Duration) (*inbox, *time.Duration) {
	at := new(time.Duration)
	return newInbox(func() time.Duration { return *at }, func(fsm.SessionID) time.Duration {
		return time.Duration(ttl) / gatherParts
	}), at
}

func rung(b *inbox) bool {
	select {
	case <-b.wake:
		return true
	default:
		return false
	}
}

func (b *inbox) putCommand(c *fsm.Command) bool {
	return b.put(c.Op, c.Session, fsm.AppendCommand(nil, c))
}

func renewal(id fsm.SessionID, n fsm.Seq) *fsm.Command {
	return &fsm.Command{Op: fsm.OpRenew, Session: id, Incarnation: 1, Seq: n}
}

func TestInboxRenewalsWaitForCompany(t *testing.T) {
	b, at := testInbox(4 * fsm.Second) // a twentieth is 200 ms
	var got batch
	b.putCommand(renewal(1, 1))
	if !rung(b) {
		t.Error("the reign must know when to look again")
	}
	*at = 150 * time.Millisecond
	b.putCommand(renewal(2, 1))
	if rung(b) {
		t.Error("woken for a renewal that is due later than the first")
	}
	if taken, again := b.take(&got); taken || again != 200*time.Millisecond {
		t.Errorf("taken %v, again at %v; want nothing before 200 ms", taken, again)
	}
	*at = 200 * time.Millisecond
	if taken, _ := b.take(&got); !taken || len(got.items) != 2 {
		t.Errorf("taken %v, %d renewals, want 2", taken, len(got.items))
	}
	if taken, again := b.take(&got); taken || again != 0 {
		t.Errorf("an empty inbox gave %v, %v", taken, again)
	}
}

func TestInboxRenewalsRideAlong(t *testing.T) {
	b, _ := testInbox(fsm.Hour)
	b.putCommand(renewal(1, 1))
	rung(b)
	b.putCommand(release(2, 1))
	if !rung(b) {
		t.Error("not woken for a command that does not wait")
	}
	b.putCommand(renewal(3, 1))
	var got batch
	if taken, _ := b.take(&got); !taken || len(got.items) != 3 {
		t.Errorf("taken %v, %d commands, want all 3", taken, len(got.items))
	}
}

func TestInboxGathersForTheShortestTTL(t *testing.T) {
	b, _ := testInbox(fsm.Hour)
	b.putCommand(renewal(1, 1))
	if _, again := b.take(&batch{}); again != gatherMax {
		t.Errorf("a long TTL waits %v, want %v", again, gatherMax)
	}
	b.company = func(fsm.SessionID) time.Duration { return 25 * time.Millisecond }
	rung(b)
	b.putCommand(renewal(2, 1))
	if !rung(b) {
		t.Error("not woken for a renewal that is due sooner")
	}
	if _, again := b.take(&batch{}); again != 25*time.Millisecond {
		t.Errorf("waits %v, want 25 ms", again)
	}
}

func TestInboxRefusesWhenFullOrClosed(t *testing.T) {
	b, _ := testInbox(fsm.Hour)
	big := make([]byte, 1<<20)
	n := 0
	for b.put(fsm.OpRelease, 1, big) {
		n++
	}
	if n != inboxBytesMax>>20 {
		t.Errorf("took %d MiB", n)
	}
	b, _ = testInbox(fsm.Hour)
	b.putCommand(release(1, 1))
	b.close()
	if b.putCommand(release(1, 2)) {
		t.Error("a closed inbox took a command")
	}
	if taken, _ := b.take(&batch{}); taken {
		t.Error("a closed inbox still gives")
	}
}

// Until a majority of its founders votes, a cluster takes no client's command:
// what is committed then is on one disk, and must not be acknowledged.
func TestInboxOfAFormingCluster(t *testing.T) {
	forming := true
	b := newInbox(func() time.Duration { return 0 }, func(fsm.SessionID) time.Duration { return 0 })
	b.forming = func() bool { return forming }
	acquire, read := acquireOf(1), fsm.Command{Op: fsm.OpRead, Nonce: fsm.Nonce{Lo: 1}}
	if b.put(acquire.Op, 1, fsm.AppendCommand(nil, &acquire)) || b.putAll(nil, []fsm.Command{read, acquire}) {
		t.Error("a client's command was taken")
	}
	if !b.putAll(nil, []fsm.Command{read}) || !b.put(fsm.OpMember, 0, nil) {
		t.Error("a read or a member was not taken")
	}
	forming = false
	if !b.put(acquire.Op, 1, fsm.AppendCommand(nil, &acquire)) || !b.putAll(nil, []fsm.Command{acquire}) {
		t.Error("a client's command was not taken by a cluster that has formed")
	}
}

func acquireOf(seq fsm.Seq) fsm.Command {
	return fsm.Command{
		Op: fsm.OpAcquire, Session: 1, Incarnation: 1, Seq: seq, Mark: 1,
		Wants: []fsm.Want{{Name: "x", Kind: fsm.KindLock, Mode: fsm.Exclusive}},
	}
}
