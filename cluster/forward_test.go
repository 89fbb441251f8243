package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport"
)

// forgotten tells whether nothing is left of any command.
func (p *pendings) forgotten() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byKey) == 0
}

// A command that came in at a follower is answered with what the leader
// returns: here the follower cannot apply anything until it has been answered.
func TestFollowerAnswersBeforeItsOwnApply(t *testing.T) {
	w := newWorld(t, 3, nil)
	follower := w.follower()
	p := w.open(follower, 10*time.Second)
	w.until("the follower to apply the open", follower.pendings.forgotten)

	follower.machine.mu.Lock()
	before := follower.machine.facts.applied
	got := w.do(follower, p.acquire("n", 0))
	after := follower.machine.facts.applied
	follower.machine.mu.Unlock()
	if got.Status != fsm.StatusOK || before != after || got.Index <= before {
		t.Fatalf("answered %+v; applied %d before and %d after", got, before, after)
	}
	// The own apply comes later, is compared, and nothing is left.
	w.until("the own apply", follower.pendings.forgotten)
	if err := follower.Err(); err != nil {
		t.Error(err)
	}
}

// A node installs a snapshot in place of the entries that its callers wait
// for. They are answered all the same, without a word from the leader; but for
// acquires, which the log answers: at the time of its answer the session was
// renewed, and a state cannot say that.
func TestInstalledSnapshotAnswers(t *testing.T) {
	w := newWorld(t, 3, func(c *Config) { c.TrailingLogs = 1 })
	leader, follower := w.leader(), w.follower()
	holder, p, gone := w.open(leader, time.Minute), w.open(leader, time.Minute), w.open(leader, time.Minute)
	held := w.do(leader, holder.acquire("held", 0))
	ctx, cancel := w.context()
	defer cancel()
	events, err := follower.Attach(ctx, p.attachment(1))
	if err != nil {
		t.Fatal(err)
	}
	ends, err := follower.Attach(ctx, gone.attachment(1))
	if err != nil {
		t.Fatal(err)
	}

	// The follower hears nothing. Its commands wait there, and are executed
	// through another node.
	w.part(follower)
	w.until("the follower to miss its leader", func() bool { id, _ := follower.Leader(); return id == "" })
	done := p.next(fsm.Command{Op: fsm.OpRelease, Grant: 1 << 40})
	parked, unknown := p.acquire("held", fsm.Forever), p.acquire("later", 0)
	waiting := []*asked{w.submit(follower, done), w.submit(follower, parked), w.submit(follower, unknown)}
	first := w.do(leader, done)
	w.do(leader, parked)
	w.do(leader, holder.release(held.Grant)) // an event for p
	w.do(leader, gone.next(fsm.Command{Op: fsm.OpClose}))
	for range 20 {
		w.do(leader, p.next(fsm.Command{Op: fsm.OpRelease, Grant: 1 << 40}))
	}
	if err := leader.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	w.silence(transport.KindForward, true)
	w.part()
	if a := waiting[0].answer(); a.err != nil || a.result != first {
		t.Errorf("the executed one: %+v, want %+v", a, first)
	}
	if o := <-events; o.Kind != fsm.OutcomeGranted || o.Key != parked.Key() {
		t.Errorf("the event: %+v", o)
	}
	if o, open := <-ends; !open || o.Kind != fsm.OutcomeEnded {
		t.Errorf("the ended session: %+v, %v", o, open)
	}
	if _, open := <-ends; open {
		t.Error("the ended session's channel is open")
	}
	for _, a := range waiting[1:] {
		if n := len(a.answers()); n != 0 {
			t.Error("an acquire was answered out of the state")
		}
	}
	w.silence(transport.KindForward, false)
	if a := waiting[1].answer(); a.err != nil || a.result.Status != fsm.StatusOK {
		t.Errorf("the one that was queued and granted: %+v", a)
	}
	if a := waiting[2].answer(); a.err != nil || a.result.Status != fsm.StatusOK {
		t.Errorf("the unknown one, sent again: %+v", a)
	}
}

// A lossy sender loses the first things that it is given.
type lossy struct {
	to   sender
	left atomic.Int32
}

func (l *lossy) put(op fsm.Op, id fsm.SessionID, raw []byte) bool {
	if l.left.Add(-1) >= 0 {
		return true
	}
	return l.to.put(op, id, raw)
}

