package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

const (
	// redialMin and redialMax bound the wait before the leader is dialled again.
	redialMin = 20 * time.Millisecond
	redialMax = time.Second
	// pingParts: pings in one heartbeat timeout.
	pingParts = 3
	// silenceMax: heartbeat timeouts without a word from the leader after which
	// a stream is given up, though nobody has closed it.
	silenceMax = 3
)

// A link carries this node's commands to whoever leads: into the inbox when
// this node does, else over a stream to the leader, which returns outcomes.
type link struct {
	pendings *pendings
	subs     *subscriptions
	current  func() *office
	dial     func(ctx context.Context, address string) (*transport.Conn, error)
	log      func(msg string, args ...any)
	now      func() time.Duration
	applied  func() fsm.Index
	patience time.Duration

	stream  atomic.Pointer[stream] // to the leader, or nil
	refused atomic.Bool            // the leader refused something on it
	alive   atomic.Pointer[[]string]

	// Scratch of the one goroutine that reads the stream.
	outcomes []fsm.Outcome
	tags     []tag
	tell     answers
}

func newLink(n *Node) *link {
	return &link{
		pendings: n.pendings, subs: n.subs, current: n.leadership.current,
		dial: func(ctx context.Context, address string) (*transport.Conn, error) {
			return n.peers.dial(ctx, transport.KindForward, address)
		},
		log: n.cfg.Logger.Info, now: n.now, applied: n.machine.appliedNow, patience: n.cfg.HeartbeatTimeout,
	}
}

// run follows the leader until ctx ends.
func (l *link) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		at := l.current()
		if at.id != "" && at.reign == nil {
			if l.follow(ctx, at) {
				failures = 0
			} else {
				failures++
			}
			pause(ctx, at.changed, min(redialMax, redialMin<<min(failures, 10)))
			continue
		}
		failures = 0
		if at.reign != nil {
			l.pendings.reroute(at.reign.inbox)
		}
		select {
		case <-at.changed:
		case <-ctx.Done():
		}
		l.pendings.reroute(nil)
	}
}

// follow keeps a stream to the leader for as long as it holds and the office
// does not change. It tells whether there was one.
func (l *link) follow(ctx context.Context, at *office) bool {
	ctx, done := at.while(ctx)
	defer done()
	conn, err := l.dial(ctx, at.address)
	if err != nil {
		if ctx.Err() == nil {
			l.log("leader not reached", "leader", at.id, "address", at.address, "error", err)
		}
		return false
	}
	if conn.Peer.ID != at.id {
		conn.Close()
		l.log("another node has the leader's address", "leader", at.id, "address", at.address, "found", conn.Peer.ID)
		return false
	}
	s := newStream(conn, l.now)
	defer context.AfterFunc(ctx, s.close)()
	var writer sync.WaitGroup
	defer writer.Wait()
	writer.Go(s.write)
	l.refused.Store(false)
	l.stream.Store(s)
	l.pendings.reroute(s)
	l.ping(s)
	err = s.read(l.take)
	l.pendings.reroute(nil)
	l.stream.Store(nil)
	l.alive.Store(nil)
	if ctx.Err() == nil {
		l.log("stream to the leader broke", "leader", at.id, "error", err)
	}
	return true
}

// ping asks for a sign of life, and gives one.
func (l *link) ping(s *stream) { s.putFrame(framePing, appendApplied(nil, l.applied())) }

// take understands a frame of the leader.
func (l *link) take(kind transport.FrameType, body []byte) error {
	switch kind {
	case frameOutcomes:
		l.outcomes, l.tags = l.outcomes[:0], l.tags[:0]
		for len(body) > 0 {
			var (
				o   fsm.Outcome
				t   tag
				err error
			)
			if body, t, err = takeOutcome(body, &o); err != nil {
				return fmt.Errorf("outcomes: %w", err)
			}
			l.outcomes, l.tags = append(l.outcomes, o), append(l.tags, t)
		}
		// Events first: who attaches hears with its answer what it missed.
		l.subs.deliver(l.outcomes, fromLeader)
		l.pendings.fromLeader(l.outcomes, l.tags, &l.tell)
		l.tell.tell()
	case frameRefused:
		l.refused.Store(true)
	case framePong:
		alive, err := decodeAlive(body)
		if err != nil {
			return err
		}
		l.alive.Store(&alive)
	default:
		return fmt.Errorf("the leader sent a frame of kind %d, which is for a leader", kind)
	}
	return nil
}

// tend pings the leader, gives up a stream that is silent, and sends again what
// was refused or is without progress.
func (l *link) tend(ctx context.Context) {
	ticker := time.NewTicker(l.patience / pingParts)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s := l.stream.Load(); s != nil {
			if s.silent() > silenceMax*l.patience {
				s.close()
				continue
			}
			l.ping(s)
		}
		why := bySilence
		if l.refused.Swap(false) {
			why = byRefusal
		}
		l.pendings.resend(why)
	}
}

// pause waits, but not longer than until the office changes.
func pause(ctx context.Context, changed <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}
