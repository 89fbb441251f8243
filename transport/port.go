package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options of a Port. Every zero works.
type Options struct {
	// Logger hears of what keeps the port from accepting. nil is silent.
	Logger *slog.Logger
	// SniffTimeout is how long a connection may take to say what it speaks.
	// 0 is 5 s.
	SniffTimeout time.Duration
	// ProbationMax is how many connections may be unknown at a time. 0 is 512.
	ProbationMax int
	// ClientsMax is how many connections of clients may be open at a time.
	// 0 is 16,384.
	ClientsMax int
}

func (o *Options) validate() error {
	var wrong []error
	if o.SniffTimeout < 0 {
		wrong = append(wrong, fmt.Errorf("SniffTimeout %v: negative", o.SniffTimeout))
	}
	if o.ProbationMax < 0 {
		wrong = append(wrong, fmt.Errorf("ProbationMax %d: negative", o.ProbationMax))
	}
	if o.ClientsMax < 0 {
		wrong = append(wrong, fmt.Errorf("ClientsMax %d: negative", o.ClientsMax))
	}
	return errors.Join(wrong...)
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SniffTimeout == 0 {
		o.SniffTimeout = SniffTimeout
	}
	if o.ProbationMax == 0 {
		o.ProbationMax = ProbationMax
	}
	if o.ClientsMax == 0 {
		o.ClientsMax = ClientsMax
	}
	return o
}

// A Port is one listening socket for every protocol. It looks at the first
// bytes of each connection and hands it to the face of that protocol. All
// methods may be called by any goroutine.
type Port struct {
	listener  net.Listener
	options   Options
	faces     [protocolEnd]*face // nil where there is nothing to take
	probation probation
	clients   atomic.Int64 // open connections of clients

	accepted, evicted, unknown, refused atomic.Uint64

	// The accepting goroutine's:
	descriptors Descriptors
	told        time.Time // that they run out

	closing   chan struct{}
	closeOnce sync.Once
	work      sync.WaitGroup
}

// Listen opens a Port on a TCP address, HOST:PORT; port 0 takes a free one, above
// which another is free, in TCP and UDP: a node's gossip goes there.
// Connections are refused by protocol until somebody takes its face.
func Listen(address string, o Options) (*Port, error) {
	listener, err := listen(address)
	for range pairTries {
		if err != nil || !zeroPort(address) || aboveIsFree(listener.Addr()) {
			break
		}
		_ = listener.Close()
		listener, err = listen(address)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("transport: %w: stop what listens there, or listen on another port", err)
	}
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	p, err := NewPort(listener, o)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	return p, nil
}

func listen(address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: keepAlive()}
	return config.Listen(context.Background(), "tcp", address)
}

func zeroPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port == "0"
}

// aboveIsFree tells whether the port above address was free a moment ago.
func aboveIsFree(address net.Addr) bool {
	at, ok := address.(*net.TCPAddr)
	if !ok || at.Port == math.MaxUint16 {
		return false
	}
	above := net.JoinHostPort(at.IP.String(), strconv.Itoa(at.Port+1))
	tcp, err := net.Listen("tcp", above)
	if err != nil {
		return false
	}
	defer func() { _ = tcp.Close() }()
	udp, err := net.ListenPacket("udp", above)
	if err != nil {
		return false
	}
	return udp.Close() == nil
}

// NewPort makes a Port of a listener that exists, which it owns from then on.
// On error the listener is still the caller's.
func NewPort(listener net.Listener, o Options) (*Port, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("transport: bad options: %w", err)
	}
	p := &Port{listener: listener, options: o.withDefaults(), closing: make(chan struct{})}
	p.options.tellLimit()
	for _, protocol := range []Protocol{Node, GRPC, HTTP, RESP} {
		p.faces[protocol] = newFace(listener.Addr())
	}
	p.work.Go(p.acceptAll)
	return p, nil
}

// Node takes the connections of other nodes. They begin with the handshake:
// give each, as it is, to Accept. Until that is done they are on probation, and
// the oldest may be closed for a newer one.
func (p *Port) Node() net.Listener { return p.faces[Node].take() }

// GRPC takes the connections that speak HTTP/2.
func (p *Port) GRPC() net.Listener { return p.faces[GRPC].take() }

// HTTP takes the connections that speak HTTP/1.
func (p *Port) HTTP() net.Listener { return p.faces[HTTP].take() }

// RESP takes the connections that speak the Redis protocol.
func (p *Port) RESP() net.Listener { return p.faces[RESP].take() }

// Addr is where the port listens.
func (p *Port) Addr() net.Addr { return p.listener.Addr() }

// Stats counts what became of connections since the port was opened.
type Stats struct {
	Accepted uint64 // taken from the kernel
	Evicted  uint64 // closed on probation, because too many were
	Unknown  uint64 // closed because they spoke nothing known, or nothing in time
	Refused  uint64 // told that nobody serves their protocol, or that all is full
	Clients  int    // connections of clients that are open now
}

