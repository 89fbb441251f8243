package transport

import (
	"container/list"
	"errors"
	"net"
	"sync"
)

// conn is an accepted connection whose first bytes have been read to see what
// it speaks; whoever gets it reads them again.
type conn struct {
	net.Conn
	port *Port
	room room // that was left when it was accepted

	mu    sync.Mutex // guards head; never held across I/O
	head  []byte     // read from the connection, not yet from here
	bytes [SniffSizeMax]byte

	close   sync.Once
	client  bool          // counted among the port's clients; written by who takes it off probation
	waiting *list.Element // guarded by the probation's mutex; nil when not on it
}

// Read gives the first bytes again, then what follows.
func (c *conn) Read(b []byte) (int, error) {
	c.mu.Lock()
	if n := copy(b, c.head); n > 0 {
		c.head = c.head[n:]
		c.mu.Unlock()
		return n, nil
	}
	c.mu.Unlock()
	return c.Conn.Read(b)
}

// Close closes the connection once and gives its place to others.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.close.Do(func() {
		c.port.probation.leave(c) // a node whose handshake did not come to its end
		if c.client {
			c.port.clients.Add(-1)
		}
		err = c.Conn.Close()
	})
	return err
}

// CloseWrite ends this side's half, if the connection has halves.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// probation holds the connections of which nobody knows yet whose they are,
// oldest first.
type probation struct {
	mu     sync.Mutex // guards the fields below; never held across I/O
	closed bool
	order  list.List // of *conn
}

// enter takes c in. It returns the connection that has to go for it: the
// oldest one of a full house, c itself after closeAll, or nil.
func (p *probation) enter(c *conn, limit int) (evicted *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return c
	}
	if p.order.Len() >= limit {
		evicted = p.removeLocked(p.order.Front())
	}
	c.waiting = p.order.PushBack(c)
	return evicted
}

// evictFor takes the oldest out that is not c, if there is one.
func (p *probation) evictFor(c *conn) (evicted *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := p.order.Front()
	if oldest != nil && oldest == c.waiting {
		oldest = oldest.Next()
	}
	if oldest == nil {
		return nil
	}
	return p.removeLocked(oldest)
}

func (p *probation) removeLocked(at *list.Element) *conn {
	c := p.order.Remove(at).(*conn)
	c.waiting = nil
	return c
}

// leave lets c go, and tells whether it was here: if not, somebody else has
// taken it out and closes it.
func (p *probation) leave(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.waiting == nil {
		return false
	}
	p.removeLocked(c.waiting)
	return true
}

// closeAll closes all that are here and all that come.
func (p *probation) closeAll() {
	p.mu.Lock()
	p.closed = true
	var all []*conn
	for p.order.Len() > 0 {
		all = append(all, p.removeLocked(p.order.Front()))
	}
	p.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}
