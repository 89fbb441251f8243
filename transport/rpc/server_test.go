package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// serve starts a server over b on an in-process listener, and a connection.
func serve(t *testing.T, b lockapi.Backend, o Options) (*Server, *grpc.ClientConn) {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	s := New(b, o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///node", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec())),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s, conn
}

// client is one stream, driven step by step.
type client struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[lockdv1.ClientFrame, lockdv1.ServerFrame]
	cancel context.CancelFunc
	hello  *lockdv1.Hello
	queue  []Outcome
}

func dial(t *testing.T, conn *grpc.ClientConn) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := lockdv1.NewLockdClient(conn).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, stream: stream, cancel: cancel}
	c.receive()
	if c.hello == nil {
		t.Fatal("the first frame has no hello")
	}
	return c
}

func (c *client) send(commands ...fsm.Command) {
	c.t.Helper()
	p := NewPacker()
	for i := range commands {
		p.Command(&commands[i])
	}
	frames := p.Take(nil)
	for i := range frames {
		if err := c.stream.SendMsg(&frames[i]); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *client) receive() {
	c.t.Helper()
	var f Frame
	if err := c.stream.RecvMsg(&f); err != nil {
		c.t.Fatal(err)
	}
	if f.Hello != nil {
		c.hello = f.Hello
	}
	c.queue = append(c.queue, f.Outcomes...)
}

// next is the next outcome of any kind.
func (c *client) next() Outcome {
	c.t.Helper()
	for len(c.queue) == 0 {
		c.receive()
	}
	o := c.queue[0]
	c.queue = c.queue[1:]
	return o
}

// ask sends one command and returns its answer; nothing else may come before.
func (c *client) ask(command fsm.Command) Outcome {
	c.t.Helper()
	c.send(command)
	o := c.next()
	if o.Kind != fsm.OutcomeAnswer || o.Key != command.Key() {
		c.t.Fatalf("the answer to %v is %+v", command.Key(), o)
	}
	return o
}

func secretOf(n byte) fsm.Secret { return fsm.Secret{n, 1, 2, 3} }

func (c *client) open(n byte) fsm.SessionID {
	c.t.Helper()
	o := c.ask(fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 77, Lo: uint64(n)}, Secret: secretOf(n), TTL: fsm.Hour, Label: "test"})
	if o.Result.Status != fsm.StatusOK || o.Result.Session == 0 {
		c.t.Fatalf("open: %+v", o)
	}
	return o.Result.Session
}

func acquire(id fsm.SessionID, seq fsm.Seq, name string) fsm.Command {
	return fsm.Command{Op: fsm.OpAcquire, Session: id, Incarnation: 1, Seq: seq, Mark: 1, Wait: fsm.Forever,
		Wants: []fsm.Want{{Name: name, Kind: fsm.KindLock, Mode: fsm.Exclusive}}}
}

func attach(id fsm.SessionID, nonce uint64, secret fsm.Secret) fsm.Command {
	return fsm.Command{Op: fsm.OpAttach, Session: id, Incarnation: 1, Nonce: fsm.Nonce{Hi: 5, Lo: nonce}, Secret: secret}
}

// both runs a test over a backend with Submit and one without.
func both(t *testing.T, f func(*testing.T, *machine, lockapi.Backend)) {
	t.Run("do", func(t *testing.T) { m := newMachine(); f(t, m, m) })
	t.Run("submit", func(t *testing.T) { m := newMachine(); f(t, m, fast{m}) })
}

