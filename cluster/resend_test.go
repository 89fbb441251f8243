package cluster

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// history is a state after some commands, one in an entry, and what it said.
func history(t *testing.T, commands ...*fsm.Command) (*fsm.State, []fsm.Result) {
	t.Helper()
	s := fsm.New()
	var said []fsm.Result
	for i, c := range commands {
		for _, o := range s.Apply(fsm.Index(i+1), 1, &fsm.Entry{Term: 1, Commands: []fsm.Command{*c}}) {
			if o.Kind == fsm.OutcomeAnswer {
				said = append(said, o.Result)
			}
		}
	}
	return s, said
}

// X7: a snapshot is installed in place of the entries that callers wait for, and
// neither the leader nor the stream changes. Of every kind of command there is one
// that waits: what the state can answer is answered, and all the rest is sent
// again, once, and at once.
func TestInstalledSnapshotSendsAgain(t *testing.T) {
	acquire := func(id fsm.SessionID, seq fsm.Seq, name string) *fsm.Command {
		return &fsm.Command{Op: fsm.OpAcquire, Session: id, Incarnation: 1, Seq: seq, Mark: 1, Wait: fsm.Forever,
			Wants: []fsm.Want{{Name: name, Kind: fsm.KindLock, Mode: fsm.Exclusive}}}
	}
	open := func(lo uint64) *fsm.Command {
		return &fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: lo}, TTL: 10 * fsm.Second}
	}
	opened, granted, parked, released := open(2), acquire(1, 1, "a"), acquire(2, 1, "a"), release(1, 2)
	renewed := renewal(1, 1)
	state, said := history(t, open(1), opened, granted, parked, released, renewed)
	var snapshot discard
	if err := (frozen{state.View(), new(atomic.Uint64)}).Persist(&snapshot); err != nil {
		t.Fatal(err)
	}

	m := newTestMachine(func(err error) { t.Error(err) }, func() bool { return false })
	s := &sink{}
	m.pendings.reroute(s)
	heard := make(map[*fsm.Command]*listener)
	ask := func(c *fsm.Command, into **fsm.View) *fsm.Command {
		heard[c] = &listener{}
		if _, err := m.pendings.submit(c, into, heard[c].answer); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []*fsm.Command{opened, granted, parked, released, renewed} {
		ask(c, nil)
	}
	var view *fsm.View
	unseen := []*fsm.Command{
		ask(acquire(1, 3, "b"), nil), ask(release(1, 4), nil), ask(open(9), nil),
		ask(&fsm.Command{Op: fsm.OpAttach, Session: 1, Incarnation: 1, Seq: 2, Nonce: fsm.Nonce{Hi: 2}}, nil),
		ask(&fsm.Command{Op: fsm.OpRead, Nonce: fsm.Nonce{Hi: 3}}, &view),
	}
	logged := ask(&fsm.Command{Op: fsm.OpRead, Nonce: fsm.Nonce{Hi: 4}}, &view)
	told := ask(release(2, 9), nil)
	done := &bench{pendings: m.pendings, t: t}
	done.leader(logged, fsm.Result{Status: fsm.StatusOK, Index: 5}) // it waits for its apply, which will not come
	done.leader(told, fsm.Result{Status: fsm.StatusNotHeld, Index: 5})
	s.sent = nil

	if err := m.Restore(io.NopCloser(&snapshot.Buffer)); err != nil {
		t.Fatal(err)
	}
	done.want(heard[released], said[4])
	again := append([]*fsm.Command{opened, granted, parked, renewed, logged}, unseen...)
	for _, c := range again {
		done.want(heard[c])
		if i := slices.Index(s.sent, c.Key()); i < 0 {
			t.Errorf("not sent again: %+v", c)
		}
	}
	if len(s.sent) != len(again) {
		t.Errorf("%d commands sent again, want %d: %v", len(s.sent), len(again), s.sent)
	}
	var counted Metrics
	if m.pendings.counted(&counted); counted.ResentSnapshot != uint64(len(again)) || counted.Pending != len(again) {
		t.Errorf("%d counted, %d pending", counted.ResentSnapshot, counted.Pending)
	}
}

