package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport"
)

// patience bounds every wait of a test. It is no expectation of speed.
const patience = 60 * time.Second

// A world is a few nodes in this process, over real sockets on loopback.
type world struct {
	t      testing.TB
	dir    string
	key    []byte
	expect int
	tune   func(*Config)

	mu    sync.Mutex // guards the fields below
	nodes map[string]*citizen
	apart map[string]int          // nodes with different numbers do not hear each other
	mute  map[transport.Kind]bool // kinds of streams that nobody gets through
}

// A citizen is one node's place in the world: its directory and address stay
// when the node goes.
type citizen struct {
	*Node
	id      string
	address string
	gate    *gate
	port    *transport.Port
}

// A gate is a listener that remembers what it let in.
type gate struct {
	net.Listener
	mu   sync.Mutex
	open map[net.Conn]struct{}
}

type gated struct {
	net.Conn
	gate *gate
}

func (g *gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	out := &gated{c, g}
	g.open[out] = struct{}{}
	return out, nil
}

func (c *gated) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.open, c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// breakAll breaks every connection that came in.
func (g *gate) breakAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		c.(*gated).Conn.Close()
	}
}

// newWorld starts n nodes, a, b, c..., that form a cluster.
func newWorld(t testing.TB, n int, tune func(*Config)) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), key: make([]byte, 32), expect: n, tune: tune,
		nodes: make(map[string]*citizen), apart: make(map[string]int),
		mute: make(map[transport.Kind]bool),
	}
	rand.Read(w.key)
	t.Cleanup(w.close)
	for i := range n {
		w.nodes[string(rune('a'+i))] = &citizen{id: string(rune('a' + i))}
	}
	for id := range w.nodes {
		w.listen(id)
	}
	for id := range w.nodes {
		w.start(id)
	}
	for _, c := range w.all() {
		w.ready(c)
	}
	return w
}

func (w *world) all() []*citizen {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*citizen
	for i := range len(w.nodes) {
		if c := w.nodes[string(rune('a'+i))]; c.Node != nil {
			all = append(all, c)
		}
	}
	return all
}

// listen opens the citizen's address, for the first time or again.
func (w *world) listen(id string) {
	w.t.Helper()
	c := w.nodes[id]
	address := c.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	var l net.Listener
	var err error
	w.until("the port to be free", func() bool { // it may have gone to somebody's outgoing connection
		l, err = net.Listen("tcp", address)
		return err == nil
	})
	c.gate = &gate{Listener: l, open: make(map[net.Conn]struct{})}
	if c.port, err = transport.NewPort(c.gate, transport.Options{}); err != nil {
		w.t.Fatal(err)
	}
	c.address = l.Addr().String()
}

