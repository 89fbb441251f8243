package fsm

import "slices"

// of is the grant's part that has the name; nil if none has.
func (g *given) of(name string) *part {
	for i := range g.parts {
		if g.parts[i].Name == name {
			return &g.parts[i]
		}
	}
	return nil
}

// holders are the grants of a name.
func (o *oracle) holders(name string) []*given {
	var all []*given
	for _, g := range o.grants {
		if g.of(name) != nil {
			all = append(all, g)
		}
	}
	return all
}

// hold is what an owner has of a lock. Of a semaphore nobody has anything that he
// could enter again.
func (o *oracle) hold(name string, id SessionID, owner string) []*given {
	return slices.DeleteFunc(o.holders(name), func(g *given) bool {
		return g.session != id || g.owner != owner || g.of(name).Kind == KindSemaphore
	})
}

// queue are those who wait for a name.
func (o *oracle) queue(name string) []*wish {
	var all []*wish
	for _, w := range o.waits {
		if w.want(name) != nil {
			all = append(all, w)
		}
	}
	return all
}

func (w *wish) want(name string) *Want {
	for i := range w.wants {
		if w.wants[i].Name == name {
			return &w.wants[i]
		}
	}
	return nil
}

// use is what a name is, by anybody who holds it or waits for it; nil if it is idle.
func (o *oracle) use(name string) *Want {
	for _, g := range o.holders(name) {
		return &g.of(name).Want
	}
	for _, w := range o.queue(name) {
		return w.want(name)
	}
	return nil
}

// compatible: readers with readers, a writer with nobody, permits up to the limit.
func (o *oracle) compatible(w *Want) bool {
	taken := w.Permits
	for _, g := range o.holders(w.Name) {
		p := g.of(w.Name)
		if w.Kind == KindLock && (w.Mode == Exclusive || p.Mode == Exclusive) {
			return false
		}
		taken += p.Permits
	}
	return taken <= w.Limit
}

// reenters: who holds a name in this mode is granted it again.
func (o *oracle) reenters(id SessionID, owner string, w *Want) bool {
	own := o.hold(w.Name, id, owner)
	return len(own) > 0 && own[0].of(w.Name).Mode == w.Mode && len(own) < ReentryMax
}

// admits: who does not enter again must get on with those who hold, and nobody may
// stand before him but who holds the name already and waits for another.
func (o *oracle) admits(id SessionID, owner string, w *Want, number WaiterID) bool {
	if len(o.hold(w.Name, id, owner)) > 0 {
		return o.reenters(id, owner, w)
	}
	for _, ahead := range o.queue(w.Name) {
		if ahead.number < number && !o.reenters(ahead.session, ahead.owner, ahead.want(w.Name)) {
			return false
		}
	}
	return o.compatible(w)
}

// grantable: all names admit it.
func (o *oracle) grantable(w *wish) bool {
	for i := range w.wants {
		if !o.admits(w.session, w.owner, &w.wants[i], w.number) {
			return false
		}
	}
	return true
}

func (o *oracle) acquire(cl *client, to SessionID, c *Command, content string) Result {
	if c.Behalf != BehalfSelf {
		if r, found := o.before(to, c.Nonce, c.Wants); found {
			return r
		}
	}
	blocked := 0
	for i := range c.Wants {
		w := &c.Wants[i]
		if r := o.conflict(to, c.Owner, w); r.Status != 0 {
			r.Place = uint32(i + 1)
			return r
		}
		if blocked == 0 && !o.admits(to, c.Owner, w, o.arrived+1) {
			blocked = i + 1
		}
	}
	if blocked > 0 && c.Wait == 0 {
		return Result{Status: StatusBusy, Place: uint32(blocked)}
	}
	w := &wish{
		speaker: cl.id, seq: c.Seq, content: content, session: to, owner: c.Owner, key: c.Nonce,
		wants: slices.Clone(c.Wants), maxHold: c.MaxHold,
	}
	if blocked == 0 {
		r := o.give(w)
		o.copies(w)
		return r
	}
	o.arrived++
	w.number = o.arrived
	if c.Wait > 0 {
		w.deadline = o.now + Instant(c.Wait)
	}
	o.waits = append(o.waits, w)
	return Result{Status: StatusQueued, Place: o.place(w)}
}

// conflict refuses what does not agree with what the name is, or how it is held.
func (o *oracle) conflict(to SessionID, owner string, w *Want) Result {
	is, own := o.use(w.Name), o.hold(w.Name, to, owner)
	switch {
	case is == nil:
		return Result{}
	case is.Kind != w.Kind:
		return Result{Status: StatusKindConflict}
	case is.Limit != w.Limit:
		return Result{Status: StatusLimitConflict, Value: uint64(is.Limit)}
	case len(own) > 0 && own[0].of(w.Name).Mode != w.Mode:
		return Result{Status: StatusModeConflict}
	}
	return Result{}
}

