package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

func TestCycle(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	one, two := w.user(b, 1), w.user(b, 2)
	events := two.attach()
	held := one.do(one.acquire("x"))
	if held.Status != fsm.StatusOK || held.Index == 0 || held.Order == 0 || held.Token == 0 {
		t.Fatalf("%+v", held)
	}
	if r := two.do(two.acquire("x")); r.Status != fsm.StatusQueued {
		t.Fatalf("%+v", r)
	}
	released := one.do(one.release(held.Grant))
	if granted := <-events; granted.Kind != fsm.OutcomeGranted || granted.Event != 1 || granted.Result.Index != released.Index {
		t.Errorf("%+v", granted)
	}
	if r := two.do(two.number(fsm.Command{Op: fsm.OpClose})); r.Status != fsm.StatusOK {
		t.Errorf("close: %+v", r)
	}
	if o := <-events; o.Kind != fsm.OutcomeEnded {
		t.Errorf("%+v", o)
	}
	if o, open := <-events; open {
		t.Errorf("after the end: %+v", o)
	}
	if r := two.do(two.acquire("x")); r.Status != fsm.StatusSessionGone {
		t.Errorf("after the end: %+v", r)
	}
	if c := b.Capabilities(); !c.Fair || !c.Fencing || !c.Linearizable || c.Backend != "lockd" {
		t.Errorf("%+v", c)
	}
}

// TestLostAnswers: what was done and not answered is asked again over the next
// link, and done once.
func TestLostAnswers(t *testing.T) {
	w := newWorld(t, 1)
	n := w.nodes[0]
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	u.attach()
	for round := range 3 {
		n.set(mute, nil)
		before := n.commands()
		const many = 20
		var results [many]fsm.Result
		var wg sync.WaitGroup
		for i := range many {
			c := u.acquire(fmt.Sprintf("x%d/%d", round, i))
			wg.Go(func() { results[i] = u.do(c) })
		}
		until(t, "all are sent", func() bool { return n.commands() == before+many })
		n.set(none, nil)
		n.proxy.cut()
		wg.Wait()
		for _, r := range results {
			if r.Status != fsm.StatusOK || r.Count != 1 {
				t.Errorf("%+v", r)
			}
		}
	}
}

// TestRestarts: servers stop and start under load; nobody notices but by time.
func TestRestarts(t *testing.T) {
	w := newWorld(t, 3)
	b := w.open(Options{}, 0, 1, 2)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var mu sync.Mutex
	cycles := 0
	for i := range 8 {
		u := w.user(b, byte(i+1))
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := u.do(u.acquire(fmt.Sprintf("own/%d", u.id)))
				if r.Status != fsm.StatusOK || r.Count != 1 {
					t.Errorf("acquire: %+v", r)
				}
				if r := u.do(u.release(r.Grant)); r.Status != fsm.StatusOK {
					t.Errorf("release: %+v", r)
				}
				u.mu.Lock()
				last := u.seq
				u.mu.Unlock()
				if last > 900 {
					u.do(fsm.Command{Op: fsm.OpRenew, Session: u.id, Incarnation: 1, Seq: 1})
					return // as far as a window goes without a mark
				}
				mu.Lock()
				cycles++
				mu.Unlock()
			}
		})
	}
	for i := range 6 {
		mu.Lock()
		goal := cycles + 20
		mu.Unlock()
		n := w.nodes[i%3]
		n.stop()
		w.lead((i + 1) % 3)
		n.start()
		until(t, "work goes on", func() bool { mu.Lock(); defer mu.Unlock(); return cycles >= goal || cycles > 3000 })
	}
	close(stop)
	wg.Wait()
}

// TestFollowsTheLeader: from whatever node was found, and when it changes.
func TestFollowsTheLeader(t *testing.T) {
	w := newWorld(t, 3)
	w.lead(2)
	b := w.open(Options{}, 0) // the others are learnt
	u := w.user(b, 1)
	u.attach()
	until(t, "linked to n2", func() bool { return b.linkedTo() == "n2" })
	w.lead(1)
	until(t, "linked to n1", func() bool { return b.linkedTo() == "n1" })
	// A leader that cannot be reached is not waited for.
	w.nodes[0].proxy.down(true)
	w.lead(0)
	for i := range 3 {
		if r := u.do(u.acquire(fmt.Sprint(i))); r.Status != fsm.StatusOK {
			t.Errorf("%+v", r)
		}
	}
	w.nodes[0].proxy.down(false)
	until(t, "linked to n0", func() bool { return b.linkedTo() == "n0" })
	// Nobody leads: any node will do.
	w.lead(-1)
	w.nodes[0].proxy.down(true)
	if r := u.do(u.acquire("y")); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
}

