package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/lockd-io/lockd/transport"
)

const (
	// gossipPacketMax is the largest packet there is.
	gossipPacketMax = 1 << 16
	// gossipStreamsMax: streams of others that are open at a time. Each is one
	// short exchange; a cluster has a few in a minute.
	gossipStreamsMax = 32
	// gossipTimeout bounds one exchange over a stream, the connecting included.
	gossipTimeout = 3 * time.Second
	// gossipPause is the wait after a socket failed in passing.
	gossipPause = 50 * time.Millisecond
)

// A gossipTransport is the library's transport: one UDP and one TCP socket on the
// port above the service's. It differs from the library's own in that a filter
// is before it, that streams are bounded in number, and that Shutdown ends
// everything that is under way.
type gossipTransport struct {
	filter  *gossipFilter
	udp     *net.UDPConn
	tcp     *net.TCPListener
	refused func(from net.Addr, why error)

	packets chan *memberlist.Packet
	streams chan net.Conn

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	loops  sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	open     map[*gossipConn]struct{}
	incoming int
	closed   bool

	advertised net.IP
	port       int
}

var _ memberlist.Transport = (*gossipTransport)(nil)

// listenGossip opens the sockets.
func listenGossip(address string, filter *gossipFilter, refused func(net.Addr, error)) (*gossipTransport, error) {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return nil, gossipInUse(address, err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		_ = tcp.Close()
		return nil, gossipInUse(address, err)
	}
	t := &gossipTransport{
		filter: filter, udp: udp.(*net.UDPConn), tcp: tcp.(*net.TCPListener), refused: refused,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), open: make(map[*gossipConn]struct{}),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t, nil
}

func gossipInUse(address string, err error) error {
	return fmt.Errorf("cluster: gossip needs the port above the one that is listened on, in TCP and UDP: %s: %w "+
		"(free it, listen on another port, or go without gossip)", address, err)
}

// start lets packets and streams in.
func (t *gossipTransport) start(advertised net.IP, port int) {
	t.advertised, t.port = advertised, port
	t.loops.Go(t.receive)
	t.loops.Go(t.accept)
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *gossipTransport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertised, t.port, nil
}

// WriteTo implements memberlist.Transport.
func (t *gossipTransport) WriteTo(b []byte, address string) (time.Time, error) {
	to, err := net.ResolveUDPAddr("udp", address) // of an IP: the library knows no names
	if err == nil {
		_, err = t.udp.WriteTo(b, to)
	}
	return time.Now(), err
}

// PacketCh implements memberlist.Transport.
func (t *gossipTransport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh implements memberlist.Transport.
func (t *gossipTransport) StreamCh() <-chan net.Conn { return t.streams }

// DialTimeout implements memberlist.Transport.
func (t *gossipTransport) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, min(timeout, gossipTimeout))
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if out := t.enter(c, false); out != nil {
		return out, nil
	}
	return nil, net.ErrClosed
}

// Shutdown implements memberlist.Transport. It may be called again.
func (t *gossipTransport) Shutdown() error {
	t.cancel()
	_ = t.udp.Close()
	_ = t.tcp.Close()
	t.mu.Lock()
	t.closed = true
	open := t.open
	t.open = nil
	t.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
	t.loops.Wait()
	return nil
}

func (t *gossipTransport) receive() {
	room := make([]byte, gossipPacketMax)
	for t.ctx.Err() == nil {
		n, from, err := t.udp.ReadFrom(room)
		at := time.Now()
		if err != nil {
			t.rest(err)
			continue
		}
		if err := t.filter.packet(room[:n]); err != nil {
			t.refused(from, err)
			continue
		}
		packet := &memberlist.Packet{Buf: append([]byte(nil), room[:n]...), From: from, Timestamp: at}
		select {
		case t.packets <- packet:
		case <-t.ctx.Done():
		}
	}
}

func (t *gossipTransport) accept() {
	var descriptors transport.Descriptors
	for t.ctx.Err() == nil {
		c, err := t.tcp.Accept()
		if err != nil {
			t.rest(err)
			continue
		}
		if descriptors.Crowded() {
			_ = c.Close() // its packets do, and what the other one dials by itself
			continue
		}
		in := t.enter(c, true)
		if in == nil {
			continue
		}
		select {
		case t.streams <- in:
		case <-t.ctx.Done():
		}
	}
}

// rest waits a moment after an error that is not the end.
func (t *gossipTransport) rest(err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	select {
	case <-time.After(gossipPause):
	case <-t.ctx.Done():
	}
}

// enter takes note of a stream; nil if it was closed: all is over, or there are
// too many.
func (t *gossipTransport) enter(c net.Conn, incoming bool) *gossipConn {
	s := &gossipConn{Conn: c, transport: t, incoming: incoming}
	t.mu.Lock()
	refused := t.closed || incoming && t.incoming >= gossipStreamsMax
	if !refused {
		t.open[s] = struct{}{}
		if incoming {
			t.incoming++
		}
	}
	t.mu.Unlock()
	if refused {
		_ = c.Close()
		return nil
	}
	return s
}

// A gossipConn is a stream whose other end is filtered when it is first read.
type gossipConn struct {
	net.Conn
	transport *gossipTransport
	incoming  bool

	said io.Reader // by the library's one reader
	err  error
}

// Read implements net.Conn.
func (c *gossipConn) Read(b []byte) (int, error) {
	if c.said == nil && c.err == nil {
		if c.said, c.err = c.transport.filter.stream(c.Conn, c.incoming); errors.Is(c.err, errGossip) {
			c.transport.refused(c.RemoteAddr(), c.err)
		}
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.said.Read(b)
}

// Close implements net.Conn.
func (c *gossipConn) Close() error {
	t := c.transport
	t.mu.Lock()
	if _, open := t.open[c]; open {
		delete(t.open, c)
		if c.incoming {
			t.incoming--
		}
	}
	t.mu.Unlock()
	return c.Conn.Close()
}
