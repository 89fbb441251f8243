package remote

import (
	"context"
	"errors"
	"time"

	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// errNotLeading: who answers at the leader's address is not, or does not say
// that he is, the leader.
var errNotLeading = errors.New("the node there does not lead")

// run keeps the backend linked until it is closed.
func (b *Backend) run() {
	var l *link
	failures, quiet := 0, 0
	for {
		next := b.tend(l, &quiet)
		if next == nil {
			if failures++; l == nil || l.served.Load() {
				failures = 0
			}
			next = b.seek(l, failures)
		}
		if next != nil {
			h := next.hello.Load()
			b.log.Info("remote: linked", "address", next.address, "node", h.GetNode(), "leader", h.GetLeader())
			b.promote(next)
		}
		if l != nil {
			l.close()
		}
		if l = next; l == nil {
			return
		}
	}
}

// tend looks after the link until there is a better one, which it returns, or
// another must be sought. The link may be of use until that is found. quiet
// counts links in a row that were given up for silence or for
// want of a leader.
func (b *Backend) tend(l *link, quiet *int) (better *link) {
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel() // a leader that answers after this is closed
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	p := pursuit{b: b, ctx: ctx, link: l, results: make(chan attempt)}
	watch, carried := vigil{heard: l.heard.Load()}, 0
	for {
		p.follow()
		select {
		case <-ctx.Done():
			return nil
		case <-l.broken:
			b.book.shun(l.address, time.Now())
			return nil
		case got := <-p.results:
			if p.caught(got) {
				return got.link
			}
		case <-l.news:
		case <-ticker.C:
			carried = b.look(l, &watch)
			if l.served.Load() && watch.leaderless == 0 {
				*quiet = 0
			}
			if watch.silence == 0 && time.Since(l.born) > forgiveAfter {
				b.book.forgive(l.address)
			}
		}
		if why := l.fault(&watch, *quiet, carried); why != "" {
			if watch.silence > 0 || watch.leaderless > 0 {
				*quiet++
			}
			b.log.Info("remote: link given up", "address", l.address, "node", l.hello.Load().GetNode(), "why", why)
			b.book.shun(l.address, time.Now())
			return nil
		}
	}
}

// fault says why a link that stands is to be given up; nothing if it is not. The more
// sessions it carries, the dearer is another link, where all are to be attached, and
// the longer a node may be silent.
func (l *link) fault(v *vigil, quiet, carried int) string {
	switch {
	case l.hello.Load().GetDraining():
		return "the node is about to stop"
	case l.doubted.Load() && time.Since(l.born) >= doubtAfter:
		return "a command is not answered"
	case v.silence >= quietLooks<<min(quiet, quietDoublings)+carried/sessionsALook:
		return "the node is silent"
	case v.leaderless >= leaderlessLooks<<min(quiet, quietDoublings):
		return "the node knows of no leader"
	default:
		return ""
	}
}

// waiting tells whether anything waits for an answer, and how many sessions there are.
func (b *Backend) waiting(l *link) (waiting bool, sessions int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.inflight) > 0 || len(l.attaches) > 0, len(b.sessions)
}

// A pursuit is after the node that leads, while the link goes on.
type pursuit struct {
	b       *Backend
	ctx     context.Context // ends with the tending of the link
	link    *link
	results chan attempt
	heeded  *lockdv1.Hello // what the book has been told
	leader  string         // the node that is being dialled; empty if none is
	running int            // attempts at it
}

// follow dials the node that leads, if that is another one.
func (p *pursuit) follow() {
	h := p.link.hello.Load()
	if h != p.heeded {
		p.b.book.learn(p.link.address, h)
		p.heeded = h
	}
	if p.leader != "" || p.b.options.Spread {
		return
	}
	address := p.b.book.leader(h)
	if address == "" || address == p.link.address || p.b.book.shuns(address, time.Now()) {
		return
	}
	p.leader, p.running = h.GetLeader(), 1
	p.b.try(p.ctx, address, p.results)
}

// caught tells whether the leader was reached. It must say itself that it
// leads: two nodes that each believe in the other would be followed for ever.
func (p *pursuit) caught(got attempt) bool {
	if got.more > 0 {
		p.running += got.more
		return false
	}
	leader := p.leader
	if p.running--; p.running == 0 {
		p.leader = ""
	}
	if got.err == nil {
		h := got.link.hello.Load()
		if h.GetNode() == leader && h.GetLeader() == leader && p.b.book.learn(got.link.address, h) {
			return true
		}
		got.link.close()
		got.err = errNotLeading
	}
	if p.running == 0 {
		p.b.book.shun(got.endpoint, time.Now())
		p.b.log.Info("remote: the leader cannot be reached", "leader", leader, "address", got.endpoint, "error", got.err)
	}
	return false
}
