package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

var (
	someKey  = NewKey([]byte("sixteen bytes or"))
	otherKey = NewKey([]byte("sixteen other bs"))
	cluster1 = [16]byte{1, 2, 3}
	cluster2 = [16]byte{1, 2, 4}
	nodeA    = Identity{Cluster: cluster1, ID: "a", Instance: fsm.Nonce{Hi: 1, Lo: 2}}
	nodeB    = Identity{Cluster: cluster1, ID: "b", Instance: fsm.Nonce{Hi: 3, Lo: 4}}
)

func is(id Identity) func() Identity { return func() Identity { return id } }

// ends are both sides of one handshake.
type ends struct {
	dialled, accepted  *Conn
	dialErr, acceptErr error
}

func (e ends) close() {
	for _, c := range []*Conn{e.dialled, e.accepted} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// side is what one node brings to a handshake.
type side struct {
	id    Identity
	key   Key
	want  func(Identity) error
	admit func(Kind, Identity) error
}

// shake performs a handshake between two ends of a path.
func shake(dialler, acceptor net.Conn, a, b side) (e ends) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.accepted, e.acceptErr = Accept(context.Background(), acceptor, is(b.id), b.key, b.admit)
	}()
	e.dialled, e.dialErr = Connect(context.Background(), dialler, KindForward, a.id, a.key, a.want)
	<-done
	return e
}

func meet(a, b side) ends {
	x, y := net.Pipe()
	return shake(x, y, a, b)
}

// TestHandshake: both know who the other is, and what is sent right after the
// handshake is the stream's.
func TestHandshake(t *testing.T) {
	var asked []any
	e := meet(
		side{id: nodeA, key: someKey, want: func(peer Identity) error { asked = append(asked, peer); return nil }},
		side{id: nodeB, key: someKey, admit: func(k Kind, peer Identity) error { asked = append(asked, k, peer); return nil }})
	defer e.close()
	if e.dialErr != nil || e.acceptErr != nil {
		t.Fatal(e.dialErr, e.acceptErr)
	}
	if e.dialled.Peer != nodeB || e.accepted.Peer != nodeA || e.dialled.Kind != KindForward || e.accepted.Kind != KindForward {
		t.Errorf("%+v %+v", e.dialled, e.accepted)
	}
	if !slices.Equal(asked, []any{KindForward, nodeA, nodeB}) {
		t.Errorf("asked about %v", asked)
	}
	go func() { _ = NewFrameWriter(e.dialled).Write(1, []byte("first")) }()
	if _, payload, err := NewFrameReader(e.accepted).Read(); err != nil || string(payload) != "first" {
		t.Errorf("%q, %v", payload, err)
	}
}

// TestNoDeadlineLeft: a stream may be silent for as long as it likes, after the
// time in which it had to speak.
func TestNoDeadlineLeft(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, p *Port, l *pipes) {
		nodes, resp := p.Node(), p.RESP()
		accepted := make(chan net.Conn)
		go func() {
			nc, _ := nodes.Accept()
			c, err := Accept(context.Background(), nc, is(nodeB), someKey, nil)
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		node, err := Connect(context.Background(), l.dial(), KindRaft, nodeA, someKey, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := l.dial()
		_, _ = io.WriteString(client, "*")
		served, _ := resp.Accept()
		_, _ = io.ReadFull(served, make([]byte, 1))
		for _, stream := range [][2]net.Conn{{node, <-accepted}, {client, served}} {
			go func() {
				time.Sleep(time.Hour)
				_, _ = io.WriteString(stream[0], "late")
				_, _ = io.ReadFull(stream[0], make([]byte, 4))
				_ = stream[0].Close()
			}()
			text := make([]byte, 4)
			if _, err := io.ReadFull(stream[1], text); err != nil {
				t.Error(err)
			}
			if _, err := stream[1].Write(text); err != nil {
				t.Error(err)
			}
			_ = stream[1].Close()
		}
	})
}

