package remote

import (
	"context"
	"errors"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// seek looks for a node in place of l's until it has found one; nil if the
// backend is closed. A node that is about to stop is kept waiting for us by l
// only as long as there may be another.
func (b *Backend) seek(l *link, failures int) *link {
	var full error // why a node would not have us
	for {
		if failures > 0 && pause(b.ctx, max(backoff(failures-1), lockapi.PauseAfter(full, 0))) != nil {
			return nil
		}
		r := b.race()
		next := r.run()
		if next != nil || b.ctx.Err() != nil {
			return next
		}
		full = r.full
		if l != nil && l.hello.Load().GetDraining() {
			l.close()
		}
		failures++
	}
}

// An attempt is what came of dialling an address of an endpoint; or, with more,
// that the endpoint has so many addresses more, each an attempt by itself.
type attempt struct {
	endpoint string
	link     *link
	err      error
	more     int
}

// A race tries all addresses, each a little after the one before, until one
// leads to a node that will do.
type race struct {
	b       *Backend
	ctx     context.Context // ends with the race
	results chan attempt
	waiting []string // not started yet
	running int
	tried   map[string]int // attempts under way, of those that were started
	best    *link          // that has answered so far
	hurry   *time.Timer    // when best will do
	full    error          // of a node that has too much to do
}

func (b *Backend) race() *race {
	return &race{b: b, results: make(chan attempt), waiting: b.book.order(time.Now()), tried: make(map[string]int)}
}

// run is one round over all addresses. nil: none answered, or they turned out to
// belong to different clusters before the first link.
func (r *race) run() *link {
	ctx, cancel := context.WithCancel(r.b.ctx)
	defer cancel() // who comes too late is closed
	r.ctx = ctx
	r.hurry = time.NewTimer(patience)
	r.hurry.Stop()
	defer r.hurry.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	for decided := false; len(r.waiting) > 0 || r.running > 0; {
		select {
		case <-ctx.Done():
			return r.discard()
		case <-next.C:
			if len(r.waiting) > 0 {
				r.start(r.waiting[0])
				r.waiting = r.waiting[1:]
				next.Reset(stagger)
			}
		case <-r.hurry.C:
			return r.finish()
		case done := <-r.results:
			if done.more > 0 {
				r.running += done.more
				r.tried[done.endpoint] += done.more
				continue
			}
			if done.err != nil {
				next.Reset(0) // do not wait for the next
			}
			decided = r.take(done) || decided
			if decided && r.acquainted() {
				return r.finish()
			}
		}
	}
	return r.finish()
}

// take takes in an attempt; true if the race is decided.
func (r *race) take(done attempt) bool {
	r.running--
	r.tried[done.endpoint]--
	if done.err == nil {
		return r.weigh(done.endpoint, done.link)
	}
	r.b.log.Debug("remote: no link", "endpoint", done.endpoint, "error", done.err)
	if errors.Is(done.err, lockapi.ErrOverloaded) {
		r.full = done.err
	}
	return r.best != nil && !r.leaderMayCome(r.best)
}

// acquainted tells whether a link need not wait for other endpoints: before the
// first one, each says to which cluster it belongs, if it can.
func (r *race) acquainted() bool {
	return r.b.book.isSettled()
}

// finish is the end of a round that has a result, or none.
func (r *race) finish() *link {
	if r.b.judge() != nil && !r.acquainted() {
		r.b.book.forgetClusters()
		return r.discard() // later, sessions that there are go on in their cluster
	}
	if r.best != nil {
		r.b.book.settle()
	}
	return r.best
}

func (r *race) discard() *link {
	if r.best != nil {
		r.best.close()
	}
	return nil
}

func (r *race) start(address string) {
	if _, twice := r.tried[address]; twice {
		return
	}
	r.tried[address] = 1
	r.running++
	r.b.try(r.ctx, address, r.results)
}

// try dials an endpoint in the background, all addresses of it. A link that
// nobody takes before ctx ends is closed.
func (b *Backend) try(ctx context.Context, endpoint string, results chan<- attempt) {
	b.work.Go(func() {
		places := b.places(ctx, endpoint)
		if len(places) > 1 {
			select {
			case results <- attempt{endpoint: endpoint, more: len(places) - 1}:
			case <-ctx.Done():
				return
			}
		}
		for _, at := range places {
			b.work.Go(func() { b.attempt(ctx, endpoint, at, results) })
		}
	})
}

func (b *Backend) attempt(ctx context.Context, endpoint, at string, results chan<- attempt) {
	l, err := b.dial(ctx, at)
	if ctx.Err() == nil {
		b.book.note(endpoint, err)
	}
	select {
	case results <- attempt{endpoint: endpoint, link: l, err: err}:
	case <-ctx.Done():
		if l != nil {
			l.close()
		}
	}
}

// weigh compares a node that has answered with the best so far; true if the
// race is decided.
func (r *race) weigh(endpoint string, l *link) bool {
	h := l.hello.Load()
	if !r.b.book.meet(endpoint, l.address, h) {
		r.b.log.Error("remote: a node of another cluster", "address", l.address, "cluster", h.GetClusterId())
		l.close()
		return false
	}
	if r.best == nil || r.value(l) > r.value(r.best) {
		if r.best != nil {
			r.best.close()
		} else {
			r.hurry.Reset(patience)
		}
		r.best = l
	} else {
		l.close()
	}
	return r.value(r.best) == decisive || !r.leaderMayCome(r.best)
}

// decisive is the value of a node that leaves nothing to wish for.
const decisive = 4

func (r *race) value(l *link) int {
	h := l.hello.Load()
	value := 1
	switch {
	case h.GetDraining():
		return 0
	case h.GetNode() == "", h.GetLeader() == h.GetNode():
		value = decisive // no cluster, or its leader
	case h.GetLeader() != "":
		if value = 2; r.b.options.Spread {
			value = decisive
		}
	}
	if r.b.book.shuns(l.address, time.Now()) {
		value--
	}
	return value
}

// leaderMayCome tells whether a better node than l may yet answer in this
// round: the one that l says leads, which is tried at once, or, while l knows
// of none, whoever is left.
func (r *race) leaderMayCome(l *link) bool {
	leader := r.b.book.leader(l.hello.Load())
	switch {
	case leader == "" || leader == l.address:
		return len(r.waiting) > 0 || r.running > 0
	case r.b.options.Spread, r.b.book.shuns(leader, time.Now()):
		return false
	}
	r.start(leader)
	return r.tried[leader] > 0
}
