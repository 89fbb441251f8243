package remote

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// TestEventsSurviveLinks: a grant that comes while the link is down is told
// over the next.
func TestEventsSurviveLinks(t *testing.T) {
	w := newWorld(t, 2)
	b, other := w.open(Options{}, 0, 1), w.open(Options{}, 0, 1)
	u, holder := w.user(b, 1), w.user(other, 2)
	events := u.attach()
	for i := range 4 {
		name := fmt.Sprint(i)
		held := holder.do(holder.acquire(name))
		if r := u.do(u.acquire(name)); r.Status != fsm.StatusQueued {
			t.Fatalf("%+v", r)
		}
		for _, n := range w.nodes {
			n.proxy.down(true)
		}
		if r, err := w.machine.Do(context.Background(), holder.release(held.Grant)); err != nil || r.Status != fsm.StatusOK {
			t.Fatal(r, err)
		}
		for _, n := range w.nodes {
			n.proxy.down(false)
		}
		for {
			o := <-events
			if o.Kind == fsm.OutcomeGranted && o.Event == fsm.EventID(i+1) {
				break
			}
			if o.Event > fsm.EventID(i+1) {
				t.Fatalf("%+v", o)
			}
		}
	}
}

// TestEndWhileAway: a session that ends while nobody is linked is told so, by
// its channel and by the answers to what waits.
func TestEndWhileAway(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	events := u.attach()
	w.nodes[0].set(deaf, nil)
	before := w.nodes[0].commands()
	answer := make(chan fsm.Result)
	c := u.acquire("x")
	go func() { answer <- u.do(c) }()
	until(t, "sent", func() bool { return w.nodes[0].commands() > before })
	w.nodes[0].proxy.down(true)
	if r, err := w.machine.Do(context.Background(), u.number(fsm.Command{Op: fsm.OpClose})); err != nil || r.Status != fsm.StatusOK {
		t.Fatal(r, err)
	}
	w.nodes[0].set(none, nil)
	w.nodes[0].proxy.down(false)
	if r := <-answer; r.Status != fsm.StatusSessionGone {
		t.Errorf("%+v", r)
	}
	if o := <-events; o.Kind != fsm.OutcomeEnded || o.Result.Status != fsm.StatusSessionGone || o.Key.Session != u.id {
		t.Errorf("%+v", o)
	}
	if o, open := <-events; open {
		t.Errorf("%+v", o)
	}
	until(t, "forgotten", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.sessions[u.id] == nil })
}

// TestLaterAttach: it replaces the one before; the end of ctx ends it.
func TestLaterAttach(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	first := u.attach()
	ctx, cancel := context.WithCancel(context.Background())
	second, err := b.Attach(ctx, lockapi.Attachment{Session: u.id, Incarnation: 1, Renewal: 2, Secret: u.secret})
	if err != nil {
		t.Fatal(err)
	}
	if o, open := <-first; open {
		t.Errorf("%+v", o)
	}
	cancel()
	for range second {
	}
	// The session is still ours to speak for, over the next link too.
	w.nodes[0].proxy.cut()
	if r := u.do(u.acquire("x")); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
	// An attach that is given up while it is under way.
	w.nodes[0].set(deaf, nil)
	before := w.nodes[0].commands()
	ctx, cancel = context.WithCancel(context.Background())
	failed := make(chan error)
	go func() {
		_, err := b.Attach(ctx, lockapi.Attachment{Session: u.id, Incarnation: 1, Renewal: 3, Secret: u.secret})
		failed <- err
	}()
	until(t, "sent", func() bool { return w.nodes[0].commands() > before })
	cancel()
	if err := <-failed; !is(err, lockapi.ErrUnknown, context.Canceled) {
		t.Error(err)
	}
}