func TestLockCycle(t *testing.T) {
	both(t, func(t *testing.T, _ *machine, b lockapi.Backend) {
		_, conn := serve(t, b, Options{})
		one, two := dial(t, conn), dial(t, conn)
		s1, s2 := one.open(1), two.open(2)
		if o := two.ask(attach(s2, 1, secretOf(2))); o.Result.Status != fsm.StatusOK || o.Refusal != 0 {
			t.Fatalf("attach: %+v", o)
		}
		held := one.ask(acquire(s1, 1, "x")).Result
		if held.Status != fsm.StatusOK || held.Token == 0 || held.Index == 0 || held.Order != 1 || held.Count != 1 || held.At == 0 {
			t.Fatalf("acquire: %+v", held)
		}
		second := acquire(s2, 1, "x")
		second.MaxHold = fsm.Hour
		if o := two.ask(second); o.Result.Status != fsm.StatusQueued || o.Result.Place != 1 {
			t.Fatalf("second acquire: %+v", o)
		}
		released := one.ask(fsm.Command{Op: fsm.OpRelease, Session: s1, Incarnation: 1, Seq: 2, Mark: 1, Grant: held.Grant})
		if released.Result.Status != fsm.StatusOK {
			t.Fatalf("release: %+v", released)
		}
		granted := two.next()
		if granted.Kind != fsm.OutcomeGranted || granted.Event != 1 || granted.Key.Seq != 1 || granted.Result.Token <= held.Token ||
			granted.Result.Index != released.Result.Index || granted.Result.Order != 2 {
			t.Fatalf("hand-over: %+v", granted)
		}
		if o := two.ask(fsm.Command{Op: fsm.OpExtend, Session: s2, Incarnation: 1, Seq: 2, Mark: 1, Grant: granted.Result.Grant, MaxHold: 2 * fsm.Hour}); o.Result.Until <= granted.Result.Until {
			t.Fatalf("extend: %+v", o)
		}
		two.send(fsm.Command{Op: fsm.OpRenew, Session: s2, Incarnation: 1, Seq: 1})
		answers, repeated := 0, 0
		for answers == 0 || repeated == 0 {
			switch o := two.next(); {
			case o.Kind == fsm.OutcomeAnswer && o.Key.Class == fsm.ClassRenewal && o.Key.Seq == 1:
				answers++
			case o.Kind == fsm.OutcomeGranted && o.Event == 1:
				repeated++
			default:
				t.Fatalf("after a renewal: %+v", o)
			}
		}
		two.send(fsm.Command{Op: fsm.OpClose, Session: s2, Incarnation: 1, Seq: 3, Mark: 1, Seen: 1})
		kinds := []fsm.OutcomeKind{two.next().Kind, two.next().Kind}
		slices.Sort(kinds)
		if !slices.Equal(kinds, []fsm.OutcomeKind{fsm.OutcomeAnswer, fsm.OutcomeEnded}) {
			t.Errorf("a close gave %v", kinds)
		}
		if o := two.ask(acquire(s2, 4, "x")); o.Refusal != lockdv1.Refusal_REFUSAL_NOT_ATTACHED {
			t.Errorf("after its end a session got %+v", o)
		}
	})
}

// TestStrangers: whoever knows only the number of a session gets nothing
// through, and the machine never hears of it.
func TestStrangers(t *testing.T) {
	both(t, func(t *testing.T, m *machine, b lockapi.Backend) {
		_, conn := serve(t, b, Options{})
		one, two := dial(t, conn), dial(t, conn)
		id := one.open(1)
		held := one.ask(acquire(id, 1, "x")).Result
		for _, c := range []fsm.Command{
			acquire(id, 2, "y"),
			{Op: fsm.OpRelease, Session: id, Incarnation: 1, Seq: 2, Grant: held.Grant},
			{Op: fsm.OpExtend, Session: id, Incarnation: 1, Seq: 2, Grant: held.Grant, MaxHold: 1},
			{Op: fsm.OpAbandon, Session: id, Incarnation: 1, Seq: 2, Target: 1},
			{Op: fsm.OpRenew, Session: id, Incarnation: 1, Seq: 1},
			{Op: fsm.OpClose, Session: id, Incarnation: 1, Seq: 2},
		} {
			if o := two.ask(c); o.Refusal != lockdv1.Refusal_REFUSAL_NOT_ATTACHED || o.Result != (fsm.Result{}) {
				t.Errorf("op %d: %+v", c.Op, o)
			}
			if n := m.reached(c.Op); c.Op != fsm.OpAcquire && n != 0 || n > 1 {
				t.Errorf("op %d reached the machine", c.Op)
			}
		}
		if o := two.ask(attach(id, 1, secretOf(9))); o.Result.Status != fsm.StatusBadSecret {
			t.Errorf("a wrong secret: %+v", o)
		}
		if o := two.ask(acquire(id, 2, "y")); o.Refusal != lockdv1.Refusal_REFUSAL_NOT_ATTACHED {
			t.Errorf("after a wrong secret: %+v", o)
		}
		if o := two.ask(attach(id+5, 2, secretOf(1))); o.Result.Status != fsm.StatusSessionGone {
			t.Errorf("a session that never was: %+v", o)
		}
		// Commands of nodes, and of later versions.
		for _, op := range []fsm.Op{fsm.OpRead, fsm.OpTakeover, fsm.OpMember, 200} {
			if o := two.ask(fsm.Command{Op: op, Session: id, Incarnation: 1}); o.Result.Status != fsm.StatusLevel || m.reached(op) != 0 {
				t.Errorf("op %d: %+v", op, o)
			}
		}
		// The right secret lets in.
		if o := two.ask(attach(id, 3, secretOf(1))); o.Result.Status != fsm.StatusOK {
			t.Fatalf("attach: %+v", o)
		}
		if o := two.ask(acquire(id, 2, "y")); o.Result.Status != fsm.StatusOK {
			t.Errorf("after an attach: %+v", o)
		}
		// An open that is sent again, with the same secret, lets in as well.
		three := dial(t, conn)
		if again := three.open(1); again != id {
			t.Errorf("opened session %v, not %v", again, id)
		}
		if o := three.ask(fsm.Command{Op: fsm.OpRelease, Session: id, Incarnation: 1, Seq: 3, Mark: 1, Grant: held.Grant}); o.Result.Status != fsm.StatusOK {
			t.Errorf("after an open that was sent again: %+v", o)
		}
	})
}

