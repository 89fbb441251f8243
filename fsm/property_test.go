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
// wrong marks and incarnations, use a number twice, go beyond the window, guess
// secrets; the stamps go back and forth and come from wrong terms.
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

type frozen struct {
	view  *View
	locks string
	bytes []byte
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, s: New(), replica: New(), oracle: newOracle(), term: 1, tokens: map[Token]string{}}
	for i := range 1 + pick(t, "senders", 5) {
		w.senders = append(w.senders, &sender{nonce: Nonce{Lo: uint64(i + 1)}, incarnation: 1, next: 1, mark: 1})
	}
	return w
}

// step applies one entry and looks at everything.
func (w *world) step() {
	e := w.draw()
	w.index += Index(1 + pick(w.t, "index", 3))
	told := w.oracle.entry(w.term, e)
	out := slices.Clone(w.s.Apply(w.index, w.term, e))
	w.compare(e, out, told)
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
		w.frozen = append(w.frozen, frozen{v, locksOf(v), viewBytes(w.t, v)})
	}
	w.thaw(8)
}

// compare holds the outcomes against what the oracle foretold.
func (w *world) compare(e *Entry, out, told []Outcome) {
	same := len(out) == len(told)
	for i := range out {
		same = same && foretold(out[i]) == told[i]
		w.compareTime(i, &out[i])
	}
	if same {
		return
	}
	var got, want strings.Builder
	for i := range out {
		fmt.Fprintf(&got, "%+v\n", foretold(out[i]))
	}
	for i := range told {
		fmt.Fprintf(&want, "%+v\n", told[i])
	}
	w.t.Fatalf("entry %+v\nthe machine tells\n%sthe oracle\n%s%s", e, &got, &want, w.text())
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
		if e := cl.untold()[i]; foretold(all[i]) != e {
			w.t.Fatalf("undelivered %+v, not %+v", all[i], e)
		}
	}
	if len(all) != len(cl.events) || w.s.TTL(s.session) != cl.ttl {
		w.t.Fatalf("session %d has %d events, not %d", s.session, len(all), len(cl.events))
	}
	if got, want := sessionOf(w.s.View(), cl.id, 1+pick(w.t, "limit", 3)), w.oracle.session(cl); got != want {
		w.t.Fatalf("session %d is\n%sfor the oracle\n%s", cl.id, got, want)
	}
	for range 3 {
		w.lookup(cl, 1+Seq(pick(w.t, "lookup", int(s.next)+1)))
	}
}

func (w *world) lookup(cl *client, seq Seq) {
	k := Key{Class: ClassSeq, Session: cl.id, Incarnation: cl.incarnation, Seq: seq}
	want, status := NotFound, Status(0)
	late := cl.late(seq)
	d, done := cl.done[seq]
	switch {
	case rare(w.t, "life", 5):
		if k.Incarnation--; k.Incarnation > 0 {
			want, status = Answered, StatusFenced
		} else {
			k.Incarnation = cl.incarnation + 1
		}
	case done && seq >= cl.mark:
		want, status = Answered, d.result.Status
	case w.oracle.wish(cl.id, seq) != nil:
		want, status = Parked, StatusQueued
	case late != nil:
		want, status = Answered, late.Result.Status
	}
	if o, found := w.s.Lookup(k); found != want || o.Result.Status != status {
		w.t.Fatalf("lookup of %+v: %v %v, not %v %v", k, found, o.Result.Status, want, status)
	}
}

// thaw compares the views with what they were, but for the last few.
func (w *world) thaw(keep int) {
	for len(w.frozen) > keep {
		f := w.frozen[0]
		if !bytes.Equal(viewBytes(w.t, f.view), f.bytes) || locksOf(f.view) != f.locks {
			w.t.Fatalf("the view of entry %d has changed: it was\n%sand is\n%s", f.view.Applied(), f.locks, locksOf(f.view))
		}
		w.frozen = w.frozen[1:]
	}
}

func (w *world) text() string {
	var b strings.Builder
	printState(&b, w.s)
	return b.String()
}

// TestMain sets what rapid does unless told otherwise: some more histories than
// its default, less time to make one that fails small, and no file in the tree for
// it, since the seed that is printed does as well.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"rapid.checks": "300", "rapid.shrinktime": "10s", "rapid.nofailfile": "true",
	} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}