// TestIdleSessionsAreLeftAlone: a new link attaches, and so renews, only those
// that somebody speaks for.
func TestIdleSessionsAreLeftAlone(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	idle, used := w.user(b, 1), w.user(b, 2)
	used.attach()
	before := w.nodes[0].commands()
	w.nodes[0].proxy.cut()
	used.do(used.acquire("x"))
	if n := w.nodes[0].commands() - before; n > 3 { // one may have been sent into the old link
		t.Errorf("%d commands for an attach and an acquire", n)
	}
	if r := idle.do(idle.acquire("y")); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
}

// TestForgotten: sessions that nobody speaks for do not gather for ever.
func TestForgotten(t *testing.T) {
	w := newWorld(t, 1)
	b := w.open(Options{}, 0)
	u := w.user(b, 1)
	b.mu.Lock()
	for i := range sessionsKept {
		b.sessions[fsm.SessionID(1000+i)] = &session{id: fsm.SessionID(1000 + i), secret: fsm.Secret{1}}
	}
	b.mu.Unlock()
	w.user(b, 2)
	b.mu.Lock()
	n := len(b.sessions)
	b.mu.Unlock()
	if n > 2 {
		t.Errorf("%d sessions", n)
	}
	if r := u.do(u.acquire("x")); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
}

func TestFeed(t *testing.T) {
	var work sync.WaitGroup
	defer work.Wait()
	event := func(i int) *fsm.Outcome { return &fsm.Outcome{Kind: fsm.OutcomeGranted, Event: fsm.EventID(i)} }

	f := newFeed(&work)
	const n = feedBuffered + 1000
	for i := range n {
		f.give(event(i + 1))
	}
	f.give(&fsm.Outcome{Kind: fsm.OutcomeEnded})
	f.give(event(1)) // nothing follows the end
	next := fsm.EventID(1)
	for o := range f.events {
		if o.Kind == fsm.OutcomeEnded {
			break
		}
		if o.Event != next {
			t.Fatalf("event %d in place of %d", o.Event, next)
		}
		next++
	}
	if _, open := <-f.events; open || next != n+1 {
		t.Errorf("%d events, open: %v", next-1, open)
	}
	f.close()

	// A reader that does not read costs a bounded queue, and is cut off.
	f = newFeed(&work)
	for i := range 2 * feedQueueMax {
		f.give(event(i + 1))
	}
	f.mu.Lock()
	queued := len(f.queue)
	f.mu.Unlock()
	if queued > feedQueueMax {
		t.Errorf("%d queued", queued)
	}
	f.close()
	f.close()
	for range f.events {
	}

	f = newFeed(&work)
	f.give(&fsm.Outcome{Kind: fsm.OutcomeEnded})
	if o := <-f.events; o.Kind != fsm.OutcomeEnded {
		t.Error(o)
	}
	if _, open := <-f.events; open {
		t.Error("open after the end")
	}
	f = newFeed(&work)
	f.close()
	if _, open := <-f.events; open {
		t.Error("open after close")
	}
}