// TestReattach: the last attach on a stream is the one that hears.
func TestReattach(t *testing.T) {
	both(t, func(t *testing.T, _ *machine, b lockapi.Backend) {
		_, conn := serve(t, b, Options{})
		c, other := dial(t, conn), dial(t, conn)
		id, holder := c.open(1), other.open(2)
		held := other.ask(acquire(holder, 1, "x")).Result
		for n := range uint64(3) {
			if o := c.ask(attach(id, n, secretOf(1))); o.Result.Status != fsm.StatusOK {
				t.Fatalf("attach: %+v", o)
			}
		}
		if o := c.ask(acquire(id, 1, "x")); o.Result.Status != fsm.StatusQueued {
			t.Fatalf("%+v", o)
		}
		other.ask(fsm.Command{Op: fsm.OpRelease, Session: holder, Incarnation: 1, Seq: 2, Mark: 1, Grant: held.Grant})
		if o := c.next(); o.Kind != fsm.OutcomeGranted {
			t.Errorf("%+v", o)
		}
		if o := c.ask(acquire(id, 2, "z")); o.Result.Status != fsm.StatusOK {
			t.Errorf("%+v", o)
		}
	})
}

func TestRefusals(t *testing.T) {
	both(t, func(t *testing.T, m *machine, b lockapi.Backend) {
		_, conn := serve(t, b, Options{})
		c := dial(t, conn)
		id := c.open(1)
		seq := fsm.Seq(0)
		for _, tc := range []struct {
			err     error
			refusal lockdv1.Refusal
			result  fsm.Result
		}{
			{fmt.Errorf("x: %w: %w", lockapi.ErrUnknown, context.Canceled), lockdv1.Refusal_REFUSAL_UNKNOWN, fsm.Result{}},
			{lockapi.ErrUnavailable, lockdv1.Refusal_REFUSAL_UNAVAILABLE, fsm.Result{}},
			{lockapi.ErrClosed, lockdv1.Refusal_REFUSAL_UNAVAILABLE, fsm.Result{}},
			{lockapi.ErrSessionGone, 0, fsm.Result{Status: fsm.StatusSessionGone}},
			{lockapi.ErrFenced, 0, fsm.Result{Status: fsm.StatusFenced}},
			{lockapi.ErrDenied, 0, fsm.Result{Status: fsm.StatusBadSecret}},
			{lockapi.ErrInvalid, 0, fsm.Result{Status: fsm.StatusInvalid}},
			{lockapi.ErrUnsupported, 0, fsm.Result{Status: fsm.StatusLevel}},
			{&lockapi.LimitError{Limit: fsm.LimitGrants, Value: 9}, 0, fsm.Result{Status: fsm.StatusLimit, Limit: fsm.LimitGrants, Value: 9}},
		} {
			seq++
			m.mu.Lock()
			m.fault = func(*fsm.Command) error { return tc.err }
			m.mu.Unlock()
			for _, command := range []fsm.Command{acquire(id, seq, "x"), attach(id, uint64(seq), secretOf(1))} {
				if o := c.ask(command); o.Refusal != tc.refusal || o.Result != tc.result {
					t.Errorf("%v: %+v", tc.err, o)
				}
			}
		}
	})
}

