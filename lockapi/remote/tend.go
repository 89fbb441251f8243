package remote

import (
	"time"
)

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
			next = b.seek(failures)
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
// another must be sought. The link may be of use until that is found.
func (b *Backend) tend(l *link, quiet *int) (better *link) {
	if l == nil {
		return nil
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	heard, silence := l.heard.Load(), 0
	for {
		if better := b.follow(l); better != nil {
			return better
		}
		select {
		case <-b.ctx.Done():
			return nil
		case <-l.broken:
			b.book.shun(l.address, time.Now())
			return nil
		case <-l.news:
		case <-ticker.C:
			if now := l.heard.Load(); now != heard || !b.waiting(l) {
				heard, silence = now, 0
			} else {
				silence++
			}
			if l.served.Load() {
				*quiet = 0
			}
			if silence == 0 && time.Since(l.born) > forgiveAfter {
				b.book.forgive(l.address)
			}
		}
		why := ""
		switch {
		case l.hello.Load().GetDraining():
			why = "the node is about to stop"
		case l.doubted.Load() && time.Since(l.born) >= doubtAfter:
			why = "a command is not answered"
		case silence >= quietLooks<<min(*quiet, quietDoublings):
			why = "the node is silent"
			*quiet++
		default:
			continue
		}
		b.log.Info("remote: link given up", "address", l.address, "node", l.hello.Load().GetNode(), "why", why)
		b.book.shun(l.address, time.Now())
		return nil
	}
}

// waiting tells whether anything waits for an answer.
func (b *Backend) waiting(l *link) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.inflight) > 0 || len(l.attaches) > 0
}

// follow makes a link to the node that leads, if that is another one.
func (b *Backend) follow(l *link) *link {
	h := l.hello.Load()
	b.book.learn(l.address, h)
	leader := b.book.leader(h)
	if b.options.Spread || leader == "" || leader == l.address || b.book.shuns(leader, time.Now()) {
		return nil
	}
	next, err := b.dial(b.ctx, leader)
	if err == nil {
		// It must say so itself: two nodes that each believe in the other would
		// be followed for ever.
		said := next.hello.Load()
		if said.GetNode() == said.GetLeader() && said.GetNode() == h.GetLeader() && b.book.learn(leader, said) {
			return next
		}
		err = errNotLeading
	}
	if next != nil {
		next.close()
	}
	b.book.shun(leader, time.Now())
	b.log.Info("remote: the leader cannot be reached", "leader", h.GetLeader(), "address", leader, "error", err)
	return nil
}
