package transport

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// Kind says what a stream between nodes is for. The letters are the wire's.
type Kind byte

const (
	// KindRaft carries hashicorp/raft's own protocol.
	KindRaft Kind = 'R'
	// KindForward carries commands to the leader, and their outcomes back.
	KindForward Kind = 'F'
	// KindControl carries one request and one reply.
	KindControl Kind = 'C'
)

// String is a word for logs.
func (k Kind) String() string {
	switch k {
	case KindRaft:
		return "raft"
	case KindForward:
		return "forward"
	case KindControl:
		return "control"
	}
	return fmt.Sprintf("kind %#x", byte(k))
}

// An Identity is what a node claims to be. The handshake proves that the claim
// comes from a holder of the cluster key, not that it is true: see Accept.
type Identity struct {
	Cluster  [16]byte  // zero: of no cluster yet
	ID       string    // 1..255 bytes of UTF-8
	Instance fsm.Nonce // which data directory
}

// String is for logs.
func (id Identity) String() string {
	if id.Cluster == [16]byte{} {
		return fmt.Sprintf("%s of no cluster", id.ID)
	}
	return fmt.Sprintf("%s of cluster %s", id.ID, hex.EncodeToString(id.Cluster[:]))
}

// A Conn is a stream to a peer that has proved that it has the cluster key.
type Conn struct {
	net.Conn
	Kind Kind
	Peer Identity
}

// Dial opens a stream to the node at address. want, if not nil, sees who
// answered (after its proof and its consent) and may reject it; its error is in
// Dial's. Connecting and handshake together take at most HandshakeTimeout.
//
// Errors, found by errors.Is and errors.As: ErrKey, ErrCluster, ErrSelf,
// ErrHandshake, *RefusedError, want's, ctx's, the network's. On error nothing is
// left open.
func Dial(ctx context.Context, address string, kind Kind, me Identity, key Key, want func(peer Identity) error) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: keepAlive()}
	nc, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	return Connect(ctx, nc, kind, me, key, want)
}

// Connect is Dial's handshake over a connection that exists. It owns nc: on
// error nc is closed, on success it is the Conn's.
func Connect(ctx context.Context, nc net.Conn, kind Kind, me Identity, key Key, want func(peer Identity) error) (*Conn, error) {
	var peer Identity
	err := within(ctx, nc, func() (err error) {
		if peer, err = dialled(nc, kind, me, key); err != nil {
			return err
		}
		if want != nil {
			return want(peer)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("transport: %s stream to %s: %w", kind, nc.RemoteAddr(), err)
	}
	return &Conn{Conn: nc, Kind: kind, Peer: peer}, nil
}

// Accept is the other end of Dial: it performs the handshake on a connection as
// it came from Port.Node. It owns nc: on error nc is closed, on success it is
// the Conn's.
//
// me is asked when it is needed, after the peer's proof. admit, if not nil, then
// decides about the peer; its error is sent to the peer as the reason and is in
// Accept's. A peer of another cluster and one with this node's own identity are
// refused without asking. Nothing of this node is told to a peer that has not
// proved itself. At most HandshakeTimeout is spent, admit included.
//
// Whoever has the cluster key can claim any id: that is for admit to judge, by
// the instance that it knows of that id.
func Accept(ctx context.Context, nc net.Conn, me func() Identity, key Key, admit func(Kind, Identity) error) (*Conn, error) {
	var kind Kind
	var peer Identity
	err := within(ctx, nc, func() (err error) {
		kind, peer, err = accepted(nc, me, key, admit)
		return err
	})
	if c, ok := nc.(*conn); ok && err == nil && !c.port.probation.leave(c) {
		err = net.ErrClosed // evicted, or the port was closed, at the last moment
	}
	if err != nil {
		return nil, fmt.Errorf("transport: stream from %s: %w", nc.RemoteAddr(), err)
	}
	return &Conn{Conn: nc, Kind: kind, Peer: peer}, nil
}

// within runs a handshake until its deadline or the end of ctx, and closes nc
// if it fails.
func within(ctx context.Context, nc net.Conn, run func() error) error {
	err := nc.SetDeadline(time.Now().Add(HandshakeTimeout))
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
		err = run()
		if !stop() && ctx.Err() != nil {
			err = context.Cause(ctx) // and what run said is but its echo
		}
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = nc.Close()
	}
	return err
}

// validate keeps a node from claiming what no peer could decode.
func (id Identity) validate() error {
	if id.ID == "" || !fsm.ValidText(id.ID, fsm.MemberSizeMax) {
		return fmt.Errorf("node id %q: not 1..%d bytes of UTF-8 without NUL", id.ID, fsm.MemberSizeMax)
	}
	return nil
}

func (k Kind) known() bool { return k == KindRaft || k == KindForward || k == KindControl }