// TestBackpressure: a client that does not wait for answers is slowed down by
// not being read, and all its commands are answered in the end.
func TestBackpressure(t *testing.T) {
	both(t, func(t *testing.T, m *machine, b lockapi.Backend) {
		_, conn := serve(t, b, Options{})
		c := dial(t, conn)
		id := c.open(1)
		m.hold()
		const commands = UnderwayMax + 3000
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			p := NewPacker()
			for i := range commands {
				p.Command(&fsm.Command{Op: fsm.OpRenew, Session: id, Incarnation: 1, Seq: fsm.Seq(i + 1)})
			}
			frames := p.Take(nil)
			for i := range frames {
				if err := c.stream.SendMsg(&frames[i]); err != nil {
					t.Error(err)
				}
			}
		}()
		for m.reached(fsm.OpRenew) < UnderwayMax-commandsOf(packSize) {
			runtime.Gosched() // until the node has taken what it takes
		}
		if n := m.reached(fsm.OpRenew); n > UnderwayMax {
			t.Errorf("%d commands under way", n)
		}
		m.release()
		answered := map[fsm.Seq]bool{}
		for len(answered) < commands {
			if o := c.next(); o.Kind == fsm.OutcomeAnswer {
				answered[o.Key.Seq] = true
			}
		}
		<-sent
	})
}

// standing is a stream of which nothing is sent or received.
type standing struct {
	grpc.ServerStream
	ctx context.Context
}

func (s standing) Context() context.Context { return s.ctx }

// TestBacklogIsBounded: whoever does not read what he is told is not read from either.
func TestBacklogIsBounded(t *testing.T) {
	s := New(newMachine(), Options{})
	defer s.Close()
	st := newStream(s, standing{ctx: t.Context()})
	st.sessions[1] = &attached{}
	command := acquire(1, 1, "x")
	st.mu.Lock()
	for o := outcomeOf(command.Key(), fsm.Result{Status: fsm.StatusOK}, nil); st.out.Size() <= backlogSizeMax; {
		st.out.outcome(&o)
	}
	st.mu.Unlock()
	admitted := make(chan []kept, 1)
	go func() {
		keep, _ := st.admit([]fsm.Command{command}, nil)
		admitted <- keep
	}()
	for waits := false; !waits; runtime.Gosched() {
		st.mu.Lock()
		waits = st.room != nil
		if len(admitted) > 0 {
			t.Error("it was read from")
			waits = true
		}
		st.mu.Unlock()
	}
	st.mu.Lock()
	st.out.Take(nil) // it is written
	st.free()
	st.mu.Unlock()
	if keep := <-admitted; len(keep) != 1 {
		t.Errorf("%d commands go on", len(keep))
	}
}

// commandsOf is how many small commands a frame of so many bytes has at most.
func commandsOf(size int) int { return size / 8 }

// TestMalformedStreams: a client that speaks nonsense loses its stream, with
// the reason, and nobody else notices.
func TestMalformedStreams(t *testing.T) {
	m := newMachine()
	_, conn := serve(t, fast{m}, Options{Logger: slog.New(slog.DiscardHandler)})
	good := dial(t, conn)
	for _, data := range [][]byte{{0xff}, make([]byte, FrameSizeMax+1)} {
		bad := dial(t, conn)
		if err := bad.stream.SendMsg(&Packed{data: &data, pool: &bufferPool{}}); err != nil {
			t.Fatal(err)
		}
		var f Frame
		err := bad.stream.RecvMsg(&f)
		if code := status.Code(err); code != codes.Internal && code != codes.ResourceExhausted {
			t.Errorf("%d bytes of nonsense: %v", len(data), err)
		}
	}
	good.open(1)
}

