package sim

import "github.com/lockd-io/lockd/fsm"

// begin takes in the answer to the first command of all, or to an attach.
func (p *process) begin(o *fsm.Outcome) {
	r := &o.Result
	if uint64(o.Key.Session) != p.nonce.Hi { // an attach, by the renewal's number
		if sent, asked := p.renewed[o.Key.Seq]; asked && p.living() && p.accepted(r) {
			p.credit(sent, r.At, p.ttl)
		}
		return
	}
	if len(p.sent) == 0 || p.living() || !p.accepted(r) {
		return
	}
	first := p.sent[0]
	if first.command.Op == fsm.OpResume {
		p.inherit(first, r)
		return
	}
	p.sent = nil
	p.session, p.incarnation = r.Session, 1
	p.credit(first.first, r.At, p.ttl)
}

// inherit reads at a node that is not behind what the session holds and waits for.
func (p *process) inherit(first *outgoing, r *fsm.Result) {
	for _, n := range p.w.nodes {
		if !n.up || n.state.Applied() < r.Index {
			continue
		}
		page, _, found := n.state.View().Session(p.session, 0, 0, 1000)
		if !found || page.Incarnation != r.Incarnation {
			p.end(fsm.StatusFenced) // it has ended, or somebody else has resumed it
			return
		}
		p.sent = nil
		p.incarnation, p.next, p.seen = r.Incarnation, fsm.Seq(r.Value), page.Seen
		p.credit(first.first, r.At, p.ttl)
		p.w.note("p%d resumes s%d.%d with %d grants and %d waits", p.id, p.session, p.incarnation, len(page.Grants), len(page.Waits))
		p.adopt(&page)
		return
	}
	// No node has come so far: the resume is sent again, and finds what it began.
}

// adopt takes over what a page lists. Not what others acquired for the session: they
// may withdraw it as long as nobody was told.
func (p *process) adopt(page *fsm.SessionView) {
	for _, g := range page.Grants {
		if g.Seq == 0 {
			continue
		}
		p.met[g.Grant] = true
		a := &acquire{grant: g.Grant, until: g.Until, said: fsm.Command{Seq: g.Seq, Owner: g.Owner}}
		for _, h := range g.Names {
			a.said.Wants = append(a.said.Wants, h.Want)
		}
		p.acquires = append(p.acquires, a)
	}
	for _, wait := range page.Waits {
		p.acquires = append(p.acquires, &acquire{said: fsm.Command{Seq: wait.Seq, Owner: wait.Owner, Wants: wait.Wants}})
	}
}

// answered takes in the answer to a numbered command.
func (p *process) answered(o *fsm.Outcome) {
	said := p.done(o.Key.Seq)
	if said == nil {
		return
	}
	r := &o.Result
	if !p.accepted(r) {
		return
	}
	c := &said.command
	if r.Status != fsm.StatusOldSeq {
		p.credit(said.first, r.At, p.ttl)
	}
	switch c.Op {
	case fsm.OpAcquire:
		if r.Status != fsm.StatusQueued {
			p.resolve(c.Seq, r)
		}
	case fsm.OpExtend:
		for _, a := range p.acquires {
			if a.grant == c.Grant && r.Status == fsm.StatusOK {
				a.until = max(a.until, r.Until)
			}
		}
	case fsm.OpAbandon:
		for _, a := range p.acquires {
			if a.said.Seq == c.Target {
				a.over, a.dropped = true, false
			}
		}
	case fsm.OpClose:
		p.end(r.Status)
	}
}

// resolve learns how an acquire ended, once, unless it is given up: then only the
// answer to the abandon counts. (What was acquired for another is released as well:
// an abandon finds it by the answer and the event alone, and a renewal that
// acknowledges them may overtake it.)
func (p *process) resolve(seq fsm.Seq, r *fsm.Result) {
	a := p.some(func(a *acquire) bool { return a.said.Seq == seq })
	if a == nil {
		return
	}
	if a.dropped && a.said.Behalf != fsm.BehalfSelf && r.Status == fsm.StatusOK && a.freed != r.Grant {
		a.freed = r.Grant
		p.free(a, r.Grant)
	}
	if a.over || a.dropped || a.grant != 0 {
		return
	}
	switch r.Status {
	case fsm.StatusOK:
		a.grant, a.until, a.over = r.Grant, r.Until, p.losses[r.Grant]
		p.met[r.Grant] = true
		p.pass(a, r)
	case fsm.StatusBusy, fsm.StatusTimeout, fsm.StatusModeConflict, fsm.StatusNobody:
		a.over = true
	default:
		p.w.fail("p%d#%d: %v", p.id, seq, r.Status)
	}
}
