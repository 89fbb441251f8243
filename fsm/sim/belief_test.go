package sim

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// The numbers of package lockapi.
const (
	marginShare = 10
	marginMin   = 200 * time.Millisecond
	driftShare  = 1024
)

// A belief is what a process may take for true of machine time: a command that was
// first sent at local time t was not applied before, so what is due at machine time
// U does not happen before t + (U - A), for a command that was applied at A.
type belief struct {
	margin time.Duration
	known  bool
	offset time.Duration // the greatest t - A, A counting a little less
	ends   fsm.Instant   // the session's deadline, as far as it was acknowledged
}

func slow(i fsm.Instant) time.Duration { return time.Duration(i - i/driftShare) }

func (b *belief) credit(sent time.Duration, at fsm.Instant, ttl fsm.Duration) {
	if offset := sent - slow(at); !b.known || offset > b.offset {
		b.known, b.offset = true, offset
	}
	b.ends = max(b.ends, at.Add(ttl))
}

func (b *belief) until(u fsm.Instant) time.Duration { return b.offset + slow(u) - b.margin }

// believes tells whether the process takes the grant for its own at this moment.
func (p *process) believes(a *acquire) bool {
	now := p.local()
	return a.grant != 0 && !a.over && !a.dropped && a.caller == nil && a.asker == nil && p.known &&
		now < p.until(p.ends) && (a.until == 0 || now < p.until(a.until))
}

// lapse ends what the process may not believe in any more, before it hears or does
// anything else: it is never believed again, and released.
func (p *process) lapse() {
	for _, a := range p.acquires {
		if a.grant != 0 && !a.over && a.caller == nil && a.asker == nil && !a.dropped && !p.believes(a) {
			p.release(a)
		}
	}
}

// A claim is that somebody holds a name.
type claim struct {
	want    fsm.Want
	grant   fsm.GrantID
	session fsm.SessionID
	owner   string
	who     int
}

// claims are those of all who believe, but for processes whose session another has
// taken over: one process lives a session, and that is for its owner to see to.
func (w *world) claims() []claim {
	var all []claim
	for _, p := range w.processes {
		if !p.alive || p.ghost {
			continue
		}
		for _, a := range p.acquires {
			if !p.believes(a) {
				continue
			}
			for _, want := range a.said.Wants {
				all = append(all, claim{want, a.grant, p.session, a.said.Owner, p.id})
			}
		}
	}
	for _, c := range w.callers {
		if c.believes() {
			all = append(all, claim{c.want, c.grant, fsm.ReservedSession, c.owner, -1 - c.id})
		}
	}
	return all
}

// believe looks whether somebody who has just heard something believes what
// contradicts somebody else.
func (w *world) believe(p *process) {
	if !p.alive || p.ghost {
		return
	}
	for _, a := range p.acquires {
		if p.believes(a) {
			w.compatible()
			return
		}
	}
}

// compatible holds all claims against each other.
func (w *world) compatible() {
	all := w.claims()
	for i, a := range all {
		taken := uint64(a.want.Permits)
		for k, b := range all {
			if i == k || a.want.Name != b.want.Name || a.grant == b.grant {
				continue
			}
			same := a.session == b.session && a.owner == b.owner
			switch {
			case a.want.Kind != b.want.Kind, a.want.Limit != b.want.Limit,
				a.want.Kind == fsm.KindLock && !same && (a.want.Mode != fsm.Shared || b.want.Mode != fsm.Shared):
				w.fail("two believe what cannot be: %+v and %+v", a, b)
			}
			taken += uint64(b.want.Permits)
		}
		if taken > uint64(a.want.Limit) {
			w.fail("believed permits of %q: %d of %d", a.want.Name, taken, a.want.Limit)
		}
	}
}