func TestInspectAndStatus(t *testing.T) {
	m := newMachine()
	now := lockapi.Status{ClusterID: "c1", Node: "n1", Leader: "n2", Term: 3, AppliedIndex: 9, Level: 1, Nodes: []lockapi.NodeStatus{
		{ID: "n1", Address: "a:1", Voter: true, Alive: true}, {ID: "n2", Address: "b:2", Voter: true}, {ID: "n3"},
	}}
	_, conn := serve(t, m, Options{Status: func(context.Context) (lockapi.Status, error) { return now, nil }})
	c := dial(t, conn)
	if h := c.hello; h.GetNode() != "n1" || h.GetLeader() != "n2" || h.GetLeaderAddress() != "b:2" || h.GetClusterId() != "c1" || len(h.GetAddresses()) != 2 {
		t.Errorf("hello %v", h)
	}
	s1 := c.open(1)
	for i, name := range []string{"a/1", "a/2", "b"} {
		c.ask(acquire(s1, fsm.Seq(i+1), name))
	}
	ctx := context.Background()
	api := lockdv1.NewLockdClient(conn)
	for _, q := range []lockapi.Query{{Name: "a/1"}, {Prefix: "a/", Limit: 1}, {Prefix: "a/", After: "a/1", Limit: 5, Stale: true}, {Name: "idle"}} {
		want, _ := m.Inspect(ctx, q)
		reply, err := api.Inspect(ctx, QueryRequest(q))
		if err != nil {
			t.Fatal(err)
		}
		got := ViewOf(reply)
		got.At, want.At = 0, 0
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: got %+v, want %+v", q, got, want)
		}
	}
	reply, err := api.Status(ctx, &lockdv1.StatusRequest{})
	if got := StatusOf(reply); err != nil || fmt.Sprint(got) != fmt.Sprint(now) {
		t.Errorf("status %+v, %v", got, err)
	}
	for failure, kind := range map[error]error{
		lockapi.ErrInvalid: lockapi.ErrInvalid, lockapi.ErrUnsupported: lockapi.ErrUnsupported, lockapi.ErrUnavailable: lockapi.ErrUnavailable,
		lockapi.ErrUnknown: lockapi.ErrUnavailable, context.DeadlineExceeded: lockapi.ErrUnavailable, context.Canceled: lockapi.ErrUnavailable,
	} {
		m.mu.Lock()
		m.fault = func(*fsm.Command) error { return fmt.Errorf("node n1: %w", failure) }
		m.mu.Unlock()
		_, err := api.Inspect(ctx, QueryRequest(lockapi.Query{}))
		if err := ErrorOf(err); !errors.Is(err, kind) || !strings.Contains(err.Error(), "node n1") {
			t.Errorf("%v came as %v", failure, err)
		}
	}
	if ErrorOf(nil) != nil || statusOf(nil) != nil {
		t.Error("no error became one")
	}
}

// TestLongPages: a page is cut off before it grows out of hand.
func TestLongPages(t *testing.T) {
	label := strings.Repeat("l", 128)
	big := fsm.LockView{Name: "big", Waiters: make([]fsm.WaiterView, 30000)}
	for i := range big.Waiters {
		big.Waiters[i] = fsm.WaiterView{Label: label, Owner: label}
	}
	m := viewResponse(lockapi.View{Locks: []fsm.LockView{big, {Name: "next"}}})
	if len(m.GetLocks()) != 1 || !m.GetMore() {
		t.Errorf("%d locks, more: %v", len(m.GetLocks()), m.GetMore())
	}
}

