package lockapi

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// renewShare: a session renews after this share of its TTL, so that two
	// renewals may fail.
	renewShare = 3
	// renewJitter: one part in so many that a renewal comes earlier or later,
	// so that clients that began together do not stay together.
	renewJitter = 10
	// missedAfter: a session that has not heard all that it was told of renews
	// again after this time, since each renewal repeats only so many events.
	missedAfter = 100 * time.Millisecond
)

// renewals are a session's, those of attaching included.
type renewals struct {
	last     fsm.Seq       // number of the last
	sent     time.Duration // when the last renewal was first sent
	underWay int
	wanted   bool // one is to be sent soon
	// told is the session's last event by the word of a renewal. Were the last
	// events dropped on the way, no gap in what was heard would show it.
	told fsm.EventID

	ctx  context.Context // of those under way
	stop func()          // ends ctx; nil while there is none
}

func renewAfter(ttl time.Duration) time.Duration {
	d := ttl / renewShare
	return d - d/renewJitter + rand.N(2*d/renewJitter)
}

// wantRenewal asks for a renewal that is sent from now on. One that is on its
// way and young is waited for first.
func (s *session) wantRenewal() {
	s.mu.Lock()
	s.renewals.wanted = true
	s.unlock()
	s.poke()
}

// poke makes the keeper look again.
func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keep keeps the session alive until it is over: it renews, warns, and ends grants
// that are not to be believed in any more.
func (s *session) keep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := s.now() + renewAfter(s.ttl)
	for {
		s.mu.Lock()
		now := s.now()
		s.lapse(now)
		s.watch(now)
		if s.renewals.told > s.seen && s.renewals.underWay == 0 {
			next = min(next, s.renewals.sent+missedAfter)
		}
		busy := s.renewals.underWay > 0 && now-s.renewals.sent < s.ttl/doubtShare
		// Lapsed grants are released before anything else is said for the
		// session; the release renews it.
		if s.lapsed == 0 && (now >= next || s.renewals.wanted && !busy) {
			s.startRenewal(now)
			next = now + renewAfter(s.ttl)
		}
		nap := s.ttl / doubtShare // timers may stand still while the machine sleeps
		if s.lapsed == 0 {
			nap = min(nap, next-now)
		}
		if until, any := s.nextLapse(); any {
			nap = min(nap, until-now)
		}
		if at, any := s.warnAt(); any {
			nap = min(nap, at-now)
		}
		s.unlock()
		timer.Reset(max(nap, 0))
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *session) startRenewal(now time.Duration) {
	s.renewals.last++
	s.renewals.sent = now
	s.renewals.underWay++
	s.renewals.wanted = false
	if s.renewals.stop == nil {
		s.renewals.ctx, s.renewals.stop = context.WithCancel(s.ctx)
	}
	ctx := s.renewals.ctx
	c := fsm.Command{
		Op: fsm.OpRenew, Session: s.id, Incarnation: s.incarnation,
		Seq: s.renewals.last, Seen: s.seen,
	}
	s.spawn(func() { s.renew(ctx, &c, now) })
}

// renew gets one renewal answered. The answer is credited to the time at which
// this renewal was first sent. After a TTL the answer would be worth nothing.
func (s *session) renew(ctx context.Context, c *fsm.Command, sent time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, s.ttl)
	r, err := s.insist(ctx, c)
	cancel()
	s.mu.Lock()
	s.renewals.underWay--
	if err == nil {
		s.credit(sent, s.now(), r)
		s.renewals.told = max(s.renewals.told, fsm.EventID(r.Value))
	}
	s.unlock()
	if err == nil {
		s.heed(r)
	}
	s.poke()
}