// TestDial goes over a real port, by every kind of stream.
func TestDial(t *testing.T) {
	p := open(t, Options{})
	nodes := p.Node()
	for _, kind := range []Kind{KindRaft, KindForward, KindControl} {
		for _, key := range []Key{someKey, {}} {
			done := make(chan *Conn)
			go func() {
				nc, err := nodes.Accept()
				if err != nil {
					t.Error(err)
				}
				c, err := Accept(context.Background(), nc, is(nodeB), key, nil)
				if err != nil {
					t.Error(err)
				}
				done <- c
			}()
			c, err := Dial(context.Background(), p.Addr().String(), kind, nodeA, key, nil)
			if err != nil {
				t.Fatal(err)
			}
			accepted := <-done
			if accepted.Kind != kind || c.Peer != nodeB {
				t.Errorf("%+v, %+v", accepted, c)
			}
			if p.probation.order.Len() != 0 {
				t.Error("a node that proved itself is still on probation")
			}
			_, _ = c.Close(), accepted.Close()
		}
	}
	address := p.Addr().String()
	_ = p.Close()
	if _, err := Dial(context.Background(), address, KindRaft, nodeA, someKey, nil); err == nil {
		t.Error("dialled a closed port")
	}
}

// TestWrongKey: neither side believes the other, and both say so.
func TestWrongKey(t *testing.T) {
	asked := func(Kind, Identity) error { t.Error("asked to admit a stranger"); return nil }
	for _, keys := range [][2]Key{{someKey, otherKey}, {{}, someKey}, {someKey, {}}} {
		e := meet(side{id: nodeA, key: keys[0]}, side{id: nodeB, key: keys[1], admit: asked})
		if !errors.Is(e.dialErr, ErrKey) || !errors.Is(e.acceptErr, ErrKey) {
			t.Errorf("%v; %v", e.dialErr, e.acceptErr)
		}
		e.close()
	}
}

// TestRefused: the reason reaches the dialler, and is from the peer.
func TestRefused(t *testing.T) {
	other := nodeA
	other.Cluster = cluster2
	young := nodeA
	young.Cluster = [16]byte{}
	removed := errors.New("node a was removed")
	long := errors.New(strings.Repeat("é", ReasonSizeMax) + "\x00\xff")
	for name, c := range map[string]struct {
		a      Identity
		admit  error
		reason string // "" is admitted
		kind   error
	}{
		"wrong cluster":   {a: other, reason: "01020300000000000000000000000000", kind: ErrCluster},
		"no cluster yet":  {a: young},
		"by the acceptor": {a: nodeA, admit: removed, reason: removed.Error(), kind: removed},
		"at length":       {a: nodeA, admit: long, reason: strings.Repeat("é", ReasonSizeMax/2), kind: long},
	} {
		e := meet(side{id: c.a, key: someKey}, side{id: nodeB, key: someKey, admit: func(Kind, Identity) error { return c.admit }})
		e.close()
		if c.reason == "" {
			if e.dialErr != nil || e.acceptErr != nil {
				t.Errorf("%s: %v; %v", name, e.dialErr, e.acceptErr)
			}
			continue
		}
		var refused *RefusedError
		if !errors.As(e.dialErr, &refused) || refused.Peer != nodeB || !strings.Contains(refused.Error(), c.reason) {
			t.Errorf("%s: dialler got %v", name, e.dialErr)
		}
		if !errors.Is(e.acceptErr, c.kind) {
			t.Errorf("%s: acceptor got %v", name, e.acceptErr)
		}
	}
}

// TestSelf: a node that dials itself, or a copy of its disk, is told so.
func TestSelf(t *testing.T) {
	e := meet(side{id: nodeA, key: someKey}, side{id: nodeA, key: someKey})
	if !errors.Is(e.dialErr, ErrSelf) || !errors.Is(e.acceptErr, ErrSelf) {
		t.Errorf("%v; %v", e.dialErr, e.acceptErr)
	}
}

// TestWant: the dialler may not like who answered.
func TestWant(t *testing.T) {
	unwanted := errors.New("not b")
	e := meet(side{id: nodeA, key: someKey, want: func(Identity) error { return unwanted }}, side{id: nodeB, key: someKey})
	defer e.close()
	if !errors.Is(e.dialErr, unwanted) || e.dialled != nil {
		t.Error(e.dialErr)
	}
	if e.accepted != nil { // it may have noticed already
		if _, err := e.accepted.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the acceptor reads %v", err)
		}
	}
}

// TestReflection: an attacker without the key answers a dialler with the
// dialler's own messages.
func TestReflection(t *testing.T) {
	x, y := net.Pipe()
	go func() {
		defer y.Close()
		opening := make([]byte, len(nodeMagic)+1)
		_, _ = io.ReadFull(y, opening)
		helloBytes, _ := readMessage(y)
		h, _ := decodeHello(helloBytes)
		_ = writeMessage(y, "", appendChallenge(nil, &challenge{random: h.random}))
		proof, _ := readMessage(y)
		forged := appendVerdict(nil, &verdict{code: verdictAdmitted, identity: nodeB})
		_ = writeMessage(y, "", append(forged, proof...))
	}()
	if _, err := Connect(context.Background(), x, KindRaft, nodeA, someKey, nil); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}

