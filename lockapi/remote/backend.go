package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// Backend is a lockapi.Backend over a cluster's gRPC protocol.
type Backend struct {
	options Options
	log     *slog.Logger
	book    *book
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	work    sync.WaitGroup
	calls   sync.Pool // of *call

	sessionsMax int                     // rpc.StreamSessionsMax; less in tests
	opening     chan struct{}           // a place for each open under way; of all further streams too
	further     atomic.Pointer[Backend] // its stream is for the sessions that find no room on this one's

	// mu guards the fields below, all calls, sessions and what the link is to
	// send. It is never held across I/O, and taken once per frame.
	mu       sync.Mutex
	closed   bool
	inflight map[fsm.Key]*call
	sessions map[fsm.SessionID]*session
	forgetAt int           // so many sessions are looked through for what to forget
	coming   int           // sessions that are about to be known
	link     *link         // where commands go; nil while there is none
	linked   chan struct{} // closed, and made anew, when link is set
	nonce    fsm.Nonce     // given to the last attach
}

var _ lockapi.Backend = (*Backend)(nil)

// Open makes a backend that looks for the cluster at the endpoints, each
// HOST:PORT; one that answers is enough. Each address of a name is one, asked for
// anew whenever a node is sought. It does not wait for any: what needs the cluster
// does. The error is ErrInvalid. Endpoints that turn out to belong to different
// clusters are a *ClustersError to whoever would begin a session or read.
func Open(endpoints []string, o Options) (*Backend, error) {
	if err := checked(endpoints); err != nil {
		return nil, err
	}
	b := newBackend(newBook(endpoints), o)
	b.work.Go(b.introduce)
	return b, nil
}

func newBackend(known *book, o Options) *Backend {
	b := &Backend{
		options: o, log: o.Logger, book: known,
		sessionsMax: rpc.StreamSessionsMax, opening: make(chan struct{}, opensMax),
		inflight: make(map[fsm.Key]*call), sessions: make(map[fsm.SessionID]*session),
		linked: make(chan struct{}), forgetAt: sessionsKept,
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.options.Dial == nil {
		if b.options.lookup == nil {
			b.options.lookup = net.DefaultResolver.LookupHost
		}
		var d net.Dialer
		b.options.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		}
	}
	b.calls.New = func() any { return &call{ready: make(chan struct{}, 1)} }
	b.nonce.Hi = rand.Uint64()
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.work.Go(b.run)
	return b
}

// Capabilities implements lockapi.Backend.
func (b *Backend) Capabilities() lockapi.Capabilities {
	return lockapi.Capabilities{Backend: Scheme, Fair: true, Fencing: true, Linearizable: true}
}

// Close implements lockapi.Backend. Calls that wait return an error that is
// ErrClosed, and ErrUnknown too if their command was ever sent. Nothing of the
// backend runs afterwards.
func (b *Backend) Close() error {
	b.mu.Lock()
	b.closed = true
	var woken []*call
	for _, a := range b.inflight {
		err := error(lockapi.ErrClosed)
		if a.maybe() {
			err = fmt.Errorf("%w: %w", lockapi.ErrUnknown, lockapi.ErrClosed)
		}
		woken = b.complete(a, fsm.Result{}, err, woken)
	}
	for _, s := range b.sessions {
		if s.feed != nil {
			s.feed.close()
			s.feed = nil
		}
	}
	b.mu.Unlock()
	wake(woken)
	b.cancel()
	b.work.Wait()
	if next := b.further.Load(); next != nil {
		return next.Close()
	}
	return nil
}

// Inspect implements lockapi.Backend. It goes on until a node answers or ctx
// ends; the error is then an *UnreachedError. It is ErrInvalid for a query that
// is wrong by itself, before any node is asked, or that the node refuses.
func (b *Backend) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	if err := q.Validate(); err != nil {
		return lockapi.View{}, fmt.Errorf("inspect: %w", err)
	}
	var v lockapi.View
	err := b.call(ctx, "inspect", func(ctx context.Context, node lockdv1.LockdClient) error {
		reply, err := node.Inspect(ctx, rpc.QueryRequest(q), grpc.MaxCallRecvMsgSize(rpc.InspectSizeMax))
		v = rpc.ViewOf(reply)
		return err
	})
	return v, err
}

// Status is the cluster as the node that this backend is linked to sees it. It
// needs no leader. Errors are as those of Inspect; ErrUnsupported if that node is
// no cluster's.
func (b *Backend) Status(ctx context.Context) (lockapi.Status, error) {
	var s lockapi.Status
	err := b.call(ctx, "status", func(ctx context.Context, node lockdv1.LockdClient) error {
		reply, err := node.Status(ctx, &lockdv1.StatusRequest{})
		s = rpc.StatusOf(reply)
		return err
	})
	return s, err
}

// call asks the node of the present link, and again that of the next, until
// one answers.
func (b *Backend) call(ctx context.Context, what string, ask func(context.Context, lockdv1.LockdClient) error) error {
	for n := 0; ; n++ {
		l, err := b.present(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		within, cancel := context.WithTimeout(ctx, inspectTimeout)
		err = ask(within, l.node)
		silent := within.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil {
			return nil
		}
		definite := rpc.ErrorOf(err)
		if !errors.Is(definite, lockapi.ErrUnavailable) {
			return fmt.Errorf("%s: %w", what, definite)
		}
		if silent {
			l.doubt()
		}
		if pause(ctx, max(backoff(n), lockapi.PauseAfter(definite, n))) != nil {
			return fmt.Errorf("%s: %w", what, b.unreached(ctx))
		}
	}
}

// present is the link, once there is one.
func (b *Backend) present(ctx context.Context) (*link, error) {
	for {
		b.mu.Lock()
		l, linked, closed := b.link, b.linked, b.closed
		b.mu.Unlock()
		refusal := b.book.refusal()
		switch {
		case closed:
			return nil, lockapi.ErrClosed
		case refusal != nil:
			return nil, refusal
		case l != nil:
			return l, nil
		}
		select {
		case <-linked:
		case <-b.ctx.Done():
		case <-ctx.Done():
			return nil, b.unreached(ctx)
		}
	}
}

// backoff is the pause after the n-th failure, from 0; half of it is chance.
func backoff(n int) time.Duration {
	d := min(backoffMin<<min(n, 16), backoffMax)
	return d/2 + rand.N(d/2)
}

// pause waits for d; the error is ctx's if it ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
