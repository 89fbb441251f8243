package sim

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// think has a process do something now and then: mostly what processes do, at
// times what happens to them.
func (p *process) think() {
	if !p.alive {
		return
	}
	p.w.after(p.w.between(30*time.Millisecond, 450*time.Millisecond), func() {
		if !p.alive {
			return
		}
		if p.living() && p.paused <= p.w.now && !p.closing {
			if p.lapse(); p.w.calm {
				p.leave()
			} else {
				p.act()
			}
		}
		p.think()
	})
}

func (p *process) act() {
	w := p.w
	switch w.rng.IntN(30) {
	case 0: // it dies, and another takes its place
		p.alive = false
		w.note("p%d of s%d.%d dies", p.id, p.session, p.incarnation)
		w.after(w.between(time.Millisecond, 1500*time.Millisecond), func() {
			switch {
			case w.calm: // too late
			case p.ghost || w.chance(3):
				w.spawn(nil)
			default:
				w.spawn(p)
			}
		})
	case 1:
		if !p.ghost && w.chance(2) { // a second process takes it for dead
			w.note("p%d of s%d.%d has a clone", p.id, p.session, p.incarnation)
			w.spawn(p)
		}
	case 2:
		p.paused = w.now + w.between(100*time.Millisecond, 4*time.Second)
	case 3:
		if w.chance(5) {
			p.close()
		}
	case 4, 5, 6, 7, 8, 9, 10, 11:
		if a := p.some(func(a *acquire) bool { return p.believes(a) }); a != nil {
			p.release(a)
		}
	case 12, 13:
		if a := p.some(func(a *acquire) bool { return a.grant == 0 && !a.over && !a.dropped && a.caller == nil }); a != nil {
			p.abandon(a)
		}
	case 14:
		if a := p.some(func(a *acquire) bool { return p.believes(a) && a.until != 0 }); a != nil {
			p.say(fsm.Command{Op: fsm.OpExtend, Grant: a.grant, MaxHold: fsm.Duration(w.between(300*time.Millisecond, 3*time.Second))})
		}
	case 15:
		p.help()
	default:
		if len(p.acquires) < 6 {
			p.acquire(p.wish())
		}
	}
}

// some chooses among the acquires of a sort.
func (p *process) some(is func(*acquire) bool) *acquire {
	var all []*acquire
	for _, a := range p.acquires {
		if is(a) {
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[p.w.rng.IntN(len(all))]
}

func (p *process) acquire(c fsm.Command) *acquire {
	var open []*acquire
	for _, a := range p.acquires {
		if !a.over || a.dropped {
			open = append(open, a)
		}
	}
	a := &acquire{}
	a.said = p.say(c).command
	p.acquires = append(open, a)
	return a
}

// wish is an acquire of some names that many want.
func (p *process) wish() fsm.Command {
	w := p.w
	c := fsm.Command{
		Op: fsm.OpAcquire, Owner: oneOf(w, "", "", "o"),
		Wait: fsm.Duration(oneOf(w, fsm.Forever, fsm.Forever, 2*fsm.Second, 500*fsm.Millisecond, 0)),
	}
	if w.chance(4) {
		c.MaxHold = fsm.Duration(w.between(500*time.Millisecond, 3*time.Second))
	}
	first, names := w.rng.IntN(4), oneOf(w, 1, 1, 1, 2, 2, 3)
	for i := range names {
		c.Wants = append(c.Wants, w.want([]string{"a", "b", "c", "pool"}[(first+i)%4]))
	}
	return c
}

const poolLimit = 4

func (w *world) want(name string) fsm.Want {
	if name == "pool" {
		return fsm.Want{
			Name: name, Kind: fsm.KindSemaphore, Mode: fsm.Counted, Permits: oneOf[fsm.Permits](w, 1, 1, 2, 4), Limit: poolLimit,
		}
	}
	return fsm.Want{Name: name, Kind: fsm.KindLock, Mode: oneOf(w, fsm.Exclusive, fsm.Exclusive, fsm.Shared)}
}

// release stops believing, and then says so until it is answered.
func (p *process) release(a *acquire) {
	a.over = true
	p.free(a, a.grant)
}

func (p *process) free(a *acquire, g fsm.GrantID) {
	c := fsm.Command{
		Op: fsm.OpRelease, Grant: g, Behalf: a.said.Behalf, For: a.said.For, Secret: a.said.Secret,
	}
	if c.Behalf != fsm.BehalfSelf {
		c.Wants = a.said.Wants[:1]
	}
	p.say(c)
}

// close says that all is over, and believes in nothing any more.
func (p *process) close() {
	for _, a := range p.acquires {
		a.over = true
	}
	p.closing = true
	p.say(fsm.Command{Op: fsm.OpClose})
}

// leave gives all back, and what waits when it comes; also what the session has
// without the process's knowing, since who acquired it could not say so.
func (p *process) leave() {
	for _, a := range p.acquires {
		if a.grant != 0 && !a.over && a.caller == nil && a.asker == nil {
			p.release(a)
		}
	}
	if reign := p.w.reign; reign != nil {
		if page, _, found := reign.node.state.View().Session(p.session, 0, 0, 1000); found && page.Incarnation == p.incarnation {
			for _, g := range page.Grants {
				if g.Seq == 0 && !p.met[g.Grant] {
					p.met[g.Grant] = true
					p.say(fsm.Command{Op: fsm.OpRelease, Grant: g.Grant})
				}
			}
		}
	}
}

func (p *process) abandon(a *acquire) {
	a.dropped = true
	p.say(fsm.Command{Op: fsm.OpAbandon, Target: a.said.Seq})
}