// TestReplay: a recording of an admitted dialler is worth nothing, and shows
// nothing of the acceptor to who sends it.
func TestReplay(t *testing.T) {
	x, y := net.Pipe()
	record := &recorder{Conn: x}
	e := shake(record, y, side{id: nodeA, key: someKey}, side{id: nodeB, key: someKey})
	e.close()
	if e.acceptErr != nil || len(record.written) < 2*randomSize {
		t.Fatal(e.acceptErr)
	}
	thief, acceptor := net.Pipe()
	seen := make(chan []byte)
	go func() { _, _ = thief.Write(record.written) }()
	go func() { all, _ := io.ReadAll(thief); seen <- all }()
	secret := nodeB
	secret.ID = "a-name-to-be-kept"
	admitted, err := Accept(context.Background(), acceptor, is(secret), someKey, nil)
	if !errors.Is(err, ErrKey) {
		t.Errorf("a recording was answered with %v", err)
		_ = admitted.Close()
	}
	if all := <-seen; bytes.Contains(all, []byte(secret.ID)) || bytes.Contains(all, secret.Cluster[:3]) {
		t.Errorf("a stranger saw %q", all)
	}
	_ = thief.Close()
}

// recorder keeps what is written, one slice for all.
type recorder struct {
	net.Conn
	written []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.written = append(r.written, b...)
	return r.Conn.Write(b)
}

// flipper changes one byte of what is written.
type flipper struct {
	net.Conn
	at int // of all written; counts down
}

func (f *flipper) Write(b []byte) (int, error) {
	if f.at >= 0 && f.at < len(b) {
		b = bytes.Clone(b)
		b[f.at] ^= 0x01
	}
	f.at -= len(b)
	return f.Conn.Write(b)
}

// TestTampering changes every single byte on the way, in both directions: who
// receives it must fail, and nobody may believe in another kind or peer.
func TestTampering(t *testing.T) {
	count := func(dialler bool) int {
		x, y := net.Pipe()
		rx, ry := &recorder{Conn: x}, &recorder{Conn: y}
		e := shake(rx, ry, side{id: nodeA, key: someKey}, side{id: nodeB, key: someKey})
		e.close()
		if dialler {
			return len(rx.written)
		}
		return len(ry.written)
	}
	for _, dialler := range []bool{true, false} {
		for at := range count(dialler) {
			synctest.Test(t, func(t *testing.T) { // a length made longer waits for its bytes
				x, y := net.Pipe()
				if dialler {
					x = &flipper{Conn: x, at: at}
				} else {
					y = &flipper{Conn: y, at: at}
				}
				e := shake(x, y, side{id: nodeA, key: someKey}, side{id: nodeB, key: someKey})
				e.close()
				if receiver := map[bool]error{true: e.acceptErr, false: e.dialErr}[dialler]; receiver == nil {
					t.Errorf("byte %d changed (by the dialler: %v) and nobody noticed", at, dialler)
				}
			})
		}
	}
}

// TestSilentPeers: neither half waits longer than the deadline, drips included.
func TestSilentPeers(t *testing.T) {
	for name, half := range map[string]struct {
		opening string // of the other side, after which it owes the rest of 1,023 bytes
		run     func(net.Conn) error
	}{
		"Connect": {"\xff\x03", func(nc net.Conn) error {
			_, err := Connect(context.Background(), nc, KindRaft, nodeA, someKey, nil)
			return err
		}},
		"Accept": {"LKD1R\xff\x03", func(nc net.Conn) error {
			_, err := Accept(context.Background(), nc, is(nodeB), someKey, nil)
			return err
		}},
	} {
		for _, drip := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				x, y := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, y) }()
				go func() {
					for i := 0; drip; i++ {
						time.Sleep(300 * time.Millisecond)
						text := []byte{0}
						if i < len(half.opening) {
							text[0] = half.opening[i]
						}
						if _, err := y.Write(text); err != nil {
							return
						}
					}
				}()
				start := time.Now()
				err := half.run(x)
				if err == nil || time.Since(start) != HandshakeTimeout {
					t.Errorf("%s, drips %v: %v after %v", name, drip, err, time.Since(start))
				}
				_ = y.Close()
				time.Sleep(2 * time.Second) // in the bubble: for the dripper to see it
			})
		}
	}
}

