package cluster

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// stops waits until a node has stopped by itself, and looks that it says
// nothing more.
func (w *world) stops(c *citizen, why error) {
	w.t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		w.t.Fatalf("node %s goes on", c.id)
	}
	if !errors.Is(c.Err(), why) {
		w.t.Errorf("node %s: %v, want %v", c.id, c.Err(), why)
	}
	if _, err := c.Do(context.Background(), *release(1, 1)); err == nil || errors.Is(err, lockapi.ErrUnknown) {
		w.t.Errorf("node %s, stopped: %v", c.id, err)
	}
	if _, err := c.Inspect(context.Background(), lockapi.Query{Name: "n", Stale: true}); err == nil {
		w.t.Errorf("node %s, stopped, reads", c.id)
	}
	if err := c.Ready(); !errors.Is(err, why) {
		w.t.Errorf("node %s, stopped: ready %v", c.id, err)
	}
	if err := c.WaitReady(context.Background()); !errors.Is(err, why) {
		w.t.Errorf("node %s, stopped: wait ready %v", c.id, err)
	}
	if _, err := c.Attach(context.Background(), lockapi.Attachment{Session: 1, Incarnation: 1}); err == nil {
		w.t.Errorf("node %s, stopped, attaches", c.id)
	}
}

// A follower whose state is another than the leader's stops; the others go on.
func TestDivergedNodeStops(t *testing.T) {
	w := newWorld(t, 3, nil)
	follower := w.follower()
	m := follower.machine
	p := w.open(w.leader(), time.Minute)
	w.until("the follower to catch up", func() bool { return m.known().applied >= w.leader().machine.known().applied })
	m.mu.Lock()
	other := fsm.New()
	other.Apply(m.state.Applied(), 1, &fsm.Entry{Commands: []fsm.Command{{Op: fsm.OpRead}}})
	m.state = other
	m.mu.Unlock()
	w.do(w.leader(), p.acquire("n", 0)) // nobody at the follower waits for it
	w.stops(follower, ErrDiverged)
	if r := w.do(w.leader(), p.acquire("m", 0)); r.Status != fsm.StatusOK {
		t.Errorf("the others: %+v", r)
	}
}

// An entry that does not decode stops every node that learns that it is
// committed: nobody may apply what comes after. (The last one learns nothing.)
func TestCorruptEntryStopsTheNode(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader := w.leader()
	p := w.open(leader, time.Minute)
	applied := leader.machine.known().applied
	if err := leader.raft.Apply([]byte("not an entry"), 0).Error(); err != nil {
		t.Fatal(err)
	}
	unknown := w.submit(leader, p.acquire("n", 0))
	stopped := 0
	w.until("a majority to stop", func() bool {
		stopped = 0
		for _, c := range w.all() {
			select {
			case <-c.Done():
				stopped++
				w.stops(c, ErrCorrupt)
			default:
			}
		}
		return stopped >= 2
	})
	w.stops(leader, ErrCorrupt)
	if got := unknown.answer(); got.err == nil {
		t.Errorf("answered %+v by a node that stopped", got)
	}
	if now := leader.machine.known().applied; now > applied+1 {
		t.Errorf("applied %d after the corrupt entry", now)
	}
	if _, err := leader.machine.Snapshot(); err == nil {
		t.Error("a snapshot of a state that lacks an entry")
	}
	entry := fsm.SealEntry(fsm.AppendEntryHeader(nil), 1, 0, fsm.Check{}, 0)
	if leader.machine.Apply(&raft.Log{Index: 1 << 20, Term: 1, Data: entry}); leader.machine.known().applied > applied+1 {
		t.Error("an entry was applied past the corrupt one")
	}
	if err := leader.machine.Restore(io.NopCloser(strings.NewReader(""))); err == nil {
		t.Error("a snapshot was installed into a node that has stopped")
	}
}

// A leader that cannot write its log stops, and another takes over.
func TestFailedDiskStopsTheNode(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader := w.leader()
	p := w.open(leader, time.Minute)
	leader.storage.log.Close()
	unknown := w.submit(leader, p.acquire("n", 0))
	w.stops(leader, ErrStorage)
	if got := unknown.answer(); !errors.Is(got.err, lockapi.ErrUnknown) {
		t.Errorf("answered %+v; the entry may be on the disk", got)
	}
	w.until("another leader", func() bool {
		for _, c := range w.all() {
			if c != leader && c.leadership.current().reign != nil {
				return w.do(c, p.acquire("m", 0)).Status == fsm.StatusOK
			}
		}
		return false
	})
}

func TestPanicInTheMachineStopsTheNode(t *testing.T) {
	w := newWorld(t, 1, nil)
	leader := w.leader()
	p := w.open(leader, time.Minute)
	m := leader.machine
	m.mu.Lock()
	other := fsm.New()
	other.Apply(m.state.Applied()+1000, 1, &fsm.Entry{}) // the next index is out of order
	m.state = other
	m.mu.Unlock()
	unknown := w.submit(leader, p.acquire("n", 0))
	w.stops(leader, ErrCorrupt)
	if got := unknown.answer(); !errors.Is(got.err, lockapi.ErrUnknown) {
		t.Errorf("answered %+v", got)
	}
}
