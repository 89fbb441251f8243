//go:build linux

package rig

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A detour is a proxy on a host: what is dialled there to a node comes to it, and
// goes on to where it was to go, each byte later by the same time.
type detour struct {
	net      *wires
	host     int
	by       time.Duration
	listener net.Listener

	mu     sync.Mutex // guards the fields below
	closed bool
	open   map[net.Conn]bool
}

// detour opens a proxy on a host. Nothing goes there before there are rules that
// say so.
func (w *wires) detour(host int, by time.Duration) (*detour, error) {
	d := &detour{net: w, host: host, by: by, open: make(map[net.Conn]bool)}
	err := w.inside(host, func() (err error) {
		d.listener, err = net.Listen("tcp4", "0.0.0.0:0")
		return err
	})
	if err != nil {
		return nil, err
	}
	go d.serve()
	return d, nil
}

func (d *detour) port() int { return d.listener.Addr().(*net.TCPAddr).Port }

func (d *detour) close() {
	_ = d.listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for conn := range d.open {
		_ = conn.Close()
	}
}

// keep notes a connection, to be closed with the detour; one that comes later is
// closed now.
func (d *detour) keep(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = conn.Close()
		return
	}
	d.open[conn] = true
}

func (d *detour) drop(conn net.Conn) {
	_ = conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, conn)
}

func (d *detour) serve() {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		go d.pass(conn.(*net.TCPConn))
	}
}

func (d *detour) pass(from *net.TCPConn) {
	d.keep(from)
	defer d.drop(from)
	meant, err := destination(from)
	if err != nil {
		return
	}
	var to net.Conn
	err = d.net.inside(d.host, func() (err error) {
		ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		dialer := net.Dialer{Control: marked}
		to, err = dialer.DialContext(ctx, "tcp4", meant.String())
		return err
	})
	if err != nil {
		return
	}
	d.keep(to)
	defer d.drop(to)
	back := make(chan struct{})
	go func() {
		defer close(back)
		later(from, to, d.by)
	}()
	later(to, from, d.by)
	<-back
}

// later copies until either end is closed, and closes both then.
func later(to, from net.Conn, by time.Duration) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			buffer := make([]byte, 16<<10)
			n, err := from.Read(buffer)
			if n > 0 {
				pieces <- piece{buffer[:n], time.Now().Add(by)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.bytes); err != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close()
	for range pieces { // until the reader has seen that it is closed
	}
}

// destination is where a connection was to go before it was redirected.
func destination(conn *net.TCPConn) (at netip.AddrPort, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return at, err
	}
	const originalDestination = 80 // SO_ORIGINAL_DST of linux/netfilter_ipv4.h: a sockaddr_in
	failed := raw.Control(func(fd uintptr) {
		var address *unix.IPv6Mreq
		if address, err = unix.GetsockoptIPv6Mreq(int(fd), unix.SOL_IP, originalDestination); err == nil {
			b := address.Multiaddr
			at = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), uint16(b[2])<<8|uint16(b[3]))
		}
	})
	if failed != nil {
		return at, failed
	}
	return at, err
}

func marked(_, _ string, raw syscall.RawConn) (err error) {
	failed := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, detourMark)
	})
	if failed != nil {
		return failed
	}
	return err
}

// inside does something on a host: the sockets that it makes are that host's.
func (w *wires) inside(host int, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		done <- func() error {
			fd, err := unix.Open(filepath.Join("/run/netns", w.host(host)), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("namespace of host %d: %w", host, err)
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("setns: %w", err)
			}
			return do()
		}()
	}()
	return <-done
}

// mayDetour tells whether this kernel redirects connections, and passes them on.
func mayDetour(r *Rig) error {
	var there net.Listener
	err := r.net.inside(0, func() (err error) {
		there, err = net.Listen("tcp4", r.net.address(0)+":"+port)
		return err
	})
	if err != nil {
		return err
	}
	defer there.Close()
	go func() {
		if conn, err := there.Accept(); err == nil {
			_, _ = io.WriteString(conn, "?")
			_ = conn.Close()
		}
	}()
	d, err := r.net.detour(0, time.Millisecond)
	if err != nil {
		return err
	}
	defer d.close()
	lift, err := r.net.lay(rules{detours: map[int]int{0: d.port()}})
	if err != nil {
		return err
	}
	defer func() { _ = lift() }()
	return r.net.inside(0, func() error {
		conn, err := net.DialTimeout("tcp4", there.Addr().String(), time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, err = conn.Read(make([]byte, 1))
		return err
	})
}
