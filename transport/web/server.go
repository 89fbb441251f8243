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
	http   http.Server
}

// NewServer makes a server; nothing runs before Serve.
func NewServer(n Node, o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("web: bad options: %w", err)
	}
	s := &Server{node: n, logger: o.Logger, hosts: map[string]bool{}, reads: make(chan struct{}, readsMax)}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	for _, host := range o.Hosts {
		s.hosts[strings.ToLower(host)] = true
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

// Shutdown stops accepting, lets requests that are under way end, and closes
// what is still open when ctx ends. The server cannot be used again.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	return err
}

// Handler is the server without its connections, for one that has its own.
// Timeouts and sizes of requests are that one's then.
func (s *Server) Handler() http.Handler { return restrict(http.HandlerFunc(s.route)) }

// route finds who answers a path. It is no http.ServeMux, because that one
// cleans paths before it looks, and some names of locks would not survive it:
// "..", or "/".
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	segment, oneLock := strings.CutPrefix(path, "/v1/locks/")
	switch {
	case path == "/healthz":
		s.healthz(w)
	case path == "/readyz":
		s.readyz(w)
	case !s.ours(r.Host):
		fail(w, http.StatusMisdirectedRequest, "this node does not go by that name: use its address, or start it with that name in --advertise")
	case path == "/":
		s.root(w, r)
	case path == "/v1/status":
		s.status(w, r)
	case path == "/v1/locks":
		s.locks(w, r)
	case oneLock && segment != "" && !strings.Contains(segment, "/"):
		s.lock(w, r, segment)
	case oneLock:
		fail(w, http.StatusNotFound, "a name is one segment of the path: write / in it as %2F")
	default:
		fail(w, http.StatusNotFound, "no such path; GET / lists them")
	}
}