// X7, with a real raft and all kinds of commands: each gets the answer that the
// others got, or one as good.
func TestInstalledSnapshotLosesNobody(t *testing.T) {
	w := newWorld(t, 3, func(c *Config) { c.TrailingLogs = 1 })
	leader, follower := w.leader(), w.follower()
	holder, p := w.open(leader, time.Minute), w.open(leader, time.Minute)
	held := w.do(leader, holder.acquire("held", 0))
	w.part(follower)
	w.until("the follower to miss its leader", func() bool { id, _ := follower.Leader(); return id == "" })

	granted, parked := p.acquire("free", 0), p.acquire("held", fsm.Forever)
	released := p.next(fsm.Command{Op: fsm.OpRelease, Grant: 1 << 40})
	open := fsm.Command{Op: fsm.OpOpen, Nonce: randomNonce(), Secret: p.secret, TTL: 10 * fsm.Second}
	renew := fsm.Command{Op: fsm.OpRenew, Session: p.id, Incarnation: 1, Seq: 7}
	all := []fsm.Command{granted, parked, released, open, renew}
	var waiting []*asked
	for _, c := range all {
		waiting = append(waiting, w.submit(follower, c))
	}
	read := make(chan lockapi.View, 1)
	ctx, cancel := w.context()
	defer cancel()
	go func() {
		view, err := follower.Inspect(ctx, lockapi.Query{Name: "held"})
		if err != nil {
			t.Error(err)
		}
		read <- view
	}()
	var want []fsm.Result
	for _, c := range all {
		want = append(want, w.do(leader, c))
	}
	for range 20 {
		w.do(leader, holder.next(fsm.Command{Op: fsm.OpRelease, Grant: 1 << 40}))
	}
	if err := leader.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	installed := follower.Metrics().SnapshotsInstalled
	w.part()
	for i, a := range waiting {
		got := a.answer()
		same := got.result == want[i]
		switch all[i].Op {
		case fsm.OpAcquire:
			same = got.result.Status == want[i].Status && got.result.Grant == want[i].Grant && got.result.Token == want[i].Token
		case fsm.OpOpen:
			same = got.result.Status == fsm.StatusOK && got.result.Session == want[i].Session
		case fsm.OpRenew:
			same = got.result.Status == fsm.StatusOK
		}
		if got.err != nil || !same {
			t.Errorf("command %d: %+v, want %+v", i, got, want[i])
		}
	}
	view := <-read
	if len(view.Locks) != 1 || len(view.Locks[0].Holders) != 1 || view.Locks[0].Holders[0].Token != held.Token ||
		len(view.Locks[0].Waiters) != 1 || view.Index <= want[len(want)-1].Index {
		t.Errorf("read %+v", view)
	}
	if n := follower.Metrics().SnapshotsInstalled; n != installed+1 {
		t.Errorf("%d snapshots installed, want one more than %d", n, installed)
	}
}

// loseNext has the next thing that a node sends be lost.
func (w *world) loseNext(at *citizen) {
	lossy := &lossy{to: at.pendings.route.Load().to}
	lossy.left.Store(1)
	at.pendings.route.Store(&route{lossy})
}

// answeredOK waits for an answer, and for it to be that.
func (a *asked) answeredOK() {
	a.w.t.Helper()
	if got := a.answer(); got.err != nil || got.result.Status != fsm.StatusOK {
		a.w.t.Errorf("%+v", got)
	}
}

// X8: each cause of a repeat, and none of the others.
func TestSentAgainOnANewStream(t *testing.T) {
	w := newWorld(t, 3, nil)
	follower := w.follower()
	p := w.open(follower, time.Minute)
	before := follower.Metrics()
	w.loseNext(follower)
	a := w.submit(follower, p.acquire("n", 0))
	follower.link.stream.Load().close() // and nobody is elected
	a.answeredOK()
	m := follower.Metrics()
	if m.ResentRoute != before.ResentRoute+1 || m.ResentRefused != before.ResentRefused || m.ResentSilence != before.ResentSilence ||
		m.LeaderChanges != before.LeaderChanges {
		t.Errorf("after %+v, before %+v", m, before)
	}
}

func TestSentAgainAfterSilence(t *testing.T) {
	w := newWorld(t, 3, nil)
	follower := w.follower()
	p := w.open(follower, time.Minute)
	before := follower.Metrics()
	w.loseNext(follower)
	w.submit(follower, p.acquire("n", 0)).answeredOK()
	m := follower.Metrics()
	if m.ResentSilence != before.ResentSilence+1 || m.ResentRoute != before.ResentRoute || m.ResentRefused != before.ResentRefused {
		t.Errorf("after %+v, before %+v", m, before)
	}
}

