package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/lockd-io/lockd/lockapi"
)

// A Node is what this package asks of a node. All methods may be called by any
// goroutine.
type Node interface {
	// Inspect is lockapi.Backend's.
	Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error)
	// Status is the cluster as this node sees it now.
	Status(ctx context.Context) (lockapi.Status, error)
	// Ready is nil once the node can take commands, else it says what it waits for.
	Ready() error
}

// Options of a Server. Every zero works.
type Options struct {
	// Hosts are names under which this node is reached, without port, beyond
	// those that are always fine: addresses, localhost, and names without a dot.
	// "*" allows every name; then a web page can read from this node what a
	// browser that visits it can reach. nil is none.
	Hosts []string
	// Backend takes the commands of those who lock over HTTP; the node's own. nil
	// serves only what reads.
	Backend lockapi.Backend
	// Metrics answers GET /metrics. nil: there is no such path.
	Metrics http.Handler
	// Logger hears of requests that failed within the node. nil is silent.
	Logger *slog.Logger
}

func (o *Options) validate() error {
	var wrong []error
	for _, host := range o.Hosts {
		if host == "" || strings.ContainsAny(host, ":/ ") {
			wrong = append(wrong, fmt.Errorf("option Hosts: %q is not a name without port", host))
		}
	}
	return errors.Join(wrong...)
}

// A Server answers HTTP requests from what a Node tells.
type Server struct {
	node   Node
	logger *slog.Logger
	hosts  map[string]bool // in lower case; never changed
	reads  chan struct{}   // a place for each read under way
	writes chan struct{}   // and for each request that changes something
	waits  chan struct{}   // and for each of those that waits for a lock

	metrics http.Handler
	backend lockapi.Backend
	agent   *lockapi.Agent // acquires for clients; nil if the server only reads
	http    http.Server
}

// NewServer makes a server; nothing runs before Serve.
func NewServer(n Node, o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("web: bad options: %w", err)
	}
	s := &Server{
		node: n, logger: o.Logger, hosts: map[string]bool{}, metrics: o.Metrics, backend: o.Backend,
		reads: make(chan struct{}, readsMax), writes: make(chan struct{}, writesMax), waits: make(chan struct{}, waitsMax),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	for _, host := range o.Hosts {
		s.hosts[strings.ToLower(host)] = true
	}
	if o.Backend != nil {
		agent, err := lockapi.NewAgent(o.Backend, lockapi.Options{Label: "http", Logger: o.Logger})
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		s.agent = agent
	}
	s.http = http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerSizeMax,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Serve answers the connections of l until Shutdown, and is nil then. It may be
// called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("web: %w", err)
	}
	return nil
}

// Shutdown stops accepting, ends waits for locks, lets requests that are under way
// end, and closes what is still open when ctx ends. What clients hold stays held.
// The server cannot be used again.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	if s.agent != nil {
		err = s.agent.Close(ctx) // who waits is told that the outcome is not known
	}
	if closing := s.http.Shutdown(ctx); closing != nil {
		err = errors.Join(err, closing, s.http.Close())
	}
	return err
}

// Handler is the server without its connections, for one that has its own.
// Timeouts and sizes of requests are that one's then.
func (s *Server) Handler() http.Handler { return restrict(http.HandlerFunc(s.route)) }