func TestSpread(t *testing.T) {
	w := newWorld(t, 2)
	w.lead(1)
	b := w.open(Options{Spread: true}, 0)
	u := w.user(b, 1)
	for i := range 10 {
		u.do(u.acquire(fmt.Sprint(i)))
	}
	if b.linkedTo() != "n0" || w.nodes[1].commands() != 0 {
		t.Errorf("linked to %s; the leader has %d commands", b.linkedTo(), w.nodes[1].commands())
	}
}

// TestSilentServers: accepting a connection is not answering it.
func TestSilentServers(t *testing.T) {
	w := newWorld(t, 2)
	b, err := Open([]string{blackHole(t), blackHole(t), w.nodes[0].proxy.address()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	u := w.user(b, 1)
	u.attach()
	// The leader hangs with the connection open: the machine's, then the
	// network's silence.
	w.nodes[0].set(deaf, nil)
	if r := u.do(u.acquire("x")); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
	if b.linkedTo() != "n1" {
		t.Errorf("linked to %s", b.linkedTo())
	}
	w.nodes[0].set(none, nil)
	w.lead(1)
	w.nodes[1].proxy.freeze(true)
	if r := u.do(u.acquire("y")); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
	if b.linkedTo() != "n0" {
		t.Errorf("linked to %s", b.linkedTo())
	}
}

// TestDoubt: a second call with the same command takes another path, and both
// callers are answered.
func TestDoubt(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(Options{}, 0, 1)
	u := w.user(b, 1)
	until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
	w.nodes[0].set(deaf, nil)
	before := w.nodes[0].commands()
	c := u.acquire("x")
	var wg sync.WaitGroup
	var first fsm.Result
	wg.Go(func() { first = u.do(c) })
	until(t, "sent", func() bool { return w.nodes[0].commands() > before })
	if second := u.do(c); second.Status != fsm.StatusOK {
		t.Errorf("%+v", second)
	}
	wg.Wait()
	if first.Status != fsm.StatusOK {
		t.Errorf("%+v", first)
	}
	// Another command with the number of one that is under way goes nowhere.
	w.nodes[1].set(deaf, nil)
	c, before = u.acquire("y"), w.nodes[1].commands()
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { _, _ = b.Do(ctx, c) })
	until(t, "sent", func() bool { return w.nodes[1].commands() > before })
	c.Owner = "somebody else"
	if _, err := b.Do(ctx, c); !is(err, lockapi.ErrInvalid) {
		t.Error(err)
	}
	cancel()
	wg.Wait()
}

// TestGivingUp: what the error says when ctx ends.
func TestGivingUp(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	n := w.nodes[0]

	// Sent, perhaps done.
	n.set(mute, nil)
	before := n.commands()
	c := u.acquire("x")
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 3)
	ask := func() { _, err := b.Do(ctx, c); failed <- err }
	go ask()
	until(t, "sent", func() bool { return n.commands() > before })
	go ask()
	go ask()
	until(t, "all wait", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		a := b.inflight[c.Key()]
		return a != nil && a.also != nil && a.also.also != nil
	})
	cancel()
	for range 3 {
		if err := <-failed; !is(err, lockapi.ErrUnknown, context.Canceled) || errors.Is(err, lockapi.ErrUnavailable) {
			t.Error(err)
		}
	}
	n.set(none, nil)
	if r := u.do(c); r.Status != fsm.StatusOK {
		t.Errorf("asked again: %+v", r)
	}

	// Refused by the node again and again: never sent on, but for a refusal
	// that was not heard.
	n.set(none, lockapi.ErrUnavailable)
	before = n.commands()
	ctx, cancel = context.WithCancel(context.Background())
	c = u.acquire("y")
	go ask()
	until(t, "refused", func() bool { return n.commands() > before+4 })
	cancel()
	if err := <-failed; !is(err, context.Canceled) || errors.Is(err, lockapi.ErrUnknown) == errors.Is(err, lockapi.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := b.Do(ctx, c); !is(err, lockapi.ErrUnavailable, context.Canceled) {
		t.Error(err)
	}
}

