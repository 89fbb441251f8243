package sim

import (
	"fmt"
	"slices"

	"github.com/lockd-io/lockd/fsm"
)

// The ledger sees every entry once, with what the first replica made of it, and
// holds it against what is promised of the machine, in the plainest words.
type ledger struct {
	w        *world
	lives    map[fsm.SessionID]fsm.Incarnation
	ended    map[fsm.SessionID]bool
	ttl      map[fsm.SessionID]fsm.Duration
	renewed  map[fsm.SessionID]fsm.Instant
	executed map[number]fsm.Result
	burnt    map[number]bool
	said     map[number]fsm.Command // acquires that were queued
	given    map[fsm.GrantID]number
	gave     map[number]fsm.GrantID
	keys     map[fsm.GrantID]fsm.Nonce
	tokens   map[fsm.Token]string
	newest   fsm.Token
	until    map[fsm.GrantID]fsm.Instant // the furthest deadline that was told
	secrets  map[fsm.SessionID]fsm.Secret
	resumes  map[fsm.Nonce]fsm.Incarnation // by which an incarnation began
	told     map[fsm.SessionID]fsm.EventID
}

// number is that of a command, which no incarnation of its session uses twice.
type number struct {
	session fsm.SessionID
	seq     fsm.Seq
}

func newLedger(w *world) *ledger {
	return &ledger{
		w: w, lives: map[fsm.SessionID]fsm.Incarnation{}, ended: map[fsm.SessionID]bool{},
		ttl: map[fsm.SessionID]fsm.Duration{}, renewed: map[fsm.SessionID]fsm.Instant{},
		executed: map[number]fsm.Result{}, burnt: map[number]bool{}, said: map[number]fsm.Command{},
		given: map[fsm.GrantID]number{}, gave: map[number]fsm.GrantID{}, keys: map[fsm.GrantID]fsm.Nonce{},
		tokens: map[fsm.Token]string{}, told: map[fsm.SessionID]fsm.EventID{},
		until: map[fsm.GrantID]fsm.Instant{}, secrets: map[fsm.SessionID]fsm.Secret{},
		resumes: map[fsm.Nonce]fsm.Incarnation{},
	}
}

func (l *ledger) entry(s *fsm.State, r *record, e *fsm.Entry, out []fsm.Outcome) {
	if err := s.Check(); err != nil {
		l.w.fail("entry %d: %v", r.index, err)
	}
	if most := fsm.Instant(l.w.now + l.w.now/1000); s.Now() > most {
		l.w.fail("entry %d: machine time is %d, and it is %d", r.index, s.Now(), l.w.now)
	}
	for i := range e.Commands { // who speaks in an entry does not expire in it
		if c := &e.Commands[i]; c.Op == fsm.OpResume && l.resumes[c.Nonce] == 0 || c.Incarnation > 0 && c.Incarnation == l.lives[c.Session] {
			l.renewed[c.Session] = s.Now()
		}
	}
	answered := 0
	for i := range out {
		o := &out[i]
		l.w.note("   entry %d: %v %d.%d#%d at %d: %v g%d t%d %v", r.index, o.Kind, o.Key.Session, o.Key.Incarnation,
			o.Key.Seq, o.Pos, o.Result.Status, o.Result.Grant, o.Result.Token&(1<<48-1), o.Event)
		switch o.Kind {
		case fsm.OutcomeAnswer:
			answered++
			l.answer(s, &e.Commands[o.Pos], o)
		case fsm.OutcomeGranted:
			if o.Event == l.told[o.Key.Session]+1 {
				l.settled(number{o.Key.Session, o.Key.Seq}, &o.Result)
			}
			l.told[o.Key.Session] = max(l.told[o.Key.Session], o.Event)
		case fsm.OutcomeLoss:
			l.told[o.Key.Session] = max(l.told[o.Key.Session], o.Event)
		case fsm.OutcomeEnded:
			l.end(s, o)
		}
	}
	if answered != len(e.Commands) {
		l.w.fail("entry %d has %d commands and %d answers", r.index, len(e.Commands), answered)
	}
}

func (l *ledger) answer(s *fsm.State, c *fsm.Command, o *fsm.Outcome) {
	r := &o.Result
	if o.Key != c.Key() {
		l.w.fail("the answer to %+v is %+v", c, o)
	}
	switch {
	case c.Op == fsm.OpOpen && r.Status == fsm.StatusOK:
		if l.lives[r.Session] == 0 {
			l.lives[r.Session], l.ttl[r.Session], l.secrets[r.Session] = 1, c.TTL, c.Secret
		}
		l.renewed[r.Session] = s.Now()
	case c.Op == fsm.OpResume && r.Status == fsm.StatusOK:
		began, copied := l.resumes[c.Nonce]
		if !copied {
			began = l.lives[r.Session] + 1
		}
		if r.Incarnation != began || began < l.lives[r.Session] {
			l.w.fail("session %d, which has come to incarnation %d, comes to %d by %v", r.Session, l.lives[r.Session],
				r.Incarnation, c.Nonce)
		}
		l.lives[r.Session], l.resumes[c.Nonce] = r.Incarnation, r.Incarnation
	case c.Incarnation == 0: // of no session
	case r.Status == fsm.StatusSessionGone:
		if !l.ended[c.Session] {
			l.w.fail("session %d is gone before it ended", c.Session)
		}
	case (c.Incarnation != l.lives[c.Session]) != (r.Status == fsm.StatusFenced):
		l.w.fail("incarnation %d of session %d, which has come to %d, is told %v", c.Incarnation, c.Session,
			l.lives[c.Session], r.Status)
	case r.Status != fsm.StatusFenced:
		if o.Key.Class == fsm.ClassSeq {
			l.numbered(c, r)
		}
	}
}