// A frame is lost, and neither the stream nor the leader changes.
func TestLostFrameIsSentAgain(t *testing.T) {
	w := newWorld(t, 3, nil)
	follower := w.follower()
	p := w.open(follower, time.Minute)
	real := follower.pendings.route.Load().to
	lossy := &lossy{to: real}
	lossy.left.Store(1)
	follower.pendings.route.Store(&route{lossy})
	if r := w.do(follower, p.acquire("n", 0)); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
}

// A leader without room refuses, and what it refused comes again.
func TestRefusedFrameIsSentAgain(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader, follower := w.leader(), w.follower()
	p := w.open(follower, time.Minute)
	inbox := leader.leadership.current().reign.inbox
	full := func(is bool) {
		inbox.mu.Lock()
		defer inbox.mu.Unlock()
		inbox.closed = is
	}
	full(true)
	a := w.submit(follower, p.acquire("n", 0))
	b := w.submit(leader, p.acquire("m", 0))
	w.until("a refusal", func() bool { return follower.link.refused.Load() })
	full(false)
	if got := a.answer(); got.err != nil || got.result.Status != fsm.StatusOK {
		t.Errorf("at the follower: %+v", got)
	}
	if got := b.answer(); got.err != nil || got.result.Status != fsm.StatusOK {
		t.Errorf("at the leader: %+v", got)
	}
}

// A leader that nobody hears has nothing to say OK with, whatever it has heard.
func TestDeposedLeaderAnswersNothing(t *testing.T) {
	w := newWorld(t, 3, nil)
	old := w.leader()
	p, q := w.open(old, time.Minute), w.open(old, time.Minute)
	w.part(old)
	lost := w.submit(old, p.acquire("n", 0))
	var next *citizen
	w.until("another leader", func() bool {
		for _, c := range w.all() {
			if c != old && c.leadership.current().reign != nil {
				next = c
			}
		}
		return next != nil
	})
	won := w.do(next, q.acquire("n", 0))
	if won.Status != fsm.StatusOK {
		t.Fatalf("at the new leader: %+v", won)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := old.Do(ctx, p.acquire("m", 0))
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, lockapi.ErrUnknown) && !errors.Is(err, lockapi.ErrUnavailable) {
		t.Errorf("at the old leader: %v", err)
	}
	if got := lost.answers(); len(got) != 0 {
		t.Fatalf("the old leader answered %+v", got)
	}
	if _, err := old.Inspect(ctx, lockapi.Query{Name: "n"}); !errors.Is(err, lockapi.ErrUnavailable) {
		t.Errorf("the old leader read: %v", err)
	}
	w.part()
	if got := lost.answer(); got.err != nil || got.result.Status != fsm.StatusBusy {
		t.Errorf("after the heal: %+v, want busy", got)
	}
}

// T3, with a real raft: an entry that was stamped in an older term is committed
// in this one. Its commands run; it moves no time.
func TestEntryOfAnOlderTermMovesNoTime(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader := w.leader()
	p := w.open(leader, 10*time.Second)
	c := fsm.Command{Op: fsm.OpOpen, Nonce: randomNonce(), TTL: 60 * fsm.Second}
	term := fsm.Term(leader.raft.CurrentTerm())
	logged := c
	logged.Secret = sha256.Sum256(c.Secret[:])
	body := fsm.AppendCommand(fsm.AppendEntryHeader(nil), &logged)
	entry := fsm.SealEntry(body, term-1, fsm.Instant(3*fsm.Hour), fsm.Check{}, 1)
	if err := leader.raft.Apply(entry, 0).Error(); err != nil {
		t.Fatal(err)
	}
	for _, node := range w.all() {
		ctx, cancel := w.context()
		view, err := node.Inspect(ctx, lockapi.Query{Name: "n"})
		cancel()
		if err != nil || view.At >= fsm.Instant(fsm.Hour) {
			t.Errorf("%s: at %v, %v", node.id, time.Duration(view.At), err)
		}
	}
	if r := w.do(leader, p.acquire("n", 0)); r.Status != fsm.StatusOK {
		t.Errorf("the session did not live: %+v", r)
	}
	if r := w.do(leader, c); r.Status != fsm.StatusOK || r.Session != p.id+1 {
		t.Errorf("its command did not run: %+v", r)
	}
}
