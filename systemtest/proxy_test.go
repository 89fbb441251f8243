//go:build system

package systemtest

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// A proxy forwards connections to one address and resets them at random: some
// in the middle of a message, some before the first byte.
type proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	conns    map[*net.TCPConn]bool
	resets   int
	wg       sync.WaitGroup
	stop     chan struct{}
}

// startProxy resets every connection after a random time of at most life.
func startProxy(t *testing.T, target string, life time.Duration) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: make(map[*net.TCPConn]bool), stop: make(chan struct{})}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.forward(conn.(*net.TCPConn), rand.N(life)) })
		}
	})
	t.Cleanup(func() {
		close(p.stop)
		l.Close()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resets
}

func (p *proxy) forward(client *net.TCPConn, life time.Duration) {
	defer client.Close()
	up, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	server := up.(*net.TCPConn)
	defer server.Close()
	ended := make(chan struct{}, 2)
	for _, pair := range [2][2]*net.TCPConn{{client, server}, {server, client}} {
		p.wg.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // ends when either side does
			ended <- struct{}{}
		})
	}
	timer := time.NewTimer(life)
	defer timer.Stop()
	select {
	case <-timer.C:
		p.mu.Lock()
		p.resets++
		p.mu.Unlock()
	case <-ended:
	case <-p.stop:
	}
	_ = client.SetLinger(0) // a reset, not a goodbye
	_ = server.SetLinger(0)
}