// The leader's inbox is full, really.
func TestSentAgainWhenTheInboxIsFull(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader, follower := w.leader(), w.follower()
	p := w.open(follower, time.Minute)
	before := follower.Metrics()
	inbox := leader.leadership.current().reign.inbox
	w.until("the inbox to be idle", func() bool { return inbox.size() == 0 })
	inbox.mu.Lock()
	inbox.batch.raw = make([]byte, inboxBytesMax)
	inbox.mu.Unlock()
	a, b := w.submit(follower, p.acquire("n", 0)), w.submit(leader, p.acquire("m", 0))
	// At the leader itself it is clear that the command went nowhere.
	full := new(lockapi.OverloadError)
	if got := b.answer(); !errors.As(got.err, &full) || full.RetryAfter == 0 || errors.Is(got.err, lockapi.ErrUnknown) ||
		!strings.Contains(got.err.Error(), "67108864") {
		t.Errorf("at the leader: %+v", got)
	}
	if _, err := leader.Inspect(context.Background(), lockapi.Query{Name: "n"}); !errors.Is(err, lockapi.ErrOverloaded) {
		t.Errorf("a read at the leader: %v", err)
	}
	w.until("a refusal to have come", func() bool { return follower.Metrics().ResentRefused > before.ResentRefused })
	if m := leader.Metrics(); m.InboxRefused < 2 || m.InboxBytes != inboxBytesMax {
		t.Errorf("%d refused, %d bytes", m.InboxRefused, m.InboxBytes)
	}
	inbox.mu.Lock()
	inbox.batch.raw = nil
	inbox.mu.Unlock()
	a.answeredOK()
	if m := leader.Metrics(); m.PendingRefused < 2 || m.Pending > 1 {
		t.Errorf("%d refused, %d pending", m.PendingRefused, m.Pending)
	}
	if m := follower.Metrics(); m.ResentRoute != before.ResentRoute {
		t.Errorf("%d sent again on another route", m.ResentRoute-before.ResentRoute)
	}
}

// The same node leads in a new term, and no other has led: raft tells the gain
// without the loss. What waited in the inbox of the reign before is nobody's.
func TestSentAgainInANewTermOfTheSameLeader(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader, follower := w.leader(), w.follower()
	p, q := w.open(follower, time.Minute), w.open(leader, time.Minute)
	w.until("both to know it", func() bool { return follower.pendings.forgotten() && leader.pendings.forgotten() })
	before, beside := follower.Metrics(), leader.Metrics()
	old := leader.leadership.current().reign
	w.until("the inbox to be idle", func() bool { return old.inbox.size() == 0 })
	leader.machine.mu.Lock() // an entry is under way, and more waits behind it
	busy := w.submit(leader, fsm.Command{Op: fsm.OpRead, Nonce: randomNonce()})
	w.until("it to be under way", func() bool { return old.inbox.size() == 0 })
	a, b := w.submit(follower, p.acquire("n", 0)), w.submit(leader, q.acquire("m", 0))
	w.until("both to wait", func() bool {
		old.inbox.mu.Lock()
		defer old.inbox.mu.Unlock()
		return len(old.inbox.batch.items) >= 2
	})
	leader.leadership.change(true)
	leader.machine.mu.Unlock()
	busy.answeredOK()
	a.answeredOK()
	b.answeredOK()
	m, n := follower.Metrics(), leader.Metrics()
	if m.ResentRefused == before.ResentRefused || m.ResentRoute != before.ResentRoute || m.ResentSilence != before.ResentSilence {
		t.Errorf("at the follower: after %+v, before %+v", m, before)
	}
	if n.ResentRoute == beside.ResentRoute || n.ResentSilence != beside.ResentSilence {
		t.Errorf("at the leader: after %+v, before %+v", n, beside)
	}
}

// raft refuses an entry without deposing the leader: the leader itself proposes it
// again, and nobody sends anything twice.
func TestRefusedByRaft(t *testing.T) {
	for _, refusal := range []error{raft.ErrEnqueueTimeout, raft.ErrLeadershipTransferInProgress} {
		t.Run(refusal.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRealm(t, since())
				r.start()
				r.openSessions(1, 10*fsm.Second)
				left := 3
				r.setGate(func() error {
					if left--; left >= 0 {
						return refusal
					}
					return nil
				})
				before := len(r.committed())
				s, heard := testStream(t, r.now)
				c := fsm.Command{Op: fsm.OpAcquire, Session: 1, Incarnation: 1, Seq: 1,
					Wants: []fsm.Want{{Name: "n", Kind: fsm.KindLock, Mode: fsm.Exclusive}}}
				r.inbox.putAll(s, []fsm.Command{c})
				time.Sleep(4 * retryAfter)
				synctest.Wait()
				if got := heard(); len(got) != 1 || got[0].Result.Status != fsm.StatusOK {
					t.Errorf("heard %+v", got)
				}
				if n := len(r.committed()) - before; n != 1 {
					t.Errorf("%d entries", n)
				}
				r.end()
				s.close()
				synctest.Wait()
			})
		})
	}
}

// A node is told once that all that it sent is lost, and sends it once more.
func TestSentAgainAfterARefusal(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader, follower := w.leader(), w.follower()
	p := w.open(follower, time.Minute)
	before := follower.Metrics()
	w.loseNext(follower)
	a := w.submit(follower, p.acquire("n", 0))
	leader.server.refuse()
	a.answeredOK()
	m := follower.Metrics()
	if m.ResentRefused != before.ResentRefused+1 || m.ResentRoute != before.ResentRoute || m.ResentSilence != before.ResentSilence {
		t.Errorf("after %+v, before %+v", m, before)
	}
}
