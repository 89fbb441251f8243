package transport

import (
	"net"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener in memory, for bubbles.
type pipes struct {
	incoming chan net.Conn
	failures chan error
	closed   chan struct{}
}

func newPipes() *pipes {
	return &pipes{incoming: make(chan net.Conn), failures: make(chan error), closed: make(chan struct{})}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-l.incoming:
		return nc, nil
	case err := <-l.failures:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { close(l.closed); return nil }
func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipes"} }

// dial is the client's end of a new connection.
func (l *pipes) dial() net.Conn {
	client, server := net.Pipe()
	l.incoming <- server
	return client
}