// TestNeverSent: with no node in reach a command is ErrUnavailable.
func TestNeverSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	b, err := Open([]string{address}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error)
	go func() {
		_, err := b.Do(ctx, fsm.Command{Op: fsm.OpOpen, TTL: fsm.Hour})
		failed <- err
		_, err = b.Inspect(ctx, lockapi.Query{})
		failed <- err
	}()
	until(t, "waiting", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.inflight) > 0 })
	cancel()
	for range 2 {
		if err := <-failed; !is(err, lockapi.ErrUnavailable, context.Canceled) || errors.Is(err, lockapi.ErrUnknown) {
			t.Error(err)
		}
	}
}

// TestRefusedForNow: a node that cannot take commands is left for another.
func TestRefusedForNow(t *testing.T) {
	for _, failure := range []error{lockapi.ErrUnavailable, lockapi.ErrUnknown, lockapi.ErrClosed} {
		w := newWorld(t, 2)
		b := w.open(Options{}, 0, 1)
		u := w.user(b, 1)
		until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
		w.nodes[0].set(none, failure)
		if r := u.do(u.acquire("x")); r.Status != fsm.StatusOK {
			t.Errorf("%v: %+v", failure, r)
		}
		if b.linkedTo() != "n1" {
			t.Errorf("%v: linked to %s", failure, b.linkedTo())
		}
	}
}

// TestDraining: a node that stops in good order loses its clients first.
func TestDraining(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(Options{}, 0, 1)
	u := w.user(b, 1)
	u.attach()
	until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
	if err := w.nodes[0].server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if r := u.do(u.acquire("x")); r.Status != fsm.StatusOK || b.linkedTo() != "n1" {
		t.Errorf("%+v, linked to %s", r, b.linkedTo())
	}
	// The last node need not wait for clients that have nowhere to go.
	if err := w.nodes[1].server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	w.nodes[0].start()
	if r := u.do(u.acquire("y")); r.Status != fsm.StatusOK || b.linkedTo() != "n0" {
		t.Errorf("%+v, linked to %s", r, b.linkedTo())
	}
}

// TestStrangers: what the machine says to a command of a session that is not
// this backend's.
func TestStrangers(t *testing.T) {
	w := newWorld(t, 1)
	mine, others := w.open(Options{}, 0), w.open(Options{}, 0)
	u := w.user(mine, 1)
	held := u.do(u.acquire("x"))
	for id, status := range map[fsm.SessionID]fsm.Status{u.id: fsm.StatusBadSecret, 4711: fsm.StatusSessionGone} {
		r, err := others.Do(context.Background(), fsm.Command{Op: fsm.OpRelease, Session: id, Incarnation: 1, Seq: 2, Mark: 1, Grant: held.Grant})
		if err != nil || r.Status != status {
			t.Errorf("session %v: %+v, %v", id, r, err)
		}
	}
	r, err := others.Do(context.Background(), fsm.Command{Op: fsm.OpRenew, Session: u.id, Incarnation: 3, Seq: 1})
	if err != nil || r.Status != fsm.StatusFenced {
		t.Errorf("another incarnation: %+v, %v", r, err)
	}
	for secret, kind := range map[fsm.Secret]error{{1}: lockapi.ErrDenied, u.secret: nil} {
		_, err := others.Attach(context.Background(), lockapi.Attachment{Session: u.id, Incarnation: 1, Secret: secret})
		if !errors.Is(err, kind) {
			t.Errorf("attach: %v", err)
		}
	}
	if r := u.do(u.release(held.Grant)); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
}

// TestUnsendable: what would cost the stream is refused here.
func TestUnsendable(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	ctx := context.Background()
	for _, op := range []fsm.Op{0, fsm.OpRead, fsm.OpTakeover, fsm.OpMember, 99} {
		if _, err := b.Do(ctx, fsm.Command{Op: op}); !is(err, lockapi.ErrUnsupported) {
			t.Errorf("op %d: %v", op, err)
		}
	}
	long := string(make([]byte, 70_000))
	for _, c := range []fsm.Command{{Op: fsm.OpAcquire, Owner: long}, {Op: fsm.OpOpen, Label: long}, {Op: fsm.OpAcquire, Wants: []fsm.Want{{Name: long}}}} {
		if _, err := b.Do(ctx, c); !is(err, lockapi.ErrInvalid) {
			t.Error(err)
		}
	}
	// What the machine refuses does not cost it either.
	u := w.user(b, 1)
	if r := u.do(u.acquire("\xff")); r.Status != fsm.StatusInvalid || r.Limit != fsm.LimitName {
		t.Errorf("%+v", r)
	}
	for _, q := range []lockapi.Query{{Name: "\xff"}, {Prefix: long}, {Limit: -1}, {Limit: 5000}} {
		_, err := b.Inspect(ctx, q)
		if !is(err, lockapi.ErrInvalid) || strings.Contains(err.Error(), "a page has") != (q.Limit != 0) {
			t.Errorf("limit %d: %v", q.Limit, err)
		}
	}
}

