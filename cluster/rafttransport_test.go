package cluster

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/transport"
)

// carriers are two nodes' raft transports that reach each other.
func carriers(t *testing.T) (a, b *raftTransport) {
	t.Helper()
	known := newRoster()
	cfg := testConfig().withDefaults()
	make := func(id string) *raftTransport {
		p := startPeer(t, t.TempDir(), id, clusterID{1}, known)
		carrier := newRaftTransport(p.peers, &cfg)
		var pump sync.WaitGroup
		pump.Go(func() {
			for c := range p.streams {
				carrier.offer(c)
			}
		})
		t.Cleanup(func() { carrier.Close(); p.stop(); pump.Wait() })
		return carrier
	}
	return make("a"), make("b")
}

func heartbeat() *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("a"), Addr: []byte("a:1")}, Term: 7,
	}
}

// raft#695: a heartbeat must not overtake what the main loop is at.
func TestHeartbeatsGoThroughTheMainLoop(t *testing.T) {
	a, b := carriers(t)
	beside := make(chan struct{}, 1)
	b.SetHeartbeatHandler(func(rpc raft.RPC) {
		beside <- struct{}{}
		rpc.Respond(&raft.AppendEntriesResponse{}, nil)
	})
	beat := func() chan error {
		sent := make(chan error, 1)
		go func() {
			sent <- a.AppendEntries("b", b.LocalAddr(), heartbeat(), new(raft.AppendEntriesResponse))
		}()
		return sent
	}
	sent := beat()
	select {
	case rpc := <-b.Consumer():
		if rpc.Command.(*raft.AppendEntriesRequest).Term != 7 {
			t.Error(rpc.Command)
		}
		rpc.Respond(&raft.AppendEntriesResponse{}, nil)
	case <-beside:
		t.Error("handled on the connection's goroutine")
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}

	// The library's own transport does what this test is afraid of.
	b.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		beside <- struct{}{}
		rpc.Respond(&raft.AppendEntriesResponse{}, nil)
	})
	sent = beat()
	<-beside
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestRaftTransportCloses(t *testing.T) {
	a, b := carriers(t)
	address := place{id: "a", address: a.layer.peers.address}
	if a.LocalAddr() != address.raft() || a.layer.Addr().Network() != "tcp" {
		t.Fatal(a.LocalAddr())
	}
	out, err := a.layer.Dial(b.LocalAddr(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { _, err := out.Read(make([]byte, 1)); closed <- err }()
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err == nil {
		t.Fatal("the peer does not notice")
	}
	if _, err := b.layer.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := b.layer.Dial(a.LocalAddr(), time.Second); err == nil {
		t.Fatal("dialled after Close")
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	// What is offered too late, or too much of, is closed.
	one, other := net.Pipe()
	b.offer(&transport.Conn{Conn: one})
	if _, err := other.Read(make([]byte, 1)); err == nil {
		t.Fatal("left open")
	}
}

func TestRaftTransportIsFull(t *testing.T) {
	layer := newRaftStreams(&peers{}, time.Second) // nobody accepts
	var refused net.Conn
	for range raftBacklog + 1 {
		one, other := net.Pipe()
		layer.offer(&transport.Conn{Conn: one})
		refused = other
	}
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Fatal("left open")
	}
	if len(layer.open) != raftBacklog {
		t.Fatal(len(layer.open))
	}
	layer.Close()
}

// A peer that takes nothing any more is given up after the timeout of one
// exchange, even within a snapshot that has all the time in the world.
func TestRaftStreamGivesUp(t *testing.T) {
	layer := newRaftStreams(&peers{}, time.Millisecond)
	defer layer.Close()
	one, other := net.Pipe()
	defer other.Close()
	s := layer.enter(&transport.Conn{Conn: one})
	if err := s.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("a part of a snapshot")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(nil); err == nil {
		t.Fatal("wrote after Close")
	}
}
