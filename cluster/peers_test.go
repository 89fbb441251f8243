package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// A testPeer is a node that only opens and accepts streams.
type testPeer struct {
	*peers
	port    *transport.Port
	streams chan *transport.Conn // raft streams that were accepted
	failed  chan error
	errs    chan error // of accept
	log     *bytes.Buffer
	stop    func()
}

type roster struct {
	mu      sync.Mutex
	members map[string]fsm.Member
}

func (r *roster) set(m fsm.Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[m.ID] = m
}

func (r *roster) get(id string) (fsm.Member, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[id]
	return m, ok
}

func newRoster() *roster { return &roster{members: map[string]fsm.Member{}} }

// startPeer starts a node of a cluster ({} for none) on dir.
func startPeer(t *testing.T, dir, id string, cluster clusterID, known *roster) *testPeer {
	t.Helper()
	me := mustIdentity(t, dir, id)
	next := me.saved()
	next.Cluster = cluster
	if err := me.save(next); err != nil {
		t.Fatal(err)
	}
	port, err := transport.Listen("127.0.0.1:0", transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &testPeer{port: port, streams: make(chan *transport.Conn, 9), failed: make(chan error, 9), errs: make(chan error, 9), log: new(bytes.Buffer)}
	p.peers = newPeers(peersOptions{
		identity: me, address: port.Addr().String(), key: []byte("0123456789abcdef"), member: known.get,
		fail: func(err error) { p.failed <- err }, logger: slog.New(slog.NewTextHandler(p.log, nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	listener := port.Node()
	var parts sync.WaitGroup
	parts.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			parts.Go(func() {
				c, err := p.accept(ctx, nc)
				switch {
				case err != nil:
					p.errs <- err
				case c.Kind == transport.KindControl:
					_ = answer(ctx, c, func(request) reply { return reply{From: p.introduction()} })
				default:
					p.streams <- c
				}
			})
		}
	})
	var once sync.Once
	p.stop = func() {
		once.Do(func() {
			cancel()
			port.Close()
			parts.Wait()
			close(p.streams)
		})
	}
	t.Cleanup(func() {
		p.stop()
		for c := range p.streams {
			c.Close()
		}
	})
	return p
}

func (p *testPeer) open(t *testing.T, to *testPeer) error {
	t.Helper()
	c, err := p.dial(t.Context(), transport.KindRaft, to.address)
	if err == nil {
		c.Close()
	}
	return err
}

func TestPeersOfOneCluster(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	if err := a.open(t, b); err != nil { // nothing is known of either yet
		t.Fatal(err)
	}
	for _, p := range []*testPeer{a, b} {
		known.set(fsm.Member{ID: p.identity.saved().ID, Instance: fsm.Nonce(p.identity.saved().Instance), Address: p.address})
	}
	if err := errors.Join(a.open(t, b), b.open(t, a)); err != nil {
		t.Fatal(err)
	}
	if c := <-b.streams; c.Peer.ID != "a" || c.Kind != transport.KindRaft {
		t.Fatal(c.Peer, c.Kind)
	} else {
		c.Close()
	}

	// b is known under another address or instance: a does not speak with it.
	m, _ := known.get("b")
	moved := m
	moved.Address = "127.0.0.1:1"
	known.set(moved)
	wantError(t, a.open(t, b), "but is a member at 127.0.0.1:1")
	exchanged := m
	exchanged.Instance.Hi++
	known.set(exchanged)
	wantError(t, a.open(t, b), "has another data directory than the member b")
	if len(a.failed)+len(b.failed) > 0 {
		t.Fatal("nobody was refused for good")
	}
	wantError(t, b.open(t, a), "knows the member b with another data directory")
	wantError(t, <-b.failed, "refused for good")
	wantError(t, b.open(t, a), "knows the member b with another data directory")
	if len(b.failed) > 0 {
		t.Fatal("failed twice")
	}
	wantError(t, <-a.errs, "another data directory")
}

func TestPeersOfNoCluster(t *testing.T) {
	known := newRoster()
	member := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	empty := startPeer(t, t.TempDir(), "b", clusterID{}, known)
	wantError(t, member.open(t, empty), "it is not a member of a cluster yet")
	wantError(t, empty.open(t, member), "it is a member of cluster 01000000000000000000000000000000, you are of none")
	c, err := empty.dial(t.Context(), transport.KindControl, member.address)
	if err != nil {
		t.Fatal("control streams are for all:", err)
	}
	c.Close()
}

// An acceptor that cannot call back does not believe, but it may later.
func TestPeersCallBack(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	right := b.address
	b.address = "127.0.0.1:1"
	wantError(t, b.open(t, a), "cannot reach 127.0.0.1:1")
	b.address = "nowhere"
	wantError(t, b.open(t, a), "does not call back")
	if len(b.failed) > 0 {
		t.Fatal("that is not final:", <-b.failed)
	}
	b.address = right
	if err := b.open(t, a); err != nil {
		t.Fatal(err)
	}
	// The address of the one who is asked, or of a third.
	b.address = a.address
	wantError(t, b.open(t, a), "finds another process at "+a.address)
	wantError(t, <-b.failed, "refused for good")
	c := startPeer(t, t.TempDir(), "c", clusterID{1}, known)
	c.address = right
	wantError(t, c.open(t, a), "finds another process at "+right)
	wantError(t, <-c.failed, "refused for good")
}

// A node that restarts is another process, and is called back again.
func TestPeersRestart(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	if err := b.open(t, a); err != nil {
		t.Fatal(err)
	}
	before := b.boot
	b.boot = instance(randomNonce())
	if err := b.open(t, a); err != nil {
		t.Fatal(err)
	}
	// Its copy still runs as the process that it was, at the same address.
	dir := filepath.Join(t.TempDir(), "copy")
	copyDir(t, b.identity.dir, dir)
	clone := startPeer(t, dir, "b", clusterID{1}, known)
	clone.boot, clone.address = before, b.address
	wantError(t, clone.open(t, a), "finds another process")
}

func TestPeersWithAnotherKey(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	b.key = transport.NewKey([]byte("fedcba9876543210"))
	for range 3 {
		if err := b.open(t, a); !errors.Is(err, transport.ErrKey) {
			t.Fatal(err)
		}
		if err := <-a.errs; !errors.Is(err, transport.ErrKey) {
			t.Fatal(err)
		}
	}
	if n := strings.Count(a.log.String(), "refused a peer"); n != 1 {
		t.Fatalf("logged %d times:\n%s", n, a.log)
	}
}

func TestNotes(t *testing.T) {
	var buf bytes.Buffer
	said := announcement{instance{1, 2}, instance{3, 4}, "127.0.0.1:1", standing{5, true}}
	if err := writeNote(&buf, said); err != nil {
		t.Fatal(err)
	}
	buf.WriteString("what follows")
	var got announcement
	if err := readNote(&buf, &got); err != nil || got != said {
		t.Fatal(got, err)
	}
	if buf.String() != "what follows" {
		t.Fatalf("read too far: %q is left", buf.String())
	}
	if err := writeNote(io.Discard, strings.Repeat("x", noteSizeMax)); !errors.Is(err, errBadMessage) {
		t.Fatal(err)
	}
	if err := writeNote(io.Discard, func() {}); err == nil {
		t.Fatal("wrote a function")
	}
	for name, bytes := range map[string]string{"nothing": "", "half a size": "\x01", "half a note": "\x05\x00{", "too long": "\xff\xff", "no JSON": "\x01\x00{"} {
		if err := readNote(strings.NewReader(bytes), &got); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// A peer that says nothing after the handshake, or nonsense.
func TestPeersThatDoNotAnnounce(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	for _, nonsense := range []string{"", "\x02\x00[]", "\xff\xff"} {
		c, err := transport.Dial(t.Context(), a.address, transport.KindForward, b.identity.transport(), b.key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, nonsense); err != nil {
			t.Fatal(err)
		}
		c.Conn.(*net.TCPConn).CloseWrite()
		wantError(t, <-a.errs, "forward stream from node b")
		c.Close()
	}
	// And an acceptor that hangs up instead of a verdict.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		if c, err := transport.Accept(t.Context(), nc, b.identity.transport, b.key, nil); err == nil {
			c.Close()
		}
	}()
	_, err = a.dial(t.Context(), transport.KindRaft, l.Addr().String())
	wantError(t, err, "announce to node b")
	<-done
}

// What a peer announces is of the data directory that its handshake was of: nobody is
// taken for a node that he only tells of, though that one lives where he says.
func TestAnnouncementIsOfTheHandshake(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	for _, c := range []struct {
		what     string
		instance fsm.Nonce
		taken    bool
	}{
		{"another of its name", fsm.Nonce{Hi: 1, Lo: 2}, false}, {"itself", b.identity.transport().Instance, true},
	} {
		me := b.identity.transport()
		me.Instance = c.instance
		conn, err := transport.Dial(t.Context(), a.address, transport.KindRaft, me, a.key, nil)
		if err != nil {
			t.Fatal(err)
		}
		said := announcement{instance(b.identity.transport().Instance), b.boot, b.address, standing{}}
		var verdict refusal
		if err := errors.Join(writeNote(conn, said), readNote(conn, &verdict)); err != nil {
			t.Fatal(err)
		}
		taken := verdict == (refusal{})
		if taken != c.taken {
			t.Errorf("%s, with the announcement of b: %+v", c.what, verdict)
		}
		conn.Close()
		if taken {
			(<-a.streams).Close()
		} else {
			<-a.errs
		}
	}
}
