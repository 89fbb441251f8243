package fsm

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestProperties applies random histories and wants, after every entry: the
// invariants hold; the oracle foretold every outcome, and agrees on who holds
// and who waits; tokens rise; a replica that is restored from its own snapshots
// now and then tells the same and writes the same snapshot; and what was frozen
// in a View stays as it was.
//
// The senders do all that senders can do wrong: they repeat, overtake, give
// wrong marks and incarnations, use a number twice, go beyond the window; the
// stamps go back and forth and come from wrong terms.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range 1 + pick(t, "entries", 60) {
			w.step()
		}
		w.thaw(0)
	})
}

// A world is a machine, its replica, what they should be, and who talks to them.
type world struct {
	t       *rapid.T
	s       *State
	replica *State
	oracle  *oracle
	scratch Entry // reused by the replica's decoder
	index   Index
	term    Term
	clock   Instant
	tokens  map[Token]string
	newest  Token
	senders []*sender
	frozen  []frozen
}

// A sender speaks for a session as its client, its clone, or a stranger.
type sender struct {
	nonce   Nonce
	session SessionID
	next    Seq
	renewal Seq
	mark    Seq
	seen    EventID
	skipped []Seq
	grants  []GrantID
	sent    []Command
}

type frozen struct {
	view  *View
	bytes []byte
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, s: New(), replica: New(), oracle: newOracle(), term: 1, tokens: map[Token]string{}}
	for i := range 1 + pick(t, "senders", 5) {
		w.senders = append(w.senders, &sender{nonce: Nonce{Lo: uint64(i + 1)}, next: 1, mark: 1})
	}
	return w
}

// step applies one entry and looks at everything.
func (w *world) step() {
	e := w.draw()
	w.index += Index(1 + pick(w.t, "index", 3))
	foretold := w.oracle.entry(w.term, e)
	out := slices.Clone(w.s.Apply(w.index, w.term, e))
	w.compare(e, out, foretold)
	w.listen(out)
	w.replicate(e, out)
	if err := w.s.Check(); err != nil {
		w.t.Fatalf("%v\n%s", err, w.text())
	}
	if got, want := locksOf(w.s.View()), w.oracle.locks(); got != want {
		w.t.Fatalf("the machine has\n%sthe oracle\n%s", got, want)
	}
	w.compareTokens()
	w.ask()
	if rare(w.t, "freeze", 10) {
		v := w.s.View()
		w.frozen = append(w.frozen, frozen{v, viewBytes(w.t, v)})
	}
	w.thaw(8)
}

// compare holds the outcomes against what the oracle foretold.
func (w *world) compare(e *Entry, out []Outcome, foretold []fact) {
	var got, want strings.Builder
	for i := range out {
		fmt.Fprintf(&got, "%+v\n", factOf(&out[i]))
		w.compareTime(i, &out[i])
	}
	for _, f := range foretold {
		fmt.Fprintf(&want, "%+v\n", f)
	}
	if got.String() != want.String() {
		w.t.Fatalf("entry %+v\nthe machine tells\n%sthe oracle\n%s%s", e, &got, &want, w.text())
	}
}

// compareTime: what is told for the first time is told of this entry.
func (w *world) compareTime(i int, o *Outcome) {
	r := &o.Result
	if r.Index > w.index || r.At > w.oracle.now || r.Index == w.index && r.At != w.oracle.now {
		w.t.Fatalf("outcome %+v of entry %d at %d", o, w.index, w.oracle.now)
	}
	if r.Index == w.index && r.Order > uint32(i)+1 {
		w.t.Fatalf("outcome %+v stands at %d", o, i+1)
	}
}

// compareTokens: a token is of one hold for ever, and a new hold's token is
// greater than all that were before (I3), whatever the oracle says.
func (w *world) compareTokens() {
	newest := w.newest
	page, _ := w.s.View().Locks("", "", 1<<30)
	for _, l := range page {
		for _, h := range l.Holders {
			who := fmt.Sprintf("%s by s%d/%s", l.Name, h.Session, h.Owner)
			switch known := w.tokens[h.Token]; {
			case known == "" && h.Token > w.newest:
				w.tokens[h.Token] = who
				newest = max(newest, h.Token)
			case known != who:
				w.t.Fatalf("token %d is of %q, was of %q; the newest was %d", h.Token, who, known, w.newest)
			}
		}
	}
	w.newest = newest
}

// listen lets the senders learn what they are told.
func (w *world) listen(out []Outcome) {
	for i := range out {
		o := &out[i]
		for _, s := range w.senders {
			switch {
			case o.Key.Class == ClassNonce && o.Key.Seq == Seq(s.nonce.Lo) && o.Key.Session == 0 && o.Result.Session != 0:
				if s.session != o.Result.Session {
					*s = sender{nonce: s.nonce, session: o.Result.Session, next: 1, mark: 1}
				}
			case o.Key.Class != ClassNonce && o.Key.Session == s.session:
				s.seen = max(s.seen, o.Event)
				if id := o.Result.Grant; id != 0 && !slices.Contains(s.grants, id) {
					s.grants = append(s.grants, id)
				}
			}
		}
	}
}

