package sim

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A process lives one incarnation of a session and keeps the client's rules: it
// numbers its commands, sends each again, as it is, until it is answered, says what
// it has taken in, and stops believing before the machine can take a grant away.
type process struct {
	w           *world
	id          int
	alive       bool
	ghost       bool // another has resumed its session while it lived
	clock       clock
	paused      time.Duration // until then it hears nothing, by real time
	session     fsm.SessionID // 0 until it is opened
	incarnation fsm.Incarnation
	secret      fsm.Secret
	nonce       fsm.Nonce // of its open or resume
	ttl         fsm.Duration
	closing     bool

	next     fsm.Seq
	sent     []*outgoing // not answered
	acquires []*acquire

	seen    fsm.EventID
	ahead   map[fsm.EventID]bool
	losses  map[fsm.GrantID]bool // that were heard of
	met     map[fsm.GrantID]bool // that it knows, or has known
	renewal fsm.Seq
	renewed map[fsm.Seq]time.Duration // when it was first sent

	belief
}

// outgoing is a command that is sent until it is answered.
type outgoing struct {
	command fsm.Command
	first   time.Duration // sent, by the process's clock
}

// acquire is what a process knows of one, from the asking to the end.
type acquire struct {
	said    fsm.Command
	grant   fsm.GrantID
	until   fsm.Instant
	dropped bool // an abandon is on its way: from then on nothing else counts
	over    bool // it is not held, for sure, or not believed any more
	freed   fsm.GrantID
	caller  *caller
	asker   *process // for whom it is, if for another process
}

// spawn starts a process: with a session of its own, or for that of another, which
// may be dead or not.
func (w *world) spawn(before *process) *process {
	p := &process{
		w: w, id: len(w.processes), alive: true, clock: w.clock(), nonce: w.nonce(), next: 1,
		ttl:   fsm.Duration(oneOf(w, 1, 2, 3, 5)) * fsm.Second,
		ahead: map[fsm.EventID]bool{}, losses: map[fsm.GrantID]bool{}, met: map[fsm.GrantID]bool{},
		renewed: map[fsm.Seq]time.Duration{},
	}
	w.processes = append(w.processes, p)
	first := fsm.Command{Op: fsm.OpOpen, Nonce: p.nonce, TTL: p.ttl, Label: "p"}
	if before != nil {
		p.session, p.secret, p.ttl = before.session, before.secret, before.ttl
		before.ghost = true
		first = fsm.Command{Op: fsm.OpResume, Nonce: p.nonce, Session: p.session}
	} else {
		p.secret[0] = byte(p.id)
		p.secret[1] = 1
	}
	first.Secret = p.secret
	p.margin = max(time.Duration(p.ttl)/marginShare, marginMin)
	p.sent = append(p.sent, &outgoing{first, p.local()})
	p.transmit(p.sent[0])
	p.think()
	p.beat()
	return p
}

func (p *process) local() time.Duration { return p.clock.read(p.w.now) }

func (p *process) living() bool { return p.alive && p.incarnation > 0 }

// transmit sends a command by way of some node.
func (p *process) transmit(o *outgoing) {
	n, c := p.w.nodes[p.w.rng.IntN(len(p.w.nodes))], o.command
	p.w.send(func() { n.ask(c, p) })
	p.w.after(p.w.between(200*time.Millisecond, 800*time.Millisecond), func() { p.again(o) })
}

// again sends what is not answered yet.
func (p *process) again(o *outgoing) {
	if !p.alive {
		return
	}
	for _, waiting := range p.sent {
		if waiting == o {
			p.transmit(o)
			return
		}
	}
}

// say numbers a command and sends it. The mark is below all that is not answered.
func (p *process) say(c fsm.Command) *outgoing {
	c.Session, c.Incarnation, c.Seq, c.Seen, c.Mark = p.session, p.incarnation, p.next, p.seen, p.next
	for _, o := range p.sent {
		c.Mark = min(c.Mark, o.command.Seq)
	}
	p.next++
	o := &outgoing{c, p.local()}
	p.sent = append(p.sent, o)
	p.w.note("p%d s%d.%d#%d %s %v wait %d max %d g%d #%d", p.id, c.Session, c.Incarnation, c.Seq, c.Op, c.Wants,
		c.Wait, c.MaxHold, c.Grant, c.Target)
	p.transmit(o)
	return o
}