// start opens the citizen's node on its address.
func (w *world) start(id string) {
	w.t.Helper()
	c := w.nodes[id]
	cfg := Config{
		ID: id, DataDir: filepath.Join(w.dir, id), Port: c.port, ClusterKey: w.key,
		BootstrapExpect: w.expect, HeartbeatTimeout: 300 * time.Millisecond, NoGossip: true,
	}
	if os.Getenv("LOCKD_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("at", id)
	}
	for _, other := range w.nodes {
		cfg.Join = append(cfg.Join, other.address)
	}
	if w.tune != nil {
		w.tune(&cfg)
	}
	n, err := openNode(cfg, staging{diskPatience: patience, barred: func(kind transport.Kind, peer string) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.apart[peer] != w.apart[id] || w.mute[kind]
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	c.Node = n
	w.mu.Unlock()
}

// kill stops a node without a word to the others.
func (w *world) kill(c *citizen) {
	w.t.Helper()
	err := c.Node.Close()
	c.port.Close()
	w.mu.Lock()
	c.Node = nil
	w.mu.Unlock()
	if err != nil {
		w.t.Errorf("closing %s: %v", c.id, err)
	}
}

// restart starts a node that was killed.
func (w *world) restart(c *citizen) {
	w.t.Helper()
	w.listen(c.id)
	w.start(c.id)
}

// part separates some nodes from the others; nobody joins all again.
func (w *world) part(some ...*citizen) {
	w.mu.Lock()
	clear(w.apart)
	for _, c := range some {
		w.apart[c.id] = 1
	}
	w.mu.Unlock()
	for _, c := range w.all() {
		c.gate.breakAll()
	}
}

// silence lets no streams of a kind through, until it is called with false.
func (w *world) silence(kind transport.Kind, silent bool) {
	w.mu.Lock()
	w.mute[kind] = silent
	w.mu.Unlock()
	if silent {
		for _, c := range w.all() {
			c.gate.breakAll()
		}
	}
}

func (w *world) close() {
	for _, c := range w.all() {
		w.kill(c)
	}
}

func (w *world) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func (w *world) ready(c *citizen) {
	w.t.Helper()
	ctx, cancel := w.context()
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		w.t.Fatalf("node %s: %v", c.id, err)
	}
}

// leader waits until a node that lives leads.
func (w *world) leader() *citizen {
	w.t.Helper()
	var found *citizen
	w.until("a leader", func() bool {
		for _, c := range w.all() {
			if c.leadership.current().reign != nil && c.Ready() == nil {
				found = c
			}
		}
		return found != nil
	})
	return found
}

// follower is a node that does not lead now.
func (w *world) follower() *citizen {
	w.t.Helper()
	leader := w.leader()
	for _, c := range w.all() {
		if c != leader {
			w.ready(c)
			return c
		}
	}
	w.t.Fatal("no follower")
	return nil
}

func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	eventually(w.t, what, holds)
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	until(t, holds, func() string { return "waited in vain for " + what })
}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, condition func() bool, otherwise func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise())
		}
	}
}

// A patron is one session at some node.
type patron struct {
	w      *world
	id     fsm.SessionID
	secret fsm.Secret
	seq    fsm.Seq
}

func (w *world) open(at *citizen, ttl time.Duration) *patron {
	w.t.Helper()
	p := &patron{w: w}
	rand.Read(p.secret[:])
	r := w.do(at, fsm.Command{Op: fsm.OpOpen, Nonce: randomNonce(), Secret: p.secret, TTL: fsm.Duration(ttl), Label: "test"})
	if r.Status != fsm.StatusOK {
		w.t.Fatalf("open: %+v", r)
	}
	p.id = r.Session
	return p
}

// do sends a command to a node until it is answered.
func (w *world) do(at *citizen, c fsm.Command) fsm.Result {
	w.t.Helper()
	ctx, cancel := w.context()
	defer cancel()
	r, err := at.Do(ctx, c)
	if err != nil {
		w.t.Fatalf("at %s: %v", at.id, err)
	}
	return r
}

// asked is a Submit under way.
type asked struct {
	w    *world
	mu   sync.Mutex
	told []told
}

func (w *world) submit(at *citizen, c fsm.Command) *asked {
	a := &asked{w: w}
	at.Submit(c, func(r fsm.Result, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.told = append(a.told, told{r, err})
	})
	return a
}

func (a *asked) answers() []told {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.told
}

// answer waits for the one answer.
func (a *asked) answer() told {
	a.w.t.Helper()
	a.w.until("an answer", func() bool { return len(a.answers()) > 0 })
	return a.answers()[0]
}

func (p *patron) next(c fsm.Command) fsm.Command {
	p.seq++
	c.Session, c.Incarnation, c.Seq, c.Mark = p.id, 1, p.seq, 1
	return c
}

func (p *patron) acquire(name string, wait fsm.Duration) fsm.Command {
	return p.next(fsm.Command{Op: fsm.OpAcquire, Wait: wait, Owner: fmt.Sprintf("~1.%d", p.seq),
		Wants: []fsm.Want{{Name: name, Kind: fsm.KindLock, Mode: fsm.Exclusive}}})
}

func (p *patron) release(g fsm.GrantID) fsm.Command {
	return p.next(fsm.Command{Op: fsm.OpRelease, Grant: g})
}

func (p *patron) attachment(renewal fsm.Seq) lockapi.Attachment {
	return lockapi.Attachment{Session: p.id, Incarnation: 1, Renewal: renewal, Secret: p.secret}
}