func TestBook(t *testing.T) {
	now := time.Now()
	b := newBook([]string{"a:1", "b:1"})
	if !b.learn("a:1", &lockdv1.Hello{ClusterId: "c", Node: "n1", Addresses: []string{"a:1", "x:1", "y:1"}}) {
		t.Error("refused the first cluster")
	}
	if b.learn("z:1", &lockdv1.Hello{ClusterId: "d"}) || !b.learn("b:1", &lockdv1.Hello{Node: "n2", Addresses: []string{"x:1", "y:1"}}) {
		t.Error("clusters are mixed up")
	}
	b.shun("a:1", now)
	b.shun("x:1", now)
	order := b.order(now)
	if !slices.Equal(order[:2], []string{"b:1", "y:1"}) || len(order) != 4 {
		t.Errorf("order %v", order)
	}
	if !b.shuns("a:1", now) || b.shuns("a:1", now.Add(avoidMin)) {
		t.Error("shunned for the wrong time")
	}
	for range 10 {
		b.shun("a:1", now)
	}
	if !b.shuns("a:1", now.Add(avoidMax-1)) || b.shuns("a:1", now.Add(avoidMax)) {
		t.Error("shunned for the wrong time")
	}
	b.forgive("a:1")
	if b.shuns("a:1", now) {
		t.Error("not forgiven")
	}
	for hello, want := range map[*lockdv1.Hello]string{
		{Node: "n1", Leader: "n1", LeaderAddress: "q:1"}: "",
		{Node: "n1"}: "",
		{Node: "n1", Leader: "n2", LeaderAddress: "q:1"}: "b:1", // where it has answered
		{Node: "n2", Leader: "n1", LeaderAddress: "q:1"}: "q:1", // that was too long ago
		{Node: "n1", Leader: "n3", LeaderAddress: "q:1"}: "q:1",
	} {
		if got := b.leader(hello); got != want {
			t.Errorf("%v: leader at %q, want %q", hello, got, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for _, bad := range [][]string{nil, {""}, {"host"}, {":1"}, {"h:"}, {"h:1", "x"}, make([]string, endpointsMax+1)} {
		if b, err := Open(bad, Options{}); !is(err, lockapi.ErrInvalid) {
			t.Errorf("%v: %v", bad, err)
			b.Close()
		}
	}
	for raw, good := range map[string]bool{
		"lockd://127.0.0.1:1": true, "lockd://127.0.0.1:1,127.0.0.1:2?spread=1": true, "lockd://[::1]:1/": true,
		"lockd://127.0.0.1:1?spread=0": true, "lockd://127.0.0.1:1?spread=7": false, "lockd://127.0.0.1:1?x=1": false,
		"lockd://user@127.0.0.1:1": false, "lockd://127.0.0.1:1/path": false, "lockd://": false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		b, err := openURL(context.Background(), u)
		if (err == nil) != good || err != nil && !is(err, lockapi.ErrInvalid) {
			t.Errorf("%s: %v", raw, err)
		}
		if err == nil {
			b.Close()
		}
	}
}

// TestSecretComesLate: a command of a session that is not known is attached
// without its secret. If somebody gives the right one meanwhile, the refusal of
// the wrong one means nothing.
func TestSecretComesLate(t *testing.T) {
	b, l := still()
	c := fsm.Command{Op: fsm.OpRelease, Session: 7, Incarnation: 1, Seq: 1}
	a, err := b.begin(&c, nil)
	if err != nil || a.sent != nil || len(l.attaches) != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	b.mu.Lock()
	b.proven(l, 7, 1, &fsm.Command{Op: fsm.OpAttach, Session: 7, Incarnation: 1, Secret: fsm.Secret{1}}, nil)
	b.mu.Unlock()
	for key := range l.attaches {
		woken := b.receive(l, []rpc.Outcome{{Outcome: fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: key, Result: fsm.Result{Status: fsm.StatusBadSecret}}}}, nil)
		if len(woken) != 0 || a.done || a.sent != l {
			t.Errorf("%+v", a)
		}
	}
	// What the node says of a link that has been replaced is not heeded; what
	// the machine says is.
	b.link = &link{out: rpc.NewPacker(), attaches: make(map[fsm.Key]attaching)}
	b.mu.Lock()
	b.reattach(a.session, b.link)
	b.mu.Unlock()
	answer := func(by *link, refusal lockdv1.Refusal, s fsm.Status) []*call {
		return b.receive(by, []rpc.Outcome{{Refusal: refusal, Outcome: fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: c.Key(), Result: fsm.Result{Status: s}}}}, nil)
	}
	a.sent = b.link
	if woken := answer(l, lockdv1.Refusal_REFUSAL_UNKNOWN, 0); len(woken) != 0 || a.sent != b.link {
		t.Errorf("%+v", a)
	}
	if woken := answer(l, 0, fsm.StatusNotHeld); len(woken) != 1 || woken[0].result.Status != fsm.StatusNotHeld {
		t.Errorf("%+v", a)
	}
}