// done takes a command off those that wait for an answer; nil if it is not there.
func (p *process) done(seq fsm.Seq) *outgoing {
	for i, o := range p.sent {
		if o.command.Seq == seq {
			p.sent = append(p.sent[:i:i], p.sent[i+1:]...)
			return o
		}
	}
	return nil
}

// beat renews.
func (p *process) beat() {
	if !p.alive {
		return
	}
	if p.living() && p.paused <= p.w.now {
		p.lapse()
		p.renewal++
		p.renewed[p.renewal] = p.local()
		n := p.w.nodes[p.w.rng.IntN(len(p.w.nodes))]
		c := fsm.Command{
			Op: fsm.OpRenew, Session: p.session, Incarnation: p.incarnation, Seq: p.renewal, Seen: p.seen,
		}
		if p.w.chance(8) {
			c.Op, c.Nonce, c.Secret = fsm.OpAttach, fsm.Nonce{Hi: uint64(p.id), Lo: uint64(p.renewal)}, p.secret
		}
		p.w.send(func() { n.ask(c, p) })
	}
	third := time.Duration(p.ttl) / 3
	p.w.after(p.w.between(third*9/10, third*11/10), p.beat)
}

// hear takes an outcome in, once the process is awake.
func (p *process) hear(o fsm.Outcome) {
	if !p.alive {
		return
	}
	if p.paused > p.w.now {
		p.w.after(p.paused-p.w.now, func() { p.hear(o) })
		return
	}
	p.lapse()
	switch {
	case o.Kind == fsm.OutcomeEnded:
		if p.living() && o.Key.Incarnation == p.incarnation {
			p.end(o.Result.Status)
		}
	case o.Event != 0:
		p.event(&o)
	case o.Key.Class == fsm.ClassNonce:
		p.begin(&o)
	case o.Key.Incarnation != p.incarnation: // said by the process before
	case o.Key.Class == fsm.ClassRenewal:
		if sent, asked := p.renewed[o.Key.Seq]; asked && p.accepted(&o.Result) {
			p.credit(sent, o.Result.At, p.ttl)
		}
	default:
		p.answered(&o)
	}
	p.w.believe(p)
}

// event counts once, in whatever order events come; what has no gap before it is
// acknowledged.
func (p *process) event(o *fsm.Outcome) {
	if !p.living() || o.Key.Incarnation != p.incarnation || o.Event <= p.seen || p.ahead[o.Event] {
		return
	}
	for p.ahead[o.Event] = true; p.ahead[p.seen+1]; {
		p.seen++
		delete(p.ahead, p.seen)
	}
	if o.Kind == fsm.OutcomeLoss {
		p.lose(o.Result.Grant)
		return
	}
	p.done(o.Key.Seq)
	p.resolve(o.Key.Seq, &o.Result)
}

func (p *process) lose(g fsm.GrantID) {
	p.losses[g] = true
	for _, a := range p.acquires {
		if a.grant == g {
			a.over = true
		}
	}
}

// accepted tells whether an answer is by the session. Otherwise the process is at
// its end, and the ledger must know why.
func (p *process) accepted(r *fsm.Result) bool {
	switch r.Status {
	case fsm.StatusFenced:
		if p.w.ledger.lives[p.session] <= p.incarnation {
			p.w.fail("p%d is fenced, and nobody has resumed session %d", p.id, p.session)
		}
	case fsm.StatusSessionGone:
		if !p.w.ledger.ended[p.session] {
			p.w.fail("p%d is told that session %d is gone, which lives", p.id, p.session)
		}
	case fsm.StatusSeqReused, fsm.StatusWindow, fsm.StatusBadSecret, fsm.StatusInvalid, fsm.StatusLevel, fsm.StatusLimit:
		p.w.fail("p%d keeps the rules, and is told %v", p.id, r.Status)
	default:
		return true
	}
	p.end(r.Status)
	return false
}

// end is that of the process, which another takes the place of.
func (p *process) end(why fsm.Status) {
	p.w.note("p%d of s%d.%d ends: %v", p.id, p.session, p.incarnation, why)
	p.alive = false
	if !p.w.calm && !p.closing {
		p.w.after(p.w.between(time.Millisecond, 500*time.Millisecond), func() {
			if !p.w.calm {
				p.w.spawn(nil)
			}
		})
	}
}