// Stats reads the counters.
func (p *Port) Stats() Stats {
	return Stats{
		Accepted: p.accepted.Load(), Evicted: p.evicted.Load(), Unknown: p.unknown.Load(),
		Refused: p.refused.Load(), Clients: int(p.clients.Load()),
	}
}

// Close stops listening, closes the faces and all connections that were not
// handed over, and waits until the port's goroutines have ended. Connections
// that were accepted from a face are not touched: they are their server's (and
// nodes', once their handshake is done).
func (p *Port) Close() error {
	var err error
	p.closeOnce.Do(func() {
		close(p.closing)
		err = p.listener.Close()
		for _, f := range p.faces {
			if f != nil {
				_ = f.Close()
			}
		}
		p.probation.closeAll()
	})
	p.work.Wait()
	return err
}

func (p *Port) acceptAll() {
	pause := time.Duration(0)
	for {
		nc, err := p.listener.Accept()
		switch {
		case err == nil:
			pause = 0
			p.accepted.Add(1)
			if c := (&conn{Conn: nc, port: p, room: p.descriptors.left()}); p.admit(c) {
				p.work.Go(func() { p.receive(c) })
			}
		case p.ended() || errors.Is(err, net.ErrClosed):
			return
		default: // out of file descriptors, or the like: it passes
			if pause == 0 {
				p.options.Logger.Warn("cannot accept connections", "address", p.Addr(), "error", err)
			}
			pause = min(max(2*pause, acceptPauseMin), acceptPauseMax)
			select {
			case <-time.After(pause):
			case <-p.closing:
				return
			}
		}
	}
}

func (p *Port) ended() bool {
	select {
	case <-p.closing:
		return true
	default:
		return false
	}
}

// admit puts c on probation, or closes it. Where descriptors run out, the oldest on
// probation goes for it, so that no flood of strangers takes those that are left for
// nodes, and none of it those of the node's own files.
func (p *Port) admit(c *conn) bool {
	limit := p.options.ProbationMax
	if c.room != ample {
		limit = 1
		p.tellCrowded()
	}
	evicted := p.probation.enter(c, limit)
	if evicted != nil {
		_ = evicted.Close()
	}
	switch {
	case evicted == c:
		return false
	case evicted != nil:
		p.evicted.Add(1)
	case c.room == filesOnly:
		p.refused.Add(1)
		_ = c.Close()
		return false
	}
	return true
}

// makeRoom closes the oldest other connection on probation for a client, which then is
// none more than there were.
func (p *Port) makeRoom(c *conn) bool {
	if c.room == filesOnly {
		return false
	}
	evicted := p.probation.evictFor(c)
	if evicted == nil {
		return false
	}
	p.evicted.Add(1)
	_ = evicted.Close()
	return true
}

func (p *Port) tellCrowded() {
	if now := time.Now(); now.Sub(p.told) > crowdedTold {
		p.told = now
		p.options.Logger.Warn("clients are refused: the process is near its limit of open files", "address", p.Addr())
	}
}

// receive finds out what c speaks and hands it over, or refuses it.
func (p *Port) receive(c *conn) {
	protocol := p.sniff(c)
	if protocol == Unknown {
		p.unknown.Add(1)
		_ = c.Close()
		return
	}
	if !p.handOver(c, protocol) {
		p.refused.Add(1)
		refuse(c, protocol)
	}
}

// sniff reads until the protocol is clear; Unknown if it is not in time.
func (p *Port) sniff(c *conn) Protocol {
	if c.SetReadDeadline(time.Now().Add(p.options.SniffTimeout)) != nil {
		return Unknown
	}
	for size := 0; size < len(c.bytes); {
		n, err := c.Conn.Read(c.bytes[size:])
		size += n
		if protocol, decided := classify(c.bytes[:size]); decided {
			c.head = c.bytes[:size]
			return protocol
		}
		if err != nil {
			return Unknown
		}
	}
	return Unknown
}

// handOver gives c to the face of its protocol. A client leaves probation with
// it; a node only when it has proved itself. It is false, and c still on
// probation, if nobody takes it or all is full.
func (p *Port) handOver(c *conn, protocol Protocol) bool {
	f := p.faces[protocol]
	if f == nil || c.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	if protocol == Node {
		return f.offer(c, func() bool { return true })
	}
	if c.room != ample && !p.makeRoom(c) {
		return false
	}
	if p.clients.Add(1) > int64(p.options.ClientsMax) {
		p.clients.Add(-1)
		return false
	}
	// Whoever takes c off probation alone decides what becomes of it: it may
	// have been evicted in the meantime, and is closed then.
	left := false
	taken := f.offer(c, func() bool {
		if left = p.probation.leave(c); left {
			c.client = true
		}
		return left
	})
	if !left {
		p.clients.Add(-1)
	}
	return taken
}

func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount}
}