// TestLeaders: streams and health are told when the leader changes.
func TestLeaders(t *testing.T) {
	var mu sync.Mutex
	now, failure := lockapi.Status{Node: "n1", ClusterID: "c", Nodes: []lockapi.NodeStatus{{ID: "n1", Address: "a:1"}}}, error(nil)
	s, conn := serve(t, newMachine(), Options{Status: func(context.Context) (lockapi.Status, error) {
		mu.Lock()
		defer mu.Unlock()
		return now, failure
	}})
	change := func(leader string, err error) {
		mu.Lock()
		defer mu.Unlock()
		now.Leader, failure = leader, err
	}
	c := dial(t, conn)
	healthy := grpc_health_v1.NewHealthClient(conn)
	serving := func() bool {
		r, err := healthy.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{Service: "lockd.v1.Lockd"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
	}
	if c.hello.GetLeader() != "" || serving() {
		t.Errorf("hello %v, serving %v", c.hello, serving())
	}
	change("n1", nil)
	c.receive()
	if c.hello.GetLeader() != "n1" || c.hello.GetLeaderAddress() != "a:1" || !serving() {
		t.Errorf("hello %v, serving %v", c.hello, serving())
	}
	change("n1", errors.New("no idea"))
	c.receive()
	if c.hello.GetLeader() != "" || c.hello.GetNode() != "n1" || serving() {
		t.Errorf("hello %v, serving %v", c.hello, serving())
	}

	// Shutting down sends clients away, and waits for them.
	stopped := make(chan error)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	for !c.hello.GetDraining() {
		c.receive()
	}
	if err := c.stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// watched is a backend that tells when who leads has changed.
type watched struct {
	*machine
	at atomic.Pointer[office]
}

type office struct {
	leader  string
	changed chan struct{}
}

func (w *watched) LeaderChanges() <-chan struct{} { return w.at.Load().changed }

func (w *watched) Status(context.Context) (lockapi.Status, error) {
	return lockapi.Status{Node: "n1", Leader: w.at.Load().leader}, nil
}

// TestLeaderChanges: a backend that tells of changes is asked then.
func TestLeaderChanges(t *testing.T) {
	w := &watched{machine: newMachine()}
	w.at.Store(&office{"n1", make(chan struct{})})
	_, conn := serve(t, w, Options{})
	c := dial(t, conn)
	for _, leader := range []string{"n2", "", "n3"} {
		close(w.at.Swap(&office{leader, make(chan struct{})}).changed)
		c.receive()
		if c.hello.GetLeader() != leader {
			t.Errorf("the leader is %q, not %q", c.hello.GetLeader(), leader)
		}
	}
}

// TestShutdownInVain: a client that stays is cut off when time is up.
func TestShutdownInVain(t *testing.T) {
	s, conn := serve(t, newMachine(), Options{})
	c := dial(t, conn)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- s.Shutdown(ctx) }()
	for !c.hello.GetDraining() {
		c.receive()
	}
	late, err := lockdv1.NewLockdClient(conn).Stream(context.Background())
	if err == nil {
		err = late.RecvMsg(&Frame{})
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a stream to a server that drains: %v", err)
	}
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := c.stream.RecvMsg(&Frame{}); err == nil {
		t.Error("the stream lives on")
	}
}

// TestReflection: tools find the service without having the file.
func TestReflection(t *testing.T) {
	_, conn := serve(t, newMachine(), Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	reply, err := r.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range reply.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{"lockd.v1.Lockd", "grpc.health.v1.Health"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
}

// TestOtherLanguages: a client that knows only the generated messages.
func TestOtherLanguages(t *testing.T) {
	_, conn := serve(t, newMachine(), Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := lockdv1.NewLockdClient(conn).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	secret := secretOf(1)
	if err := stream.Send(&lockdv1.ClientFrame{Commands: []*lockdv1.Command{
		{Op: lockdv1.Op_OP_OPEN, Nonce: &lockdv1.Nonce{Hi: 1, Lo: 2}, Secret: secret[:], TtlNanos: int64(fsm.Hour), Label: "other"},
	}}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range f.GetOutcomes() {
			if o.GetStatus() != lockdv1.Status_STATUS_OK || o.GetNonce().GetLo() != 2 || o.GetOpenedSession() == 0 {
				t.Errorf("%v", o)
			}
			return
		}
	}
}

// TestOpenNeedsASecret: a session without one would be anybody's who sees its
// number in a list.
func TestOpenNeedsASecret(t *testing.T) {
	_, conn := serve(t, newMachine(), Options{})
	c := dial(t, conn)
	o := c.ask(fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 9}, TTL: fsm.Hour})
	if o.Result.Status != fsm.StatusInvalid || o.Result.Limit != fsm.LimitSecret {
		t.Errorf("%+v", o)
	}
}

// TestWantsAreBounded: a frame of empty wants is refused by the machine, and
// does not grow in memory before.
func TestWantsAreBounded(t *testing.T) {
	c := fsm.Command{Op: fsm.OpAcquire, Session: 1, Incarnation: 1, Seq: 1, Wants: make([]fsm.Want, 10*fsm.WantsMax)}
	frame := reader[string]{b: string(AppendCommand(nil, &c))}
	frame.next()
	in := reader[string]{b: frame.field()}
	var got fsm.Command
	wants := decodeCommand(&in, &got, nil)
	if in.bad || len(wants) != fsm.WantsMax+1 {
		t.Errorf("%d wants of %d, bad %v", len(wants), len(c.Wants), in.bad)
	}
}

// TestSessionsAreCounted: so are the sessions of a stream.
func TestSessionsAreCounted(t *testing.T) {
	s, conn := serve(t, newMachine(), Options{})
	c := dial(t, conn)
	id := c.open(1)
	s.mu.Lock()
	for st := range s.streams {
		st.mu.Lock()
		for i := range StreamSessionsMax - 1 {
			st.sessions[fsm.SessionID(1000+i)] = &attached{}
		}
		st.mu.Unlock()
	}
	s.mu.Unlock()
	for _, command := range []fsm.Command{attach(7, 1, secretOf(7)), {Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 9}, Secret: secretOf(9), TTL: fsm.Hour}} {
		o := c.ask(command)
		if o.Refusal != lockdv1.Refusal_REFUSAL_OVERLOADED || o.Full == nil || o.Full.What != "sessions of one stream: 32768" {
			t.Errorf("%+v", o)
		}
	}
	if o := c.ask(attach(id, 2, secretOf(1))); o.Result.Status != fsm.StatusOK {
		t.Errorf("a session that is attached already: %+v", o)
	}
}

// TestOpensUnderWayAreCounted: what is about to be a session takes its place before it
// is one.
func TestOpensUnderWayAreCounted(t *testing.T) {
	s := New(newMachine(), Options{})
	defer s.Close()
	st := newStream(s, standing{ctx: t.Context()})
	for i := range StreamSessionsMax - 1 {
		st.sessions[fsm.SessionID(1000+i)] = &attached{}
	}
	var opens []fsm.Command
	for n := range byte(3) {
		opens = append(opens, fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 77, Lo: uint64(n)}, Secret: secretOf(n), TTL: fsm.Hour})
	}
	keep, err := st.admit(opens, nil)
	if err != nil || len(keep) != 1 || keep[0].at != 0 {
		t.Errorf("of three opens, with room for one, %v go on (%v)", keep, err)
	}
}