// before is what an acquire with this key was given, if that lives.
func (o *oracle) before(to SessionID, key Nonce, wants []Want) (Result, bool) {
	for _, g := range o.grants {
		if g.session != to || g.key != key || key == (Nonce{}) {
			continue
		}
		var parts []part
		for _, w := range wants {
			if p := g.of(w.Name); p != nil && p.Mode == w.Mode && p.Permits == w.Permits {
				parts = append(parts, *p)
			}
		}
		if len(parts) != len(wants) || len(parts) != len(g.parts) {
			return Result{Status: StatusInvalid}, true
		}
		return Result{
			Status: StatusOK, Grant: g.id, Session: to, Until: g.until, Count: 1,
			Token: parts[0].token, Rest: tokensOf(parts[1:]),
		}, true
	}
	return Result{}, false
}

// give makes the grant: with the token of the hold where there is one, else a new.
func (o *oracle) give(w *wish) Result {
	o.granted++
	g := &given{id: o.granted, session: w.session, owner: w.owner, key: w.key}
	r := Result{Status: StatusOK, Grant: g.id}
	if w.session == w.speaker {
		g.seq = w.seq
	} else {
		r.Session = w.session
	}
	if w.maxHold > 0 {
		g.until = o.now + Instant(w.maxHold)
	}
	for _, want := range w.wants {
		p := part{Want: want}
		own := o.hold(want.Name, w.session, w.owner)
		if len(own) > 0 {
			p.token = own[0].of(want.Name).token
		} else {
			o.token++
			p.token = o.token
			o.errands = append(o.errands, errand{name: want.Name, entered: true, session: w.session, owner: w.owner})
		}
		if g.parts = append(g.parts, p); len(g.parts) == 1 {
			r.Token, r.Count = p.token, uint32(len(own)+1)
		}
	}
	o.grants = append(o.grants, g)
	r.Until, r.Rest = g.until, tokensOf(g.parts[1:])
	return r
}

// copies ends the waits that have the key of what was given just now.
func (o *oracle) copies(w *wish) {
	for _, c := range slices.Clone(o.waits) {
		if w.key != (Nonce{}) && c.key == w.key && c.session == w.session {
			o.withdraw(c)
			o.lookAt(c.wants)
			r, _ := o.before(w.session, w.key, c.wants)
			o.settle(c, r)
		}
	}
}

// drop ends a grant of all its names.
func (o *oracle) drop(g *given) {
	o.grants = slices.DeleteFunc(o.grants, func(other *given) bool { return other == g })
	for _, p := range g.sorted() {
		if len(o.hold(p.Name, g.session, g.owner)) > 0 {
			o.errands = append(o.errands, errand{name: p.Name, entered: true, session: g.session, owner: g.owner})
		} else {
			o.errands = append(o.errands, errand{name: p.Name})
		}
	}
}

func (o *oracle) withdraw(w *wish) {
	o.waits = slices.DeleteFunc(o.waits, func(other *wish) bool { return other == w })
}

func (o *oracle) wish(id SessionID, seq Seq) *wish {
	for _, w := range o.waits {
		if w.speaker == id && w.seq == seq {
			return w
		}
	}
	return nil
}

// place is the place in the longest queue.
func (o *oracle) place(w *wish) uint32 {
	longest := 0
	for _, want := range w.wants {
		longest = max(longest, 1+slices.Index(o.queue(want.Name), w))
	}
	return uint32(longest)
}

// An errand is somewhere to look for who can be granted: at a name, or with those
// of an owner's who wait for what it has come to hold. They are run in the order in
// which they came up, since tokens are given in that order.
type errand struct {
	name    string
	entered bool
	session SessionID
	owner   string
}

func (o *oracle) lookAt(wants []Want) {
	for _, w := range wants {
		o.errands = append(o.errands, errand{name: w.Name})
	}
}

// handOver grants whom it can.
func (o *oracle) handOver() {
	for len(o.errands) > 0 {
		e := o.errands[0]
		o.errands = o.errands[1:]
		last := WaiterID(0)
		for w := o.next(e, last); w != nil; w = o.next(e, last) {
			if e.entered {
				last = w.number
			}
			o.withdraw(w)
			for _, want := range w.wants {
				if e.entered || want.Name != e.name {
					o.errands = append(o.errands, errand{name: want.Name})
				}
			}
			o.settle(w, o.give(w))
			o.copies(w)
		}
	}
}

// next is whom an errand finds: at a name the first who can be granted with nobody
// before him but who is passed over; else the owner's next who can.
func (o *oracle) next(e errand, after WaiterID) *wish {
	for _, w := range o.queue(e.name) {
		mine := w.session == e.session && w.owner == e.owner
		switch {
		case w.number > after && (!e.entered || mine) && o.grantable(w):
			return w
		case !e.entered && !o.reenters(w.session, w.owner, w.want(e.name)):
			return nil
		}
	}
	return nil
}
