package cluster

import (
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// show is what a linearizable read of a name sees.
func (w *world) show(name string) fsm.LockView {
	w.t.Helper()
	ctx, cancel := w.context()
	defer cancel()
	v, err := w.leader().Inspect(ctx, lockapi.Query{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return v.Locks[0]
}

// wants fails unless a command was answered so.
func (a *asked) wants(what string, status fsm.Status) fsm.Result {
	a.w.t.Helper()
	got := a.answer()
	if got.err != nil || got.result.Status != status {
		a.w.t.Errorf("%s: %+v, want %v", what, got, status)
	}
	return got.result
}

// A node is cut off with commands in hand, and their clients go on by way of
// others. When it is back it sends all of them, late. Nothing comes of them that
// nobody knows of: what was withdrawn stays withdrawn, what was refused stays
// refused, though it is free by now; what was said for a session that has ended, or
// by a process after which another took over, is for nobody.
func TestWhatLayAtANodeComesLate(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader, cutOff := w.leader(), w.follower()
	p, q, taken := w.open(leader, time.Minute), w.open(leader, time.Minute), w.open(leader, time.Minute)
	short := &patron{w: w, secret: fsm.Secret{1}}
	opening := fsm.Command{Op: fsm.OpOpen, Nonce: randomNonce(), Secret: short.secret, TTL: fsm.TTLMin}
	short.id = w.do(leader, opening).Session
	held := w.do(leader, q.acquire("refused", 0))
	// What it is asked for next it must not find in what it has yet to apply.
	w.until("it to have applied all that", func() bool { return cutOff.machine.known().applied >= held.Index })
	w.part(cutOff)
	w.until("it to miss the others", func() bool { id, _ := cutOff.Leader(); return id == "" })

	withdrawn, refused := p.acquire("withdrawn", fsm.Forever), p.acquire("refused", 0)
	ended, fenced := short.acquire("ended", fsm.Forever), taken.acquire("fenced", fsm.Forever)
	var late []*asked
	for _, c := range []fsm.Command{withdrawn, refused, opening, ended, fenced} {
		late = append(late, w.submit(cutOff, c))
	}
	if r := w.do(leader, p.next(fsm.Command{Op: fsm.OpAbandon, Target: withdrawn.Seq})); r.Status != fsm.StatusOK {
		t.Errorf("withdrawing: %+v", r)
	}
	if r := w.do(leader, refused); r.Status != fsm.StatusBusy {
		t.Errorf("a try: %+v", r)
	}
	w.do(leader, q.release(held.Grant))
	resume := fsm.Command{Op: fsm.OpResume, Session: taken.id, Secret: taken.secret, Nonce: randomNonce()}
	resumed := w.do(leader, resume)
	heir := taken.acquire("heir", 0)
	heir.Seq, heir.Incarnation, heir.Mark = fsm.Seq(resumed.Value), resumed.Incarnation, fsm.Seq(resumed.Value)
	if heir.Seq != fenced.Seq {
		t.Errorf("the heir's numbers begin at %d; %d would be another's as well", heir.Seq, fenced.Seq)
	}
	given := w.do(leader, heir)
	w.until("the short session to end", func() bool {
		r := w.do(leader, fsm.Command{Op: fsm.OpRenew, Session: short.id, Incarnation: 2, Seq: 1}) // renews nothing
		return r.Status == fsm.StatusSessionGone
	})

	w.part()
	late[0].wants("withdrawn", fsm.StatusAbandoned)
	late[1].wants("refused", fsm.StatusBusy)
	if another := late[2].wants("an open", fsm.StatusOK).Session; another <= short.id {
		t.Errorf("a late open gave session %d, after %d", another, short.id)
	}
	late[3].wants("of an ended session", fsm.StatusSessionGone)
	late[4].wants("of the process before", fsm.StatusFenced)
	for _, name := range []string{"withdrawn", "refused", "ended", "fenced"} {
		if v := w.show(name); len(v.Holders)+len(v.Waiters) != 0 {
			t.Errorf("%q: %+v", name, v)
		}
	}
	if v := w.show("heir"); len(v.Holders) != 1 || v.Holders[0].Token != given.Token {
		t.Errorf("what the heir holds: %+v", v)
	}
	w.until("the session that nobody wanted to end", func() bool { return leader.Metrics().Sessions == 3 })
}

// A hold ends while its session hears nothing, and somebody else is granted. Whether
// the session's node died and it attaches elsewhere when all is over, or its node
// skips the entries that tell of it because it installs a snapshot: it hears of the
// loss, and who waited is not the second to believe.
func TestLossWhileNobodyListens(t *testing.T) {
	w := newWorld(t, 3, func(c *Config) { c.TrailingLogs = 1 })
	leader, cutOff := w.leader(), w.follower()
	var dies *citizen
	for _, c := range w.all() {
		if c != leader && c != cutOff {
			dies = c
		}
	}
	ctx, cancel := w.context()
	defer cancel()
	moves, stays, next := w.open(leader, time.Minute), w.open(leader, time.Minute), w.open(leader, time.Minute)
	moves.attach(dies, ctx, 1)
	heard := stays.attach(cutOff, ctx, 1)
	brief := func(p *patron, name string) fsm.Result {
		c := p.acquire(name, 0)
		c.MaxHold = 2 * fsm.Second // it is lost when all are cut off, not before
		return w.do(leader, c)
	}
	first, second := brief(moves, "a"), brief(stays, "b")
	waits := []fsm.Command{next.acquire("a", fsm.Forever), next.acquire("b", fsm.Forever)}
	for _, c := range waits {
		if r := w.do(leader, c); r.Status != fsm.StatusQueued {
			t.Fatalf("%+v", r)
		}
	}
	w.part(cutOff)
	w.until("both losses", func() bool { return leader.Metrics().ExpiredGrants == 2 })
	w.kill(dies)
	w.restart(dies) // with nobody subscribed
	w.ready(dies)
	for range 20 {
		w.do(leader, next.next(fsm.Command{Op: fsm.OpRelease, Grant: 1 << 40}))
	}
	for _, c := range []*citizen{leader, dies} { // whichever of them leads
		if err := c.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
	}
	w.part()
	w.until("the snapshot to be installed", func() bool { return cutOff.Metrics().SnapshotsInstalled > 0 })
	if o := w.next(heard); o.Kind != fsm.OutcomeLoss || o.Result.Token != second.Token || o.Event != 1 {
		t.Errorf("through the snapshot: %+v", o)
	}
	if o := w.next(moves.attach(dies, ctx, 2)); o.Kind != fsm.OutcomeLoss || o.Result.Token != first.Token || o.Event != 1 {
		t.Errorf("elsewhere: %+v", o)
	}
	for i, p := range []*patron{moves, stays} {
		if r := w.do(leader, p.release([]fsm.Result{first, second}[i].Grant)); r.Status != fsm.StatusNotHeld {
			t.Errorf("released what was lost: %+v", r)
		}
	}
	for i, lost := range []fsm.Result{first, second} {
		v := w.show([]string{"a", "b"}[i])
		if len(v.Holders) != 1 || v.Holders[0].Session != next.id || v.Holders[0].Token <= lost.Token {
			t.Errorf("%+v, after %+v", v, lost)
		}
	}
}
