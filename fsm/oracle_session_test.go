package fsm

import (
	"cmp"
	"slices"
)

func (o *oracle) open(c *Command) Result {
	for _, cl := range o.sessions {
		if cl.nonce != c.Nonce {
			continue
		}
		if cl.secret != c.Secret {
			return Result{Status: StatusBadSecret}
		}
		o.renew(cl)
		return Result{Status: StatusOK, Session: cl.id}
	}
	o.opened++
	o.sessions[o.opened] = &client{
		id: o.opened, incarnation: 1, nonce: c.Nonce, secret: c.Secret, ttl: c.TTL, mark: 1,
		deadline: o.now + Instant(c.TTL), done: map[Seq]deed{},
	}
	return Result{Status: StatusOK, Session: o.opened}
}

// resume begins an incarnation, for which all numbers so far are settled.
func (o *oracle) resume(cl *client, c *Command) Result {
	if !slices.Contains(cl.resumes, c.Nonce) {
		if cl.resumes = append(cl.resumes, c.Nonce); len(cl.resumes) > ResumesKept {
			cl.resumes = cl.resumes[1:]
		}
		cl.incarnation++
		cl.mark = cl.newest + 1
	}
	return Result{Status: StatusOK, Session: cl.id, Incarnation: cl.incarnation, Value: uint64(cl.newest) + 1}
}

func (cl *client) acknowledge(seen EventID) {
	cl.seen = max(cl.seen, min(seen, cl.last))
	cl.events = slices.DeleteFunc(cl.events, func(e Outcome) bool { return e.Event <= cl.seen })
}

// untold is what is not acknowledged, told to who lives the session now.
func (cl *client) untold() []Outcome {
	all := slices.Clone(cl.events)
	for i := range all {
		all[i].Key.Incarnation = cl.incarnation
	}
	return all
}

// late is the event of an acquire, until it is acknowledged.
func (cl *client) late(seq Seq) *Outcome {
	for i := range cl.events {
		if e := &cl.events[i]; e.Kind == OutcomeGranted && e.Key.Seq == seq {
			return e
		}
	}
	return nil
}

func (o *oracle) event(cl *client, kind OutcomeKind, seq Seq, r Result) {
	cl.last++
	key := Key{Class: ClassSeq, Incarnation: cl.incarnation, Session: cl.id, Seq: seq}
	e := Outcome{Kind: kind, Key: key, Pos: -1, Event: cl.last, Result: r}
	o.told = append(o.told, e)
	cl.events = append(cl.events, e)
}

// settle tells the end of a wait. Whatever comes under its seq later is a copy.
func (o *oracle) settle(w *wish, r Result) {
	cl := o.sessions[w.speaker]
	o.event(cl, OutcomeGranted, w.seq, r)
	cl.done[w.seq] = deed{w.content, r}
}

// abandon makes as if the acquire had not been, however far it has come.
func (o *oracle) abandon(cl *client, target Seq) Result {
	burnt := Result{Status: StatusAbandoned}
	if w := o.wish(cl.id, target); w != nil {
		o.withdraw(w)
		o.lookAt(w.wants)
	} else if g := o.acquired(cl, target); g != nil {
		o.drop(g)
	}
	if e := cl.late(target); e != nil {
		e.Result = burnt
	}
	cl.done[target] = deed{result: burnt}
	return Result{Status: StatusOK}
}

// acquired is what an acquire was given, if that lives. What is another's is only
// known while the answer is, or the event.
func (o *oracle) acquired(cl *client, seq Seq) *given {
	for _, g := range o.grants {
		if g.session == cl.id && g.seq == seq {
			return g
		}
	}
	known := Result{}
	if e := cl.late(seq); e != nil {
		known = e.Result
	}
	if d, done := cl.done[seq]; done && seq >= cl.mark {
		known = d.result
	}
	if known.Count == 0 {
		return nil // not an acquire's answer
	}
	if g := o.grant(known.Grant); g != nil && g.session != cl.id {
		return g
	}
	return nil
}

// end takes a session's waits, those of others on its behalf, and what it holds.
func (o *oracle) end(cl *client, why Status) {
	var gone, sponsored []*wish
	for _, w := range slices.Clone(o.waits) {
		switch cl.id {
		case w.speaker:
			gone = append(gone, w)
		case w.session:
			sponsored = append(sponsored, w)
		default:
			continue
		}
		o.withdraw(w)
	}
	delete(o.sessions, cl.id)
	key := Key{Class: ClassSeq, Session: cl.id, Incarnation: cl.incarnation}
	o.say(OutcomeEnded, key, -1, Result{Status: why, Session: cl.id})
	for _, w := range sponsored {
		o.settle(w, Result{Status: StatusNobody})
	}
	for _, g := range slices.Clone(o.grants) {
		if g.session == cl.id {
			o.drop(g)
		}
	}
	slices.SortFunc(gone, func(a, b *wish) int { return cmp.Compare(a.seq, b.seq) })
	for _, w := range append(gone, sponsored...) {
		o.lookAt(w.wants)
	}
}