// TestRefusedSpeaksForNobody: an open or a resume that was refused lets nobody in, and
// least of all the session that no answer names: it is everybody's.
func TestRefusedSpeaksForNobody(t *testing.T) {
	both(t, func(t *testing.T, m *machine, b lockapi.Backend) {
		_, conn := serve(t, b, Options{})
		owner, c := dial(t, conn), dial(t, conn)
		id := owner.open(1)
		for _, command := range []fsm.Command{
			{Op: fsm.OpResume, Session: id, Nonce: fsm.Nonce{Hi: 3, Lo: 3}, Secret: secretOf(9)},
			{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 3, Lo: 4}, Secret: secretOf(9), TTL: 1},
		} {
			if o := c.ask(command); o.Result.Status == fsm.StatusOK {
				t.Fatalf("%+v", o)
			}
			for _, of := range []fsm.SessionID{id, fsm.ReservedSession} {
				if o := c.ask(acquire(of, 1, "x")); o.Refusal != lockdv1.Refusal_REFUSAL_NOT_ATTACHED {
					t.Errorf("it speaks for %v: %+v", of, o)
				}
			}
		}
	})
}

// TestServeFails: an unusable listener is an error, a stopped server is not.
func TestServeFails(t *testing.T) {
	s := New(newMachine(), Options{})
	defer s.Close()
	l := bufconn.Listen(1)
	l.Close()
	if err := s.Serve(l); err == nil {
		t.Error("served on a closed listener")
	}
}