// replicate runs the entry, by way of its bytes, on a machine that is restored
// from a snapshot now and then.
func (w *world) replicate(e *Entry, out []Outcome) {
	if rare(w.t, "restore", 5) {
		w.replica = restored(w.t, w.replica)
	}
	if err := DecodeEntry(encodeEntry(e), &w.scratch); err != nil {
		w.t.Fatalf("decode %+v: %v", e, err)
	}
	if again := w.replica.Apply(w.index, w.term, &w.scratch); !slices.Equal(again, out) {
		w.t.Fatalf("entry %+v\none replica tells\n%+v\nthe other\n%+v", e, out, again)
	}
	if w.s.Chain() != w.replica.Chain() {
		w.t.Fatalf("chains differ: %v and %v", w.s.Chain(), w.replica.Chain())
	}
	if !bytes.Equal(snapshot(w.t, w.s), snapshot(w.t, w.replica)) {
		w.t.Fatalf("snapshots differ after %+v", e)
	}
	var a, b strings.Builder
	printState(&a, w.s)
	printState(&b, w.replica)
	if a.String() != b.String() {
		w.t.Fatalf("one replica is\n%sthe other\n%s", &a, &b)
	}
}

// ask compares what the state answers outside Apply.
func (w *world) ask() {
	s := w.senders[pick(w.t, "asked", len(w.senders))]
	all, ok := w.s.Undelivered(s.session)
	cl := w.oracle.sessions[s.session]
	if ok != (cl != nil) {
		w.t.Fatalf("session %d: undelivered %v", s.session, ok)
	}
	if w.s.Ended(s.session) != (s.session != 0 && cl == nil) && s.session != 0 {
		w.t.Fatalf("session %d: ended %v", s.session, w.s.Ended(s.session))
	}
	if cl == nil {
		return
	}
	for i := range all {
		if f := factOf(&all[i]); f != cl.events[i] {
			w.t.Fatalf("undelivered %+v, not %+v", f, cl.events[i])
		}
	}
	if len(all) != len(cl.events) || w.s.TTL(s.session) != cl.ttl {
		w.t.Fatalf("session %d has %d events, not %d", s.session, len(all), len(cl.events))
	}
	for range 3 {
		w.lookup(cl, 1+Seq(pick(w.t, "lookup", int(s.next)+1)))
	}
}

func (w *world) lookup(cl *client, seq Seq) {
	o, found := w.s.Lookup(Key{Class: ClassSeq, Session: cl.id, Incarnation: 1, Seq: seq})
	want, status := NotFound, Status(0)
	_, parked := w.oracle.wish(cl.id, seq)
	late := w.oracle.late(cl, seq)
	d, done := cl.done[seq]
	switch {
	case done && seq >= cl.mark:
		want, status = Answered, d.fact.status
	case parked != nil:
		want, status = Parked, StatusQueued
	case late != nil:
		want, status = Answered, late.status
	}
	if found != want || o.Result.Status != status {
		w.t.Fatalf("lookup of s%d#%d: %v %v, not %v %v", cl.id, seq, found, o.Result.Status, want, status)
	}
}

// thaw compares the views with what they were, but for the last few.
func (w *world) thaw(keep int) {
	for len(w.frozen) > keep {
		if f := w.frozen[0]; !bytes.Equal(viewBytes(w.t, f.view), f.bytes) {
			w.t.Fatalf("the view of entry %d has changed", f.view.Applied())
		}
		w.frozen = w.frozen[1:]
	}
}

func (w *world) text() string {
	var b strings.Builder
	printState(&b, w.s)
	return b.String()
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
	if s.session == 0 || w.s.session(s.session) == nil && !rare(t, "dead", 5) {
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
	c := Command{Session: s.session, Incarnation: 1, Seen: s.saw(t)}
	w.fill(s, &c)
	if c.Op != OpRenew && c.Op != OpAttach {
		s.number(t, &c)
	}
	if rare(t, "fenced", 50) {
		c.Incarnation = 2
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
	c := Command{Op: OpOpen, Nonce: s.nonce, Secret: Secret{byte(s.nonce.Lo)}}
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
	switch kind := pick(t, "op", 60); {
	case kind == 59:
		c.Op = OpClose
	case kind >= 54:
		s.renewal++
		c.Op, c.Seq = OpRenew, s.renewal
	case kind >= 50:
		c.Op, c.Nonce, c.Secret = OpAttach, Nonce{Hi: 9, Lo: uint64(len(s.sent))}, Secret{byte(s.nonce.Lo)}
		if rare(t, "guess", 4) {
			c.Secret[0]++
		}
	case kind >= 44:
		c.Op = OpAbandon
	case kind >= 32:
		c.Op, c.Grant = OpRelease, s.grant(t)
	case kind >= 28:
		c.Op, c.Grant = OpExtend, s.grant(t)
		c.MaxHold = choose(t, "extend", Second, 4*Second, 1)
	default:
		c.Op = OpAcquire
		c.Wants = []Want{{Name: choose(t, "name", "a", "a", "b", "ab"), Kind: KindLock, Mode: Exclusive}}
		c.Owner = choose(t, "owner", "", "", "o")
		c.Wait = choose(t, "wait", Forever, Forever, Forever, 4*Second, 4*Second, Second, 1, 0)
		c.MaxHold = choose(t, "max", 0, 0, 0, 4*Second, Second, 1)
	}
}

// grant picks one that s was told of, mostly a late one, or anybody's.
func (s *sender) grant(t *rapid.T) GrantID {
	if n := len(s.grants); n > 0 && !rare(t, "foreign", 10) {
		return s.grants[n-1-pick(t, "grant", min(4, n))]
	}
	return GrantID(pick(t, "anybody's", 30))
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

// TestMain sets what rapid does unless told otherwise: some more histories than
// its default, and no file in the tree for one that fails, since the seed that
// is printed does as well.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "300", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}
