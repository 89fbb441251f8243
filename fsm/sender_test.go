package fsm

import (
	"slices"

	"pgregory.net/rapid"
)

// A sender speaks for a session as its client, its clone, or a stranger.
type sender struct {
	nonce       Nonce
	session     SessionID
	incarnation Incarnation
	next        Seq
	renewal     Seq
	resumes     uint64
	mark        Seq
	seen        EventID
	skipped     []Seq
	grants      []GrantID
	sent        []Command
}

func (s *sender) secret() Secret { return Secret{byte(s.nonce.Lo)} }

// listen lets the senders learn what they are told.
func (w *world) listen(out []Outcome) {
	for i := range out {
		o := &out[i]
		for _, s := range w.senders {
			switch {
			case o.Key.Class == ClassNonce && o.Key.Seq == Seq(s.nonce.Lo) && o.Key.Session == 0 && o.Result.Session != 0:
				if s.session != o.Result.Session {
					*s = sender{nonce: s.nonce, session: o.Result.Session, incarnation: 1, next: 1, mark: 1}
				}
			case o.Key.Class == ClassNonce && o.Result.Incarnation > s.incarnation && o.Result.Session == s.session:
				s.incarnation, s.renewal, s.skipped = o.Result.Incarnation, 0, nil
				s.next, s.mark = Seq(o.Result.Value), Seq(o.Result.Value)
			case o.Key.Class != ClassNonce && o.Key.Session == s.session:
				s.seen = max(s.seen, o.Event)
				if id := o.Result.Grant; id != 0 && !slices.Contains(s.grants, id) {
					s.grants = append(s.grants, id)
				}
			}
		}
	}
}

// draw makes an entry.
func (w *world) draw() *Entry {
	t := w.t
	w.clock += Instant(choose(t, "passes", 0, 0, 0, 1, 300*Millisecond, 300*Millisecond, Second, 2*Second, 5*Second))
	e := &Entry{Now: w.clock, Check: w.s.Chain()}
	if rare(t, "back", 10) {
		e.Now = max(0, e.Now-Instant(3*Second))
	}
	switch pick(t, "term", 15) {
	case 14:
		w.term++
		e.Term = w.term
	case 13: // stamped in another term, far ahead
		e.Term, e.Now = w.term-1, e.Now.Add(Hour)
	default:
		e.Term = w.term
	}
	for range pick(t, "commands", 7) {
		s := w.senders[pick(t, "sender", len(w.senders))]
		e.Commands = append(e.Commands, w.say(s))
	}
	return e
}

// say makes a command of a sender's.
func (w *world) say(s *sender) Command {
	t := w.t
	if s.session == 0 || w.oracle.sessions[s.session] == nil && !rare(t, "dead", 5) {
		return w.open(s)
	}
	if n := len(s.sent); n > 0 && rare(t, "repeat", 4) {
		c := s.sent[pick(t, "which", n)]
		switch pick(t, "spoilt", 60) {
		case 59:
			c = spoil(c)
		case 58:
			c.Incarnation++
		}
		return c
	}
	c := Command{Session: s.session, Incarnation: s.incarnation, Seen: s.saw(t)}
	w.fill(s, &c)
	if c.Op != OpRenew && c.Op != OpAttach && c.Op != OpResume {
		s.number(t, &c)
	}
	if c.Op == OpResume {
		c.Incarnation, c.Seen = 0, 0
	} else if rare(t, "fenced", 50) {
		c.Incarnation++
	}
	s.sent = append(s.sent, c)
	return c
}

// spoil makes another command of the same number.
func spoil(c Command) Command {
	switch c.Op {
	case OpAcquire:
		c.Owner += "x"
	case OpRelease, OpExtend:
		c.Grant++
	case OpClose:
		c.Op = OpRelease
	}
	return c
}

func (w *world) open(s *sender) Command {
	c := Command{Op: OpOpen, Nonce: s.nonce, Secret: s.secret()}
	c.TTL = choose(w.t, "ttl", 20*Second, 20*Second, 3*Second, Second)
	if rare(w.t, "guess", 10) {
		c.Secret[0]++
	}
	return c
}

func (s *sender) saw(t *rapid.T) EventID {
	if !rare(t, "late", 3) {
		return s.seen
	}
	return EventID(pick(t, "saw", int(s.seen)+2))
}

// number gives c a seq, the next or one that was left out, and a mark.
func (s *sender) number(t *rapid.T, c *Command) {
	c.Seq = s.next
	if n := len(s.skipped); n > 0 && rare(t, "overtaken", 2) {
		i := pick(t, "which", n)
		c.Seq = s.skipped[i]
		s.skipped = slices.Delete(s.skipped, i, i+1)
	} else {
		for s.next++; rare(t, "overtake", 5); s.next++ {
			s.skipped = append(s.skipped, s.next)
		}
	}
	if rare(t, "rise", 4) {
		s.mark = max(s.mark, 1+Seq(pick(t, "marked", int(c.Seq))))
	}
	c.Mark = min(s.mark, c.Seq)
	if rare(t, "wrong mark", 20) {
		c.Mark = Seq(pick(t, "marked", int(c.Seq)+2))
	}
	if rare(t, "beyond", 200) {
		c.Seq += WindowSize
	}
	if c.Op == OpAbandon { // one that was lately, or is yet to come
		c.Target = c.Seq - min(c.Seq-1, 1+Seq(pick(t, "target", 6)))
	}
}