// TestManyCallers: a lot at once, over links that break, each done once.
func TestManyCallers(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(Options{}, 0, 1)
	const users, each = 20, 100
	var wg sync.WaitGroup
	for i := range users {
		u := w.user(b, byte(i+1))
		for range each {
			c := u.acquire(fmt.Sprintf("%d/%d", u.id, u.seq))
			wg.Go(func() {
				if r := u.do(c); r.Status != fsm.StatusOK || r.Count != 1 {
					t.Errorf("%+v", r)
				}
			})
		}
	}
	for i := range 10 {
		before := w.nodes[0].commands() + w.nodes[1].commands()
		w.nodes[i%2].proxy.cut()
		until(t, "some get through", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return w.nodes[0].commands()+w.nodes[1].commands() > before || len(b.inflight) == 0
		})
	}
	wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.inflight) != 0 {
		t.Errorf("%d left", len(b.inflight))
	}
	for _, s := range b.sessions {
		if s.calls != nil {
			t.Error("a session has calls left")
		}
	}
}

// TestClose: everybody who waits is told, and nothing goes on.
func TestClose(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	events := u.attach()
	w.nodes[0].set(deaf, nil)
	before := w.nodes[0].commands()
	failed := make(chan error)
	go func() {
		_, err := b.Do(context.Background(), u.acquire("x"))
		failed <- err
	}()
	until(t, "sent", func() bool { return w.nodes[0].commands() > before })
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !is(err, lockapi.ErrClosed, lockapi.ErrUnknown) {
		t.Error(err)
	}
	if o, open := <-events; open {
		t.Errorf("%+v", o)
	}
	ctx := context.Background()
	_, doing := b.Do(ctx, u.acquire("x"))
	_, attaching := b.Attach(ctx, lockapi.Attachment{Session: u.id, Incarnation: 1})
	_, inspecting := b.Inspect(ctx, lockapi.Query{})
	for _, err := range []error{doing, attaching, inspecting} {
		if !is(err, lockapi.ErrClosed) || errors.Is(err, lockapi.ErrUnknown) {
			t.Error(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestOtherCluster: an endpoint of another cluster is not used, whatever it
// promises.
func TestOtherCluster(t *testing.T) {
	w, stranger := newWorld(t, 1), newWorld(t, 1)
	stranger.mu.Lock()
	stranger.nodes[0].cluster = "c2"
	stranger.mu.Unlock()
	stranger.nodes[0].stop()
	stranger.nodes[0].start()
	b, err := Open([]string{w.nodes[0].proxy.address()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	u := w.user(b, 1)
	b.book.mu.Lock()
	b.book.given = append(b.book.given, stranger.nodes[0].proxy.address())
	b.book.mu.Unlock()
	for i := range 5 {
		w.nodes[0].proxy.cut()
		if r := u.do(u.acquire(fmt.Sprint(i))); r.Status != fsm.StatusOK {
			t.Errorf("%+v", r)
		}
	}
	if n := stranger.nodes[0].commands(); n != 0 {
		t.Errorf("the other cluster got %d commands", n)
	}
}

func TestInspectAndStatus(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(Options{}, 0, 1)
	u := w.user(b, 1)
	held := u.do(u.acquire("x"))
	until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
	w.nodes[0].set(none, errors.New("no quorum, try again"))
	go func() {
		until(t, "asked", func() bool { return w.nodes[0].commands() > 5 })
		w.nodes[0].set(none, nil)
	}()
	ctx := context.Background()
	v, err := b.Inspect(ctx, lockapi.Query{Name: "x"})
	if err != nil || len(v.Locks) != 1 || len(v.Locks[0].Holders) != 1 || v.Locks[0].Holders[0].Token != held.Token || v.Index == 0 {
		t.Errorf("%+v, %v", v, err)
	}
	s, err := b.Status(ctx)
	if err != nil || s.ClusterID != "c1" || s.Leader != "n0" || len(s.Nodes) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	// A node that hangs is left.
	w.nodes[0].set(deaf, nil)
	if v, err := b.Inspect(ctx, lockapi.Query{Prefix: "x"}); err != nil || len(v.Locks) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if b.linkedTo() != "n1" {
		t.Errorf("linked to %s", b.linkedTo())
	}
}
