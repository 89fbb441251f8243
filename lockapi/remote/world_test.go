package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
	"github.com/lockd-io/lockd/transport/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a cluster as a client sees it: nodes that share a machine, each
// behind a proxy that can be cut and frozen.
type world struct {
	t       *testing.T
	machine *mem.Backend
	nodes   []*node

	mu     sync.Mutex
	leader int // index of the node that leads; -1 is none
}

func newWorld(t *testing.T, nodes int) *world {
	w := &world{t: t, machine: mem.New()}
	for i := range nodes {
		n := &node{w: w, id: fmt.Sprintf("n%d", i), cluster: "c1", Backend: w.machine.Another()}
		n.proxy = newProxy(t)
		w.nodes = append(w.nodes, n)
	}
	for _, n := range w.nodes {
		n.start()
	}
	t.Cleanup(func() {
		for _, n := range w.nodes {
			n.stop()
			n.proxy.close()
			n.Backend.Close()
		}
		w.machine.Close()
	})
	return w
}

func (w *world) lead(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leader = i
}

// open makes a backend whose endpoints are the nodes with these indexes.
func (w *world) open(o Options, nodes ...int) *Backend {
	w.t.Helper()
	var endpoints []string
	for _, i := range nodes {
		endpoints = append(endpoints, w.nodes[i].proxy.address())
	}
	b, err := Open(endpoints, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { b.Close() })
	return b
}

// A node is a server over the shared machine, with faults.
type node struct {
	*mem.Backend
	w       *world
	id      string
	cluster string
	proxy   *proxy
	server  *rpc.Server

	mu         sync.Mutex
	fault      fault
	failure    error // given to every command in place of doing it
	asked      int   // commands that came
	leaderless bool  // says that nobody leads
	queue      []func()
}

// fault is how a node treats commands.
type fault int

const (
	none    fault = iota
	deaf          // does nothing and never answers
	mute          // does it and never answers
	crowded       // gives its failure to acquires only
	stuck         // is deaf to acquires only
	slow          // does one after the other, and takes its time
)

func (n *node) set(f fault, failure error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault, n.failure = f, failure
}

func (n *node) commands() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func (n *node) state() (fault, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	return n.fault, n.failure
}

func (n *node) Submit(c fsm.Command, answer func(fsm.Result, error)) {
	f, failure := n.state()
	switch {
	case failure != nil && (f != crowded || c.Op == fsm.OpAcquire):
		answer(fsm.Result{}, failure)
	case f == slow:
		n.slowly(func() { n.Backend.Submit(c, answer) })
	case f == mute:
		n.Backend.Submit(c, func(fsm.Result, error) {})
	case f == none, f == crowded, f == stuck && c.Op != fsm.OpAcquire:
		n.Backend.Submit(c, answer)
	}
}

// slowly runs f when everything before it has run, and a while has passed.
func (n *node) slowly(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.queue = append(n.queue, f); len(n.queue) > 1 {
		return
	}
	go func() {
		for next := f; next != nil; {
			time.Sleep(10 * time.Millisecond)
			next()
			next = nil
			n.mu.Lock()
			if n.queue = n.queue[1:]; len(n.queue) > 0 {
				next = n.queue[0]
			}
			n.mu.Unlock()
		}
	}()
}

func (n *node) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	f, failure := n.state()
	if f == crowded || f == stuck {
		return n.Backend.Attach(ctx, a)
	}
	if failure != nil {
		return nil, failure
	}
	if f != none {
		<-ctx.Done()
		return nil, lockapi.ErrUnknown
	}
	return n.Backend.Attach(ctx, a)
}

func (n *node) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	f, failure := n.state()
	if failure != nil {
		return lockapi.View{}, failure
	}
	if f != none {
		<-ctx.Done()
		return lockapi.View{}, ctx.Err()
	}
	return n.Backend.Inspect(ctx, q)
}

func (n *node) Status(context.Context) (lockapi.Status, error) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	s := lockapi.Status{ClusterID: n.cluster, Node: n.id}
	for i, other := range n.w.nodes {
		s.Nodes = append(s.Nodes, lockapi.NodeStatus{ID: other.id, Address: other.proxy.address(), Voter: true, Alive: true})
		if i == n.w.leader {
			s.Leader = other.id
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leaderless {
		s.Leader = ""
	}
	return s, nil
}

func (n *node) start() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.server = rpc.New(n, rpc.Options{})
	server := n.server
	go func() {
		if err := server.Serve(l); err != nil {
			n.w.t.Error(err)
		}
	}()
	n.proxy.to(l.Addr().String())
}

