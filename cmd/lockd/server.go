package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/transport"
	"github.com/lockd-io/lockd/transport/rpc"
	"github.com/lockd-io/lockd/transport/web"
)

// drainTimeout bounds how long a server that stops waits for its clients to
// go elsewhere. They do at once, unless they are stopped themselves.
const drainTimeout = 5 * time.Second

// A server is one node and all that is served on its port.
type server struct {
	port *transport.Port
	node *cluster.Node
	rpc  *rpc.Server
	web  *web.Server
	log  *slog.Logger
}

// startServer starts a node on a port, which is the server's from then on,
// and serves it. On an error nothing is left running. The logger's lines name
// the node.
func startServer(port *transport.Port, c cluster.Config) (*server, error) {
	s := &server{port: port, log: c.Logger}
	c.Port = port
	var err error
	if s.node, err = cluster.Open(c); err != nil {
		return nil, errors.Join(err, port.Close())
	}
	s.rpc = rpc.New(s.node, rpc.Options{Logger: s.log})
	if s.web, err = web.NewServer(s.node, web.Options{
		Logger: s.log, Backend: s.node, Metrics: metricsHandler(s.counts), Hosts: hosts(c.Advertise, c.Listen),
	}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	go s.serve("grpc", func() error { return s.rpc.Serve(port.GRPC()) })
	go s.serve("http", func() error { return s.web.Serve(port.HTTP()) })
	return s, nil
}

func (s *server) counts() counts { return counts{s.node.Metrics(), s.port.Stats()} }

// hosts are the names among addresses: whoever runs the node says that it goes
// by them.
func hosts(addresses ...string) []string {
	var names []string
	for _, address := range addresses {
		if host, _, err := net.SplitHostPort(address); err == nil && host != "" && net.ParseIP(host) == nil {
			names = append(names, host)
		}
	}
	return names
}

func (s *server) serve(what string, serve func() error) {
	if err := serve(); err != nil {
		s.log.Error("stopped serving", "protocol", what, "error", err)
	}
}

// address is what clients and other nodes dial.
func (s *server) address() string { return s.port.Addr().String() }

// stop hands the leadership over, lets the clients go and ends the node,
// which stays a member.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := s.node.Transfer(ctx); err != nil {
		s.log.Warn("the others have to elect a leader", "error", err)
	}
	if err := s.rpc.Shutdown(ctx); err != nil {
		s.log.Warn("clients were cut off", "error", err)
	}
	if err := s.web.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", "error", err)
	}
	_ = s.node.Stop(ctx) // close has its error
	return s.close()
}

// close ends the node at once.
func (s *server) close() error {
	at, cancel := context.WithCancel(context.Background())
	cancel()
	s.rpc.Close()
	if s.web != nil {
		_ = s.web.Shutdown(at) // what is open is cut off
	}
	return errors.Join(s.node.Close(), s.port.Close())
}