// TestHandshakeContext: the caller's context ends it at once.
func TestHandshakeContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	x, y := net.Pipe()
	defer y.Close()
	go func() {
		_, _ = io.ReadFull(y, make([]byte, 5))
		cancel(why)
	}()
	if _, err := Connect(ctx, x, KindRaft, nodeA, someKey, nil); !errors.Is(err, why) {
		t.Error(err)
	}
	if _, err := x.Write([]byte{1}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection was left open: %v", err)
	}
}

// TestEvictedDuringHandshake: a connection that was closed in the meantime is
// not called a success.
func TestEvictedDuringHandshake(t *testing.T) {
	p := open(t, Options{})
	nodes := p.Node()
	dialled := make(chan error)
	go func() {
		c, err := Dial(context.Background(), p.Addr().String(), KindRaft, nodeA, someKey, nil)
		if c != nil {
			_ = c.Close()
		}
		dialled <- err
	}()
	nc, err := nodes.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Accept(context.Background(), nc, is(nodeB), someKey, func(Kind, Identity) error {
		p.probation.closeAll()
		return nil
	})
	if err == nil {
		t.Error("accepted on a closed connection")
	}
	<-dialled
}

// TestProgrammerErrors are found before anything is sent.
func TestProgrammerErrors(t *testing.T) {
	nameless := nodeA
	nameless.ID = ""
	for _, c := range []struct {
		kind Kind
		me   Identity
	}{{KindRaft, nameless}, {'X', nodeA}, {0, nodeA}} {
		x, y := net.Pipe()
		sent := make(chan []byte)
		go func() { all, _ := io.ReadAll(y); sent <- all }()
		if _, err := Connect(context.Background(), x, c.kind, c.me, someKey, nil); err == nil {
			t.Errorf("%+v was taken", c)
		}
		if all := <-sent; len(all) > 0 {
			t.Errorf("%+v: sent %q", c, all)
		}
	}
	if e := meet(side{id: nodeA, key: someKey}, side{id: nameless, key: someKey}); e.dialErr == nil || e.acceptErr == nil {
		t.Error("a nameless acceptor was taken")
	}
}

// elsewhere is a connection that does not stay on this machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7600} }

// TestNoKey: without a key only loopback is served.
func TestNoKey(t *testing.T) {
	x, _ := net.Pipe()
	_, y := net.Pipe()
	if _, err := Connect(context.Background(), elsewhere{x}, KindRaft, nodeA, Key{}, nil); !errors.Is(err, errNoKey) {
		t.Error(err)
	}
	if _, err := Accept(context.Background(), elsewhere{y}, is(nodeB), NewKey(nil), nil); !errors.Is(err, errNoKey) {
		t.Error(err)
	}
}

// TestVersions: another version is named, by both sides.
func TestVersions(t *testing.T) {
	x, y := net.Pipe()
	go func() {
		h := appendHello(nil, &hello{identity: nodeA})
		h[0] = 9
		_ = writeMessage(x, nodeMagic+"R", h)
		answer, _ := readMessage(x)
		if len(answer) == 0 || answer[0] != handshakeVersion {
			t.Errorf("answered %x", answer)
		}
	}()
	_, err := Accept(context.Background(), y, is(nodeB), someKey, nil)
	if !errors.Is(err, ErrHandshake) || !strings.Contains(err.Error(), "version 9") {
		t.Error(err)
	}
	_ = x.Close()
}

// TestGarbage: bytes that are no handshake are refused as such, and a claimed
// size is not believed.
func TestGarbage(t *testing.T) {
	good := appendHello(nil, &hello{identity: nodeA})
	message := func(b []byte) string { return string([]byte{byte(len(b)), byte(len(b) >> 8)}) + string(b) }
	noID := appendHello(nil, &hello{})
	notText := bytes.Clone(good)
	notText[len(notText)-1] = 0xff
	for name, text := range map[string]string{
		"another magic": "LKD2R" + message(good),
		"another kind":  "LKD1x" + message(good),
		"too large":     "LKD1R\xff\xff",
		"too short":     "LKD1R" + message(good[:40]),
		"too long":      "LKD1R" + message(append(bytes.Clone(good), 0)),
		"empty":         "LKD1R" + message(nil),
		"no id":         "LKD1R" + message(noID),
		"not text":      "LKD1R" + message(notText),
	} {
		x, y := net.Pipe()
		go func() {
			_, _ = io.WriteString(x, text)
			_, _ = io.Copy(io.Discard, x)
		}()
		if _, err := Accept(context.Background(), y, is(nodeB), someKey, nil); !errors.Is(err, ErrHandshake) {
			t.Errorf("%s: %v", name, err)
		}
		_ = x.Close()
	}
}