// fill says what c asks for.
func (w *world) fill(s *sender, c *Command) {
	t := w.t
	switch kind := pick(t, "op", 64); {
	case kind == 63:
		c.Op = OpClose
	case kind >= 61:
		c.Op, c.Secret = OpResume, s.secret()
		if !rare(t, "same life", 3) {
			s.resumes++
		}
		if c.Nonce = (Nonce{Hi: 8, Lo: s.resumes}); rare(t, "guess", 4) {
			c.Secret[0]++
		}
	case kind >= 56:
		s.renewal++
		c.Op, c.Seq = OpRenew, s.renewal
	case kind >= 52:
		c.Op, c.Nonce, c.Secret = OpAttach, Nonce{Hi: 9, Lo: uint64(len(s.sent))}, s.secret()
		if rare(t, "guess", 4) {
			c.Secret[0]++
		}
	case kind >= 46:
		c.Op = OpAbandon
	case kind >= 34:
		c.Op = OpRelease
		w.choose(s, c)
	case kind >= 30:
		c.Op, c.MaxHold = OpExtend, choose(t, "extend", Second, 4*Second, 1)
		w.choose(s, c)
	default:
		c.Op = OpAcquire
		w.wish(c)
	}
}

// wish says what an acquire wants: mostly few names that many want.
func (w *world) wish(c *Command) {
	t := w.t
	for range choose(t, "names", 1, 1, 1, 1, 2, 2, 3, 4) {
		want := choose(t, "name",
			Want{"a", KindLock, Exclusive, 0, 0}, Want{"a", KindLock, Shared, 0, 0},
			Want{"b", KindLock, Shared, 0, 0}, Want{"ab", KindLock, Exclusive, 0, 0},
			Want{"p", KindSemaphore, Counted, 1, 3}, Want{"p", KindSemaphore, Counted, 2, 3},
			Want{"b", KindLock, Exclusive, 0, 0}, Want{"q", KindSemaphore, Counted, 1, 1},
			Want{"p", KindSemaphore, Counted, 3, 3}, Want{"ab", KindLock, Shared, 0, 0})
		if rare(t, "conflict", 30) {
			want = Want{want.Name, KindSemaphore, Counted, 2, choose[Permits](t, "declared", 2, 3, 1)}
		}
		twice := slices.ContainsFunc(c.Wants, func(other Want) bool { return other.Name == want.Name })
		if !twice || rare(t, "twice", 30) {
			c.Wants = append(c.Wants, want)
		}
	}
	c.Owner = choose(t, "owner", "", "", "o")
	c.Wait = choose(t, "wait", Forever, Forever, Forever, 4*Second, 4*Second, Second, 1, 0)
	c.MaxHold = choose(t, "max", 0, 0, 0, 4*Second, Second, 1)
	if w.behalf(c) {
		c.Nonce = choose(t, "key", Nonce{}, Nonce{Lo: 1}, Nonce{Lo: 1}, Nonce{Lo: 2})
	}
}

// behalf makes c somebody else's, sometimes.
func (w *world) behalf(c *Command) bool {
	t := w.t
	switch pick(t, "behalf", 12) {
	case 10:
		if c.Behalf = BehalfNobody; c.Op == OpAcquire && !rare(t, "no end", 10) {
			c.MaxHold = choose(t, "max", 4*Second, Second, 1)
		}
	case 11:
		s := w.senders[pick(t, "for", len(w.senders))]
		if s.session == 0 {
			return false
		}
		c.Behalf, c.For, c.Secret = BehalfAnother, s.session, s.secret()
		if rare(t, "guess", 10) {
			c.Secret[0]++
		}
	}
	return c.Behalf != BehalfSelf
}

// choose picks the grant that c is about: one that s was told of, mostly a late
// one, or any that there is, rightly said on its session's behalf or not.
func (w *world) choose(s *sender, c *Command) {
	t := w.t
	if n := len(w.oracle.grants); n > 0 && rare(t, "another's", 3) {
		g := w.oracle.grants[pick(t, "which", n)]
		c.Grant = g.id
		if w.behalf(c) {
			c.Wants = []Want{{Name: g.parts[pick(t, "name", len(g.parts))].Name}}
			if rare(t, "other name", 10) {
				c.Wants[0].Name = "b"
			}
		}
		if g.session == 0 && !rare(t, "alone", 5) {
			c.Behalf, c.For, c.Secret, c.Wants = BehalfNobody, 0, Secret{}, []Want{{Name: g.parts[0].Name}}
		}
		return
	}
	c.Grant = GrantID(pick(t, "anybody's", 30))
	if n := len(s.grants); n > 0 && !rare(t, "foreign", 10) {
		c.Grant = s.grants[n-1-pick(t, "grant", min(4, n))]
	}
}

// pick chooses a number below n, all alike: rapid itself prefers the ends, which
// would end every session before it has lived. It shrinks to 0.
func pick(t *rapid.T, label string, n int) int {
	return rapid.Custom(func(t *rapid.T) int {
		v := 0
		for range 12 {
			v *= 2
			if rapid.Bool().Draw(t, "bit") {
				v++
			}
		}
		return v * n >> 12
	}).Draw(t, label)
}

// rare is true once in n times, and shrinks to false.
func rare(t *rapid.T, label string, n int) bool { return pick(t, label, n) == n-1 }

// choose picks one of all, and shrinks to the first.
func choose[T any](t *rapid.T, label string, all ...T) T { return all[pick(t, label, len(all))] }
