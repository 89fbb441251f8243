package sim

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A caller has no session, as over HTTP: processes acquire for it, in nobody's name,
// under a key by which it may ask another process when it hears nothing.
type caller struct {
	w     *world
	id    int
	clock clock
	owner string
	key   fsm.Nonce // zero while it wants nothing
	want  fsm.Want
	hold  fsm.Duration
	grant fsm.GrantID
	until time.Duration // by its clock
}

func (w *world) addCaller() {
	c := &caller{w: w, id: len(w.callers), clock: w.clock(), owner: oneOf(w, "", "o")}
	w.callers = append(w.callers, c)
	c.live()
}

func (c *caller) live() {
	c.w.after(c.w.between(100*time.Millisecond, 1500*time.Millisecond), func() {
		switch {
		case c.grant != 0 && (c.w.calm || c.w.chance(2) || !c.believes()):
			c.release()
		case c.grant == 0 && c.key != (fsm.Nonce{}):
			c.ask() // again
		case c.grant == 0 && !c.w.calm:
			c.key, c.want = c.w.nonce(), c.w.want(oneOf(c.w, "a", "pool"))
			c.hold = fsm.Duration(c.w.between(1500*time.Millisecond, 4*time.Second))
			c.ask()
		}
		c.live()
	})
}

func (c *caller) believes() bool { return c.grant != 0 && c.clock.read(c.w.now) < c.until }

// ask has some process acquire.
func (c *caller) ask() {
	p := c.w.server()
	if p == nil || c.w.calm {
		c.key = fsm.Nonce{}
		return
	}
	key, sent := c.key, c.clock.read(c.w.now)
	a := p.acquire(fsm.Command{
		Op: fsm.OpAcquire, Behalf: fsm.BehalfNobody, Nonce: key, Owner: c.owner, Wants: []fsm.Want{c.want},
		Wait: fsm.Duration(oneOf(c.w, 0, fsm.Second, 3*fsm.Second)), MaxHold: c.hold,
	})
	a.caller = &caller{w: c.w, id: c.id, key: key, until: sent}
}

// server is a process that serves callers.
func (w *world) server() *process {
	p := w.processes[w.rng.IntN(len(w.processes))]
	if !p.living() || p.closing || p.ghost || p.paused > w.now {
		return nil
	}
	return p
}

// granted is the answer to what was asked under the key, first sent then. (A span of
// machine time counts a little less, as in a process's belief.)
func (c *caller) granted(key fsm.Nonce, sent time.Duration, r *fsm.Result) {
	if c.key != key || c.grant != 0 {
		return
	}
	c.grant = r.Grant
	c.until = sent + slow(r.Until-r.At) - marginMin
	if c.believes() {
		c.w.compatible()
	}
}

// release has some process release, with the grant's number and name.
func (c *caller) release() {
	if p := c.w.server(); p != nil {
		p.say(fsm.Command{
			Op: fsm.OpRelease, Grant: c.grant, Behalf: fsm.BehalfNobody, Wants: []fsm.Want{{Name: c.want.Name}},
		})
	}
	c.grant, c.key = 0, fsm.Nonce{}
}

// help acquires for another process, in the name of its session.
func (p *process) help() {
	other := p.w.server()
	if other == nil || other.session == p.session {
		return
	}
	c := p.wish()
	c.Behalf, c.For, c.Secret = fsm.BehalfAnother, other.session, other.secret
	if p.w.chance(2) {
		c.Nonce = p.w.nonce()
	}
	if p.w.chance(4) {
		c.Secret[2]++ // it only pretends
	}
	p.acquire(c).asker = other
}

// pass hands on what was acquired for another, which the message may not reach.
func (p *process) pass(a *acquire, r *fsm.Result) {
	switch {
	case a.caller != nil:
		from, to, result := a.caller, p.w.callers[a.caller.id], *r
		a.over = true
		p.w.send(func() { to.granted(from.key, from.until, &result) })
	case a.asker != nil:
		to, theirs := a.asker, &acquire{grant: r.Grant, until: r.Until, said: a.said}
		theirs.said.Seq, theirs.said.Behalf = 0, fsm.BehalfSelf
		a.over = true
		p.w.send(func() { to.receive(theirs) })
	}
}

// receive learns of a grant that another has acquired for this process.
func (p *process) receive(a *acquire) {
	if !p.living() || p.closing || p.met[a.grant] || p.losses[a.grant] {
		return
	}
	p.lapse()
	p.met[a.grant] = true
	p.acquires = append(p.acquires, a)
	p.lapse()
	p.w.believe(p)
}
