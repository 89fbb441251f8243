package transport

import (
	"net"
	"sync"
)

// face is a port as one protocol sees it: a listener of the connections that
// speak it.
type face struct {
	addr  net.Addr
	queue chan *conn
	done  chan struct{}

	mu     sync.Mutex // guards the fields below; never held across I/O
	taken  bool
	closed bool
}

func newFace(addr net.Addr) *face {
	return &face{addr: addr, queue: make(chan *conn, FaceBacklog), done: make(chan struct{})}
}

// take gives the face to whoever will accept from it.
func (f *face) take() net.Listener {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = true
	return f
}

// offer hands c over, if leave lets it go at the moment when that is certain. It
// is false, and leave was not called, if nobody took the face, it is closed, or
// its backlog is full.
func (f *face) offer(c *conn, leave func() bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.taken || f.closed || len(f.queue) == cap(f.queue) {
		return false
	}
	if leave() {
		f.queue <- c // does not block: only offer fills the queue, under f.mu
	}
	return true
}

// Accept returns the next connection. It fails with net.ErrClosed after Close.
func (f *face) Accept() (net.Conn, error) {
	select {
	case <-f.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-f.queue:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and closes what was not accepted yet. Later connections of
// this protocol are refused; the port and its other faces go on.
func (f *face) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return net.ErrClosed
	}
	f.closed = true
	close(f.done)
	f.mu.Unlock()
	for {
		select {
		case c := <-f.queue:
			_ = c.Close()
		default:
			return nil
		}
	}
}

// Addr is the port's.
func (f *face) Addr() net.Addr { return f.addr }
