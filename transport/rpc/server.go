package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// Options is how a Server is made; its zero works.
type Options struct {
	// Status tells what the node knows of its cluster: streams are told who
	// leads, and calls of Status the rest. It is asked often and must not wait.
	// nil asks the backend, if that has a method of this name and type, and
	// whose LeaderChanges, if it has that too, tells when to ask; if it has
	// none, clients learn nothing and stay where they are.
	Status func(context.Context) (lockapi.Status, error)
	// Logger hears of streams that misbehave and of stopping. nil is silent.
	Logger *slog.Logger
}

// A submitter is a backend that answers a command without a goroutine waiting
// for it. answer is called once, by any goroutine, and does not block; it may
// be called before Submit returns.
type submitter interface {
	Submit(c fsm.Command, answer func(fsm.Result, error))
}

type statuser interface {
	Status(context.Context) (lockapi.Status, error)
}

// Server serves lockd.v1, with gRPC's health and reflection services, over a
// backend. The backend stays its maker's, and must outlive the server.
type Server struct {
	lockdv1.UnimplementedLockdServer
	backend lockapi.Backend
	submit  func(fsm.Command, func(fsm.Result, error)) // nil: a goroutine per command
	status  func(context.Context) (lockapi.Status, error)
	changes func() <-chan struct{} // nil: look now and then
	log     *slog.Logger
	grpc    *grpc.Server
	health  *health.Server
	asks    sync.Pool // of *ask
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup // goroutines other than gRPC's

	streamsMax, commandsMax int          // StreamsMax, commandsMax; less in tests
	underway                atomic.Int64 // commands of all streams

	mu       sync.Mutex // guards the fields below; taken before a stream's
	hello    *lockdv1.Hello
	draining bool
	looking  bool // a goroutine looks who leads
	streams  map[*stream]struct{}
	empty    chan struct{} // closed when draining and the last stream has ended
}

// New makes a server that serves nobody yet.
func New(b lockapi.Backend, o Options) *Server {
	s := &Server{
		backend: b, status: o.Status, log: o.Logger, health: health.NewServer(),
		hello: &lockdv1.Hello{}, streams: make(map[*stream]struct{}), empty: make(chan struct{}),
		streamsMax: StreamsMax, commandsMax: commandsMax,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if fast, ok := b.(submitter); ok {
		s.submit = fast.Submit
	}
	if own, ok := b.(statuser); ok && s.status == nil {
		s.status = own.Status
		if w, ok := b.(leaderWatcher); ok {
			s.changes = w.LeaderChanges
		}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.asks.New = func() any { return newAsk() }
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(Codec()),
		grpc.MaxRecvMsgSize(FrameSizeMax),
		grpc.MaxConcurrentStreams(callsPerConnectionMax),
		grpc.MaxHeaderListSize(headerSizeMax),
		grpc.InitialWindowSize(windowSize),
		grpc.InitialConnWindowSize(windowSize),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveAfter, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsApart, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	lockdv1.RegisterLockdServer(s.grpc, s)
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s
}

// Serve takes connections from l until the server is stopped, which is no
// error, or l fails. It closes l. It may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	s.look(s.ctx)
	s.keepLooking()
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("rpc: serving %v: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown takes no new streams, tells clients to go elsewhere and waits
// until they have, or until ctx ends, whose error it then returns. The server
// is closed afterwards in either case.
func (s *Server) Shutdown(ctx context.Context) error {
	s.health.Shutdown()
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		h := proto.CloneOf(s.hello)
		h.Draining = true
		s.spread(h)
		s.whenEmpty()
	}
	s.mu.Unlock()
	defer s.Close()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.log.Info("rpc: clients are left at shutdown", "streams", len(s.streams))
		return ctx.Err()
	}
}

// Close ends every stream and call at once, and returns when nothing of the
// server runs any more.
func (s *Server) Close() {
	s.health.Shutdown()
	s.mu.Lock()
	s.cancel() // nobody begins to look who leads after this
	s.mu.Unlock()
	s.grpc.Stop()
	s.work.Wait()
}

// Inspect implements lockdv1.LockdServer.
func (s *Server) Inspect(ctx context.Context, r *lockdv1.InspectRequest) (*lockdv1.InspectResponse, error) {
	v, err := s.backend.Inspect(ctx, queryOf(r))
	if err != nil {
		return nil, statusOf(err)
	}
	return viewResponse(v), nil
}

// Status implements lockdv1.LockdServer.
func (s *Server) Status(ctx context.Context, _ *lockdv1.StatusRequest) (*lockdv1.StatusResponse, error) {
	if s.status == nil {
		return nil, status.Error(codes.Unimplemented, "this backend is no cluster")
	}
	now, err := s.status(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	return statusResponse(now), nil
}

// Stream implements lockdv1.LockdServer.
func (s *Server) Stream(rpc grpc.BidiStreamingServer[lockdv1.ClientFrame, lockdv1.ServerFrame]) error {
	s.look(rpc.Context()) // what it is told first is news
	st, err := s.add(rpc)
	if err != nil {
		return err
	}
	defer s.remove(st)
	return st.run()
}

func (s *Server) add(rpc grpc.ServerStream) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return nil, status.Error(codes.Unavailable, "the node is about to stop")
	case len(s.streams) >= s.streamsMax:
		return nil, statusOf(full("streams of one node", s.streamsMax))
	}
	st := newStream(s, rpc)
	st.out.hello(s.hello)
	s.streams[st] = struct{}{}
	return st, nil
}

func (s *Server) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
	s.whenEmpty()
}

// whenEmpty closes empty the first time that draining has no streams left.
func (s *Server) whenEmpty() {
	if s.draining && len(s.streams) == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}