func TestStrings(t *testing.T) {
	young := nodeA
	young.Cluster = [16]byte{}
	got := fmt.Sprint(nodeA, young, KindRaft, KindForward, KindControl, Kind('x'))
	want := "a of cluster 01020300000000000000000000000000 a of no cluster raft forward control kind 0x78"
	if got != want {
		t.Errorf("%s\n%s", got, want)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, someKey); s != "key" {
			t.Errorf("%s prints %q", format, s)
		}
	}
	if (Key{}).String() != "no key" || NewKey(nil) != (Key{}) || someKey == otherKey {
		t.Error("keys")
	}
}

// FuzzAccept: no bytes from a stranger are admitted or stop an acceptor.
func FuzzAccept(f *testing.F) {
	opening := []byte(nodeMagic + "F")
	h := appendHello(nil, &hello{identity: nodeA})
	whole := append(opening, byte(len(h)), 0)
	whole = append(append(whole, h...), proofSize, 0)
	f.Add(append(whole, make([]byte, proofSize)...))
	f.Add([]byte("LKD1R\xff\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _, err := accepted(&script{in: bytes.NewReader(text)}, is(nodeB), someKey, func(Kind, Identity) error {
			t.Error("admitted")
			return nil
		})
		if err == nil {
			t.Error("admitted")
		}
	})
}

// FuzzDialled: no bytes from a stranger are taken for a node.
func FuzzDialled(f *testing.F) {
	c := appendChallenge(nil, &challenge{})
	v := appendVerdict(nil, &verdict{code: verdictRefused, identity: nodeB, reason: "no"})
	text := append([]byte{byte(len(c)), 0}, c...)
	text = append(text, byte(len(v)+proofSize), 0)
	text = append(text, v...)
	f.Add(append(text, make([]byte, proofSize)...))
	f.Fuzz(func(t *testing.T, text []byte) {
		peer, err := dialled(&script{in: bytes.NewReader(text)}, KindRaft, nodeA, someKey)
		var refused *RefusedError
		if err == nil || peer != (Identity{}) || errors.As(err, &refused) {
			t.Errorf("believed %v, %v", peer, err)
		}
	})
}

// FuzzMessages: decoders do not panic, and read only what an encoder writes.
func FuzzMessages(f *testing.F) {
	f.Add(appendHello(nil, &hello{identity: nodeA}))
	f.Add(appendVerdict(nil, &verdict{code: verdictWrongKey}))
	f.Add(append(appendVerdict(nil, &verdict{code: verdictRefused, identity: nodeB, reason: "no"}), make([]byte, proofSize)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeHello(b); err == nil && !bytes.Equal(appendHello(nil, &h), b) {
			t.Errorf("hello %x", b)
		}
		if c, err := decodeChallenge(b); err == nil && !bytes.Equal(appendChallenge(nil, &c), b) {
			t.Errorf("challenge %x", b)
		}
		v, proved, err := decodeVerdict(b)
		if err != nil {
			return
		}
		again := appendVerdict(nil, &v)
		if v.code != verdictWrongKey {
			if !bytes.Equal(again, proved) {
				t.Errorf("proved %x of %x", proved, b)
			}
			again = append(again, v.proof[:]...)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("verdict %x", b)
		}
	})
}

// script is a connection on which all is said already.
type script struct {
	net.Conn
	in *bytes.Reader
}

func (s *script) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error) { return len(b), nil }

// TestAdmittedByAnotherCluster: an acceptor that does not look at clusters, as an older
// or a broken one, admits a node of another; the dialler does not go on with it.
func TestAdmittedByAnotherCluster(t *testing.T) {
	other := nodeB
	other.Cluster = cluster2
	x, y := net.Pipe()
	go func() {
		defer y.Close()
		opening := make([]byte, len(nodeMagic)+1)
		_, _ = io.ReadFull(y, opening)
		helloBytes, _ := readMessage(y)
		challengeBytes := appendChallenge(nil, &challenge{random: fresh()})
		_ = writeMessage(y, "", challengeBytes)
		proof, _ := readMessage(y)
		admitted := appendVerdict(nil, &verdict{code: verdictAdmitted, identity: other})
		_ = writeMessage(y, "", append(admitted, someKey.prove(roleAcceptor, opening, helloBytes, challengeBytes, proof, admitted)...))
	}()
	if _, err := Connect(context.Background(), x, KindRaft, nodeA, someKey, nil); !errors.Is(err, ErrCluster) {
		t.Error(err)
	}
}