func (n *node) stop() { n.server.Close() }

// A proxy is a TCP port that can be cut, frozen, and pointed elsewhere.
type proxy struct {
	t    *testing.T
	l    net.Listener
	work sync.WaitGroup

	mu     sync.Mutex
	target string
	refuse bool          // closes what connects
	frozen chan struct{} // closed when it thaws; nil if not frozen
	conns  map[net.Conn]struct{}
	closed bool
}

func newProxy(t *testing.T) *proxy { return newProxyAt(t, "127.0.0.1:0") }

func newProxyAt(t *testing.T, address string) *proxy {
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, l: l, conns: make(map[net.Conn]struct{})}
	p.work.Go(p.accept)
	return p
}

func (p *proxy) address() string { return p.l.Addr().String() }

func (p *proxy) to(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c) })
	}
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	target, refuse := p.target, p.refuse || p.closed
	p.mu.Unlock()
	if refuse {
		return
	}
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer up.Close()
	if !p.keep(c, up) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(up, c) })
	both.Go(func() { p.copy(c, up) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, up)
	p.mu.Unlock()
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		p.thaw()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// thaw waits while the proxy is frozen.
func (p *proxy) thaw() {
	p.mu.Lock()
	frozen := p.frozen
	p.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

// freeze stops all bytes, and lets connections stand.
func (p *proxy) freeze(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on && p.frozen == nil {
		p.frozen = make(chan struct{})
	} else if !on && p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// cut resets every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

// down refuses connections, and resets those that stand.
func (p *proxy) down(on bool) {
	p.mu.Lock()
	p.refuse = on
	p.mu.Unlock()
	if on {
		p.cut()
	}
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.l.Close()
	p.freeze(false)
	p.cut()
	p.work.Wait()
}

// blackHole accepts connections and never says anything.
func blackHole(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() { l.Close(); work.Wait() })
	return l.Addr().String()
}

// until waits for a condition; it gives up when the test has failed, and the
// test's own time is the limit.
func until(t *testing.T, what string, condition func() bool) {
	for !condition() {
		if t.Failed() {
			t.Errorf("gave up waiting until %s", what)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// linkedTo is the node that b is linked to; "" while there is none.
func (b *Backend) linkedTo() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link == nil {
		return ""
	}
	return b.link.hello.Load().GetNode()
}

// A user is one session over a backend, driven by hand.
type user struct {
	t      *testing.T
	b      lockapi.Backend
	id     fsm.SessionID
	secret fsm.Secret

	mu  sync.Mutex
	seq fsm.Seq
}

func (w *world) user(b lockapi.Backend, n byte) *user {
	w.t.Helper()
	u := &user{t: w.t, b: b, secret: fsm.Secret{n, 9}}
	r := u.do(fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: uint64(n)}, Secret: u.secret, TTL: fsm.Hour})
	if r.Status != fsm.StatusOK {
		w.t.Fatalf("open: %+v", r)
	}
	u.id = r.Session
	return u
}

func (u *user) number(c fsm.Command) fsm.Command {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seq++
	c.Session, c.Incarnation, c.Seq, c.Mark = u.id, 1, u.seq, 1
	return c
}

// do gets a command answered without fail.
func (u *user) do(c fsm.Command) fsm.Result {
	r, err := u.b.Do(context.Background(), c)
	if err != nil {
		u.t.Errorf("op %d: %v", c.Op, err)
	}
	return r
}

func (u *user) acquire(name string) fsm.Command {
	return u.number(fsm.Command{Op: fsm.OpAcquire, Wait: fsm.Forever, Wants: []fsm.Want{{Name: name, Kind: fsm.KindLock, Mode: fsm.Exclusive}}})
}

func (u *user) release(g fsm.GrantID) fsm.Command {
	return u.number(fsm.Command{Op: fsm.OpRelease, Grant: g})
}

func (u *user) attach() <-chan fsm.Outcome {
	u.t.Helper()
	events, err := u.b.Attach(context.Background(), lockapi.Attachment{Session: u.id, Incarnation: 1, Secret: u.secret})
	if err != nil {
		u.t.Fatal(err)
	}
	return events
}

// is says whether err is all of the kinds.
func is(err error, kinds ...error) bool {
	for _, kind := range kinds {
		if !errors.Is(err, kind) {
			return false
		}
	}
	return err != nil
}
