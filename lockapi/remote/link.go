package remote

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// A link is one stream to one node.
type link struct {
	address string
	conn    *grpc.ClientConn
	node    lockdv1.LockdClient
	stream  grpc.BidiStreamingClient[lockdv1.ClientFrame, lockdv1.ServerFrame]
	ctx     context.Context // of the stream
	cancel  context.CancelFunc

	born    time.Time                     // when it came into use
	hello   atomic.Pointer[lockdv1.Hello] // what the node said last
	news    chan struct{}                 // capacity 1: hello or doubted has changed
	heard   atomic.Uint64                 // frames
	served  atomic.Bool                   // the machine has answered something
	doubted atomic.Bool                   // somebody waits too long
	pinged  atomic.Bool                   // a sign of life was asked for
	broken  chan struct{}                 // closed when the stream has ended

	// Guarded by Backend.mu.
	out      *rpc.Packer
	attaches map[fsm.Key]attaching
	order    order
}

// dial makes a link to the node at the address, which has introduced itself
// when dial returns.
func (b *Backend) dial(ctx context.Context, address string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	var failed atomic.Pointer[error] // of the connection: gRPC makes a text of it
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			c, err := b.options.Dial(ctx, address)
			if err != nil {
				failed.Store(&err)
			}
			return c, err
		}),
		grpc.WithDisableRetry(), // what to send again is decided here
		grpc.WithDisableServiceConfig(),
		grpc.WithInitialWindowSize(windowSize), grpc.WithInitialConnWindowSize(windowSize),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rpc.Codec())))
	if err != nil {
		return nil, err
	}
	l := &link{
		address: address, conn: conn, node: lockdv1.NewLockdClient(conn),
		news: make(chan struct{}, 1), broken: make(chan struct{}),
		out: rpc.NewPacker(), attaches: make(map[fsm.Key]attaching), order: order{begun: time.Now()},
	}
	l.ctx, l.cancel = context.WithCancel(b.ctx)
	stop := context.AfterFunc(ctx, l.cancel)
	if err = l.greet(); err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		if why := failed.Load(); why != nil {
			err = *why
		} else if full := new(lockapi.OverloadError); errors.As(rpc.ErrorOf(err), &full) {
			err = full
		}
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *link) greet() (err error) {
	if l.stream, err = l.node.Stream(l.ctx); err != nil {
		return err
	}
	var f rpc.Frame
	if err := l.stream.RecvMsg(&f); err != nil {
		return err
	}
	if f.Hello == nil {
		return errors.New("the node did not say who it is")
	}
	l.hello.Store(f.Hello)
	return nil
}

// close ends the link. What it has not answered must be sent on another.
func (l *link) close() {
	l.cancel()
	_ = l.conn.Close()
}

// promote makes l the link: sessions in use are attached on it, and what was
// never answered is sent again, each command once its session is attached.
func (b *Backend) promote(l *link) {
	l.born = time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.link = l
	close(b.linked)
	b.linked = make(chan struct{})
	for _, s := range b.sessions {
		if s.feed != nil || s.calls != nil {
			b.reattach(s, l)
		}
	}
	for _, a := range b.inflight {
		if a.session == nil {
			b.send(a)
		}
	}
	b.work.Go(func() { b.read(l) })
	b.work.Go(func() { b.write(l) })
}

// write sends what has gathered, until the link ends.
func (b *Backend) write(l *link) {
	var frames []rpc.Packed
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.out.Wake():
		}
		runtime.Gosched() // who is about to call gets into the frame
		b.mu.Lock()
		frames = l.out.Take(frames[:0])
		b.mu.Unlock()
		for i := range frames {
			if err := l.stream.SendMsg(&frames[i]); err != nil {
				return // the reader learns why
			}
		}
	}
}

// read takes what the node says, until the link ends.
func (b *Backend) read(l *link) {
	var f rpc.Frame
	var woken []*call
	for {
		err := l.stream.RecvMsg(&f)
		if err != nil {
			b.lost(l, err)
			return
		}
		l.heard.Add(1)
		if len(f.Outcomes) > 0 {
			woken = b.receive(l, f.Outcomes, woken[:0])
			wake(woken)
		}
		if f.Hello != nil {
			l.hello.Store(f.Hello)
			l.poke()
		}
	}
}

func (b *Backend) lost(l *link, err error) {
	l.cancel()
	b.mu.Lock()
	current := b.link == l
	if current {
		b.link = nil
	}
	b.mu.Unlock()
	if current && b.ctx.Err() == nil {
		b.log.Info("remote: link lost", "address", l.address, "node", l.hello.Load().GetNode(), "error", err)
	}
	close(l.broken)
}

// doubt has the link looked at soon: somebody waits too long.
func (l *link) doubt() {
	l.doubted.Store(true)
	l.poke()
}

func (l *link) poke() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}
