package cluster

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/transport"
)

const (
	// raftPool is how many idle connections to one peer are kept: one for
	// entries, one for heartbeats, one for a vote.
	raftPool = 3
	// raftTimeoutMin and raftTimeoutHeartbeats bound an exchange of raft's: long
	// enough for the slowest write that a follower survives (storePatience), and
	// short enough that a connection which a partition has broken is given up
	// soon after it healed.
	raftTimeoutMin        = 2 * time.Second
	raftTimeoutHeartbeats = storePatience + 1
	// raftBacklog connections wait to be taken by the library.
	raftBacklog = 16
)

// raftTransport carries raft's messages over streams of kind raft.
//
// It takes every heartbeat through raft's main loop. The library would handle
// them beside it, on the goroutine of the connection, so that the term of a
// leader could change after its main loop saw that it leads and before it reads
// the term to stamp an entry with. The stamp is then of a term that another
// leads; if that one has an entry of its own at the index, both count as the
// same, and each is applied somewhere (hashicorp/raft#695; docs/track-record.md
// tells how it was made to happen). The price is that heartbeats wait behind a
// follower's fsync; the election timeout allows for it.
type raftTransport struct {
	*raft.NetworkTransport
	layer *raftStreams
}

var (
	_ raft.Transport   = (*raftTransport)(nil)
	_ raft.WithPreVote = (*raftTransport)(nil)
	_ raft.WithClose   = (*raftTransport)(nil)
)

// newRaftTransport makes the transport of a node. It gives it no connections by
// itself: see offer.
func newRaftTransport(p *peers, cfg *Config) *raftTransport {
	timeout := max(raftTimeoutMin, raftTimeoutHeartbeats*cfg.HeartbeatTimeout)
	layer := newRaftStreams(p, timeout)
	return &raftTransport{
		layer: layer,
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: layer, MaxPool: raftPool, Timeout: timeout, ServerAddressProvider: layer,
			Logger: newHCLogger(cfg.Logger), MsgpackUseNewTimeFormat: true,
		}),
	}
}

// EncodePeer is what a node says of where it is. It has the id in it, for votes are
// remembered by it: see place.
func (*raftTransport) EncodePeer(id raft.ServerID, at raft.ServerAddress) []byte {
	return []byte(place{id: string(id), address: placeOf(at).address}.raft())
}

// SetHeartbeatHandler does nothing: see raftTransport.
func (*raftTransport) SetHeartbeatHandler(func(raft.RPC)) {}

// offer gives raft a stream that a peer opened. It does not block; what there is
// no room for is closed.
func (t *raftTransport) offer(c *transport.Conn) { t.layer.offer(c) }

// Close ends every stream at once, in both directions, and waits for nothing.
// After it this node says nothing more to raft's peers.
func (t *raftTransport) Close() error {
	err := t.NetworkTransport.Close()
	t.layer.Close()
	return err
}

// raftStreams is raft's StreamLayer. It knows every stream, because the library
// forgets idle ones when it closes, and serves incoming ones until they end.
type raftStreams struct {
	peers    *peers
	timeout  time.Duration
	incoming chan net.Conn
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc

	mu     sync.Mutex // guards the fields below
	open   map[*raftStream]struct{}
	closed bool
}

var _ raft.StreamLayer = (*raftStreams)(nil)

func newRaftStreams(p *peers, timeout time.Duration) *raftStreams {
	l := &raftStreams{peers: p, timeout: timeout, incoming: make(chan net.Conn, raftBacklog), open: make(map[*raftStream]struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// ServerAddr implements raft.ServerAddressProvider: a member is looked for where it
// is known to be, though the membership may not say so yet.
func (l *raftStreams) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	at, known := l.peers.whereabouts(string(id))
	if !known {
		return "", fmt.Errorf("%s is no member", id)
	}
	return at.raft(), nil
}

// Dial implements raft.StreamLayer.
func (l *raftStreams) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	c, err := l.peers.dialAt(ctx, transport.KindRaft, placeOf(to))
	if err != nil {
		return nil, err
	}
	s := l.enter(c)
	if s == nil {
		return nil, net.ErrClosed
	}
	return s, nil
}

func (l *raftStreams) offer(c *transport.Conn) {
	s := l.enter(c)
	if s == nil {
		return
	}
	select {
	case l.incoming <- s:
	default:
		s.Close()
	}
}

// enter takes note of a stream; nil if all is over and it was closed.
func (l *raftStreams) enter(c *transport.Conn) *raftStream {
	s := &raftStream{Conn: c, peer: c.Peer.ID, layer: l}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.open[s] = struct{}{}
	}
	l.mu.Unlock()
	if closed {
		c.Close()
		return nil
	}
	return s
}

// Accept implements net.Listener.
func (l *raftStreams) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It closes all streams too.
func (l *raftStreams) Close() error {
	l.cancel()
	l.mu.Lock()
	l.closed = true
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for s := range open {
		s.Conn.Close()
	}
	return nil
}

// cut closes all streams with a member: it is elsewhere now.
func (l *raftStreams) cut(id string) {
	l.mu.Lock()
	var gone []*raftStream
	for s := range l.open {
		if s.peer == id {
			gone = append(gone, s)
		}
	}
	l.mu.Unlock()
	for _, s := range gone {
		s.Conn.Close()
	}
}

// Addr implements net.Listener: it is the place that raft knows this node by.
func (l *raftStreams) Addr() net.Addr {
	return advertisedPlace(place{id: l.peers.identity.saved().ID, address: l.peers.address}.raft())
}

type advertisedPlace raft.ServerAddress

func (advertisedPlace) Network() string  { return "tcp" }
func (a advertisedPlace) String() string { return string(a) }

// A raftStream is one stream of raft's. Each write must get on within the
// timeout: the deadline that the library sets for a snapshot is for all of it,
// so that a peer which vanishes during one would be waited for that long.
type raftStream struct {
	net.Conn
	peer  string // its id
	layer *raftStreams
}

func (s *raftStream) Write(b []byte) (int, error) {
	if err := s.Conn.SetWriteDeadline(time.Now().Add(s.layer.timeout)); err != nil {
		return 0, err
	}
	return s.Conn.Write(b)
}

// Close closes the stream and forgets it.
func (s *raftStream) Close() error {
	s.layer.mu.Lock()
	delete(s.layer.open, s)
	s.layer.mu.Unlock()
	return s.Conn.Close()
}