// numbered: a command takes effect once or never.
func (l *ledger) numbered(c *fsm.Command, r *fsm.Result) {
	n := number{c.Session, c.Seq}
	before, known := l.executed[n]
	switch {
	case r.Status == fsm.StatusOldSeq:
	case l.burnt[n]:
		if r.Status != fsm.StatusAbandoned {
			l.w.fail("%v was abandoned, and is told %v", n, r.Status)
		}
	case known:
		if *r != before {
			l.w.fail("%v was answered %+v before, and now %+v", n, before, *r)
		}
	case r.Status == fsm.StatusQueued:
		said := *c
		said.Wants = slices.Clone(c.Wants)
		l.said[n] = said
	default:
		l.executed[n] = *r
		if c.Op == fsm.OpAbandon && r.Status == fsm.StatusOK {
			l.burnt[number{c.Session, c.Target}] = true
		}
		if c.Op == fsm.OpAcquire && r.Status == fsm.StatusOK {
			l.granted(n, c, r)
		}
		if c.Op == fsm.OpExtend && r.Status == fsm.StatusOK {
			l.promise(r)
		}
	}
}

// promise: a grant's deadline never moves nearer.
func (l *ledger) promise(r *fsm.Result) {
	if r.Until < l.until[r.Grant] {
		l.w.fail("grant %d was to end at %d, and now at %d", r.Grant, l.until[r.Grant], r.Until)
	}
	l.until[r.Grant] = r.Until
}

// settled is how a wait ended, which is its acquire's answer from then on.
func (l *ledger) settled(n number, r *fsm.Result) {
	if r.Status == fsm.StatusAbandoned {
		return // told before, and abandoned since
	}
	c, queued := l.said[n]
	if _, known := l.executed[n]; known || !queued || l.burnt[n] {
		l.w.fail("%v ends with %v, and did not wait", n, r.Status)
	}
	l.executed[n] = *r
	if r.Status == fsm.StatusOK {
		l.granted(n, &c, r)
	}
}

// granted: an acquire has one grant, tokens rise and are one hold's for ever.
func (l *ledger) granted(n number, c *fsm.Command, r *fsm.Result) {
	if by, known := l.given[r.Grant]; known && (c.Nonce == (fsm.Nonce{}) || l.keys[r.Grant] != c.Nonce) {
		l.w.fail("grant %d was %v's, and is %v's", r.Grant, by, n)
	} else if known {
		return // found by its key
	}
	if g, known := l.gave[n]; known {
		l.w.fail("%v has the grants %d and %d", n, g, r.Grant)
	}
	l.given[r.Grant], l.gave[n], l.keys[r.Grant] = n, r.Grant, c.Nonce
	l.promise(r)
	holder := c.Session
	if c.Behalf != fsm.BehalfSelf {
		holder = c.For
	}
	if c.Behalf == fsm.BehalfAnother && c.Secret != l.secrets[holder] {
		l.w.fail("%v speaks for session %d with another's secret", n, holder)
	}
	tokens := append([]fsm.Token{r.Token}, r.Rest.All()...)
	if len(tokens) != len(c.Wants) {
		l.w.fail("%d tokens for %d names", len(tokens), len(c.Wants))
	}
	for i, t := range tokens {
		who := fmt.Sprintf("%s by s%d/%s", c.Wants[i].Name, holder, c.Owner)
		switch known := l.tokens[t]; {
		case known == "" && t > l.newest:
			l.newest, l.tokens[t] = t, who
		case known != who || c.Wants[i].Kind == fsm.KindSemaphore:
			l.w.fail("token %d of %s was of %q; the newest was %d", t, who, known, l.newest)
		}
	}
}

// end: no session ends before its TTL has passed since it was last renewed.
func (l *ledger) end(s *fsm.State, o *fsm.Outcome) {
	id := o.Key.Session
	l.ended[id] = true
	if due := l.renewed[id].Add(l.ttl[id]); o.Result.Status == fsm.StatusSessionGone && s.Now() < due {
		l.w.fail("session %d ended at %d, and should live until %d", id, s.Now(), due)
	}
}
