package remote

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// Whoever waits in a queue, or holds a lock, asks nothing of his node until the next
// renewal, which may be many minutes away. A node that hangs with its connections
// open, or has lost its leader, would be noticed no sooner, and a grant or a loss not
// heard. So a link that carries sessions and has been silent for a while is asked
// whether the node lives: by one call for the whole link, whatever the TTLs.

// A vigil is what one look at the link after the other has seen.
type vigil struct {
	heard      uint64 // frames and answers, up to the last look
	silence    int    // looks without any, while something was asked
	idle       int    // looks without any, while nothing was
	leaderless int    // looks at which the node knew of no leader
}

// look takes one look.
func (b *Backend) look(l *link, v *vigil) (carried int) {
	waiting, carried := b.waiting(l)
	now := l.heard.Load()
	switch {
	case now != v.heard:
		v.heard, v.silence, v.idle = now, 0, 0
	case waiting || l.pinged.Load():
		v.silence++
	case carried > 0:
		if v.silence, v.idle = 0, v.idle+1; v.idle >= idleLooks {
			v.idle = 0
			b.ping(l)
		}
	default:
		v.silence, v.idle = 0, 0
	}
	h := l.hello.Load()
	if v.leaderless++; h.GetNode() == "" || h.GetLeader() != "" || carried == 0 {
		v.leaderless = 0
	}
	return carried
}

// ping asks the node for a sign of life, once at a time. Any answer is one.
func (b *Backend) ping(l *link) {
	if l.pinged.Swap(true) {
		return
	}
	b.work.Go(func() {
		_, err := grpc_health_v1.NewHealthClient(l.conn).Check(l.ctx, &grpc_health_v1.HealthCheckRequest{})
		if code := status.Code(err); code != codes.Unavailable && code != codes.Canceled {
			l.heard.Add(1)
			l.pinged.Store(false)
		}
	})
}
