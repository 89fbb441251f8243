package fsm

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// TestViewBesideApply reads views on other goroutines while the machine goes on
// and changes, moves and forgets all that they show.
func TestViewBesideApply(t *testing.T) {
	s := New()
	var open, work Entry
	for i := range 64 {
		open.Commands = append(open.Commands, Command{Op: OpOpen, Nonce: Nonce{Lo: uint64(i)}, TTL: Hour})
	}
	s.Apply(1, 0, &open)
	var readers sync.WaitGroup
	for round := range 60 {
		work.Now += Instant(Second)
		work.Commands = work.Commands[:0]
		for i := range 64 {
			c := Command{Session: SessionID(i + 1), Incarnation: 1, Seq: Seq(round + 1), Mark: Seq(round + 1)}
			switch (round + i) % 4 {
			case 0:
				c.Op, c.Grant = OpRelease, s.lastGrant-GrantID(i)
			case 1:
				c.Op, c.Grant, c.MaxHold = OpExtend, s.lastGrant-GrantID(i), Hour
			default:
				c.Op, c.Wait, c.MaxHold = OpAcquire, 5*Second, Duration(i%7)*Second
				c.Wants = []Want{{Name: fmt.Sprint("n", i*round%50), Kind: KindLock, Mode: Exclusive}}
			}
			work.Commands = append(work.Commands, c)
		}
		s.Apply(Index(round+2), 0, &work)
		v, want := s.View(), snapshot(t, s)
		readers.Go(func() {
			for range 4 {
				var b bytes.Buffer
				if _, err := v.WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), want) {
					t.Errorf("round %d: the view has changed (%v)", round, err)
				}
				locksOf(v)
			}
		})
	}
	readers.Wait()
}

// TestViewSaysWhen: a view knows as of when it is, and who is there.
func TestViewSaysWhen(t *testing.T) {
	s := busy(t)
	v := s.View()
	s.Apply(100, 1, &Entry{Term: 1, Now: Instant(Hour), Commands: []Command{
		{Op: OpMember, Member: Member{ID: "n0", Address: "a"}},
	}})
	if v.Applied() != 6 || v.Now() != Instant(5*Second) || v.Level() != 1 {
		t.Errorf("entry %d, time %d, level %d", v.Applied(), v.Now(), v.Level())
	}
	if s.Applied() != 100 || s.Now() != Instant(Hour) || s.Level() != 1 {
		t.Errorf("entry %d, time %d, level %d", s.Applied(), s.Now(), s.Level())
	}
	want := []Member{{ID: "n1", Instance: nonce("n1"), Address: "127.0.0.1:1"}}
	if got := v.Members(); !reflect.DeepEqual(got, want) {
		t.Errorf("members %+v", got)
	}
	if m, ok := s.Member("n1"); !ok || m != want[0] {
		t.Errorf("member %+v", m)
	}
	if m, ok := s.Member("n2"); ok || m != (Member{}) {
		t.Errorf("member %+v", m)
	}
}

// TestViewProves: only a session's own secret, and none for what no session holds.
func TestViewProves(t *testing.T) {
	v := busy(t).View()
	for _, c := range []struct {
		id     SessionID
		secret string
		want   bool
	}{{1, "a", true}, {1, "b", false}, {2, "b", true}, {9, "a", false}, {ReservedSession, "", false}} {
		if got := v.Proves(c.id, secret(c.secret)); got != c.want {
			t.Errorf("session %d, secret %q: %v", c.id, c.secret, got)
		}
	}
}

// TestApplyKeepsNothing: the commands are the caller's again after Apply.
func TestApplyKeepsNothing(t *testing.T) {
	s, twin := New(), New()
	scratch := []Want{{}}
	say := func(at Index, c Command, name string) {
		if c.Op == OpAcquire {
			c.Wants = []Want{{Name: name, Kind: KindLock, Mode: Exclusive}}
		}
		twin.Apply(at, 1, &Entry{Commands: []Command{c}})
		if c.Op == OpAcquire {
			scratch[0] = c.Wants[0]
			c.Wants = scratch
		}
		e := Entry{Commands: []Command{c}}
		s.Apply(at, 1, &e)
		e.Commands[0], scratch[0] = Command{}, Want{Name: "overwritten"}
	}
	say(1, Command{Op: OpOpen, TTL: Hour}, "")
	say(2, Command{Op: OpAcquire, Session: 1, Incarnation: 1, Seq: 1}, "a")
	say(3, Command{Op: OpAcquire, Session: 1, Incarnation: 1, Seq: 2, Owner: "o", Wait: Forever}, "a")
	if !bytes.Equal(snapshot(t, s), snapshot(t, twin)) {
		t.Error("the state changed with what it was applied from")
	}
}

// TestApplyWantsOrder: an index that does not rise is a mistake of the caller.
func TestApplyWantsOrder(t *testing.T) {
	s := New()
	s.Apply(7, 1, &Entry{})
	for _, at := range []Index{7, 6, 0} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("entry %d was applied after 7", at)
				}
			}()
			s.Apply(at, 1, &Entry{})
		}()
	}
}

// TestChain: the chain is of all that was told, at every recent index, and a
// machine that was told otherwise has another.
func TestChain(t *testing.T) {
	s, other := New(), New()
	if s.Chain() != (Check{}) {
		t.Errorf("a new chain is %v", s.Chain())
	}
	if _, known := s.ChainAt(0); known {
		t.Error("there is a chain before the first entry")
	}
	seen := map[uint64]bool{}
	for i := Index(1); i <= 200; i++ {
		e := Entry{Commands: []Command{{Op: OpRead, Nonce: Nonce{Lo: uint64(i)}}}}
		s.Apply(i, 1, &e)
		if i == 150 {
			e.Commands[0].Nonce.Hi++
		}
		other.Apply(i, 1, &e)
		if same := s.Chain() == other.Chain(); same != (i < 150) || seen[s.Chain().Hash] {
			t.Fatalf("entry %d: %v and %v", i, s.Chain(), other.Chain())
		}
		seen[s.Chain().Hash] = true
	}
	for i := Index(1); i <= 201; i++ {
		h, known := s.ChainAt(i)
		if known != (i > 200-recentChecks && i <= 200) || known && !seen[h] {
			t.Errorf("entry %d: %x, known %v", i, h, known)
		}
	}
	after := restored(t, s)
	if h, known := after.ChainAt(180); !known || after.Chain() != s.Chain() {
		t.Errorf("restored: %x, %v", h, known)
	}
}

// changed changes one field after the other, those of its fields included, for good,
// and calls visit after each with its name.
func changed(name string, v reflect.Value, visit func(field string)) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			changed(name+"."+v.Type().Field(i).Name, v.Field(i), visit)
		}
		return
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		changed(name, v.Index(0), visit)
		return
	case v.CanInt():
		v.SetInt(v.Int() + 3)
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "3")
	default:
		v.SetUint(v.Uint() + 3)
	}
	visit(name)
}

// TestChainHasEverything: every field of an outcome is in the chain.
func TestChainHasEverything(t *testing.T) {
	o := Outcome{}
	seen := map[uint64]string{o.hash(1): "nothing"}
	changed("outcome", reflect.ValueOf(&o).Elem(), func(field string) {
		if h := o.hash(1); seen[h] != "" {
			t.Errorf("%s is not in the hash: it is that of %s", field, seen[h])
		} else {
			seen[h] = field
		}
	})
	if len(seen) < 20 {
		t.Errorf("only %d fields", len(seen)-1)
	}
}

// TestCommandHashHasWhatIsAsked: a repeat that asks for something else under the same
// number, or for somebody else, is another command. Who says it, when, and what he
// acknowledges with it is not what it asks for.
func TestCommandHashHasWhatIsAsked(t *testing.T) {
	c := Command{Behalf: BehalfAnother, Wants: []Want{{}}}
	asked, before := 0, c.hash()
	changed("", reflect.ValueOf(&c).Elem(), func(field string) {
		now := c.hash()
		switch field, _, _ := strings.Cut(field[1:], "."); field {
		case "Session", "Incarnation", "Seq", "Mark", "Seen", "Secret", "TTL", "Label", "Member":
			if now != before {
				t.Errorf("%s is in the hash", field)
			}
		default:
			if asked++; now == before {
				t.Errorf("%s is not in the hash", field)
			}
		}
		before = now
	})
	if asked < 14 {
		t.Errorf("only %d fields", asked)
	}
}

// TestCommandHashIsNeverBurnt: the hash that matches anything is nobody's.
func TestCommandHashIsNeverBurnt(t *testing.T) {
	texts := []string{"", "a", "b", "1234567", "12345678", "123456789", "1234567812345678", "\x00", "\x00\x00"}
	seen := map[uint64]bool{}
	for _, name := range texts {
		for _, owner := range texts {
			c := Command{Op: OpAcquire, Owner: owner, Wants: []Want{{Name: name}}}
			if h := c.hash(); h == hashBurnt || seen[h] {
				t.Errorf("%q by %q has the hash %x", name, owner, h)
			} else {
				seen[h] = true
			}
		}
	}
}

// TestInstantAddStops: a deadline far away never becomes one that is past.
func TestInstantAddStops(t *testing.T) {
	const end = Instant(math.MaxInt64)
	for _, c := range []struct {
		from Instant
		add  Duration
		want Instant
	}{
		{0, 5, 5}, {5, -3, 2}, {end, 0, end}, {end, 1, end}, {end - 3, 3, end}, {end - 3, 4, end},
		{1, math.MaxInt64, end}, {0, math.MaxInt64, end}, {7, Forever, 6},
	} {
		if got := c.from.Add(c.add); got != c.want {
			t.Errorf("%d + %d is %d, not %d", c.from, c.add, got, c.want)
		}
	}
}

// TestDeadlinesAtTheEndOfTime: a deadline that was cut off is one still.
func TestDeadlinesAtTheEndOfTime(t *testing.T) {
	s := New()
	s.Apply(1, 1, &Entry{Term: 1, Now: math.MaxInt64 - 1, Commands: []Command{
		{Op: OpOpen, TTL: TTLMax},
		{Op: OpAcquire, Session: 1, Incarnation: 1, Seq: 1, MaxHold: Hour, Wants: []Want{{Name: "x", Kind: KindLock, Mode: Exclusive}}},
	}})
	if at, ok := s.NextDeadline(); !ok || at != math.MaxInt64 || s.Check() != nil {
		t.Errorf("due at %d, %v", at, s.Check())
	}
}

// TestToken: 15 bits of epoch, 48 of counter, positive as a signed number.
func TestToken(t *testing.T) {
	last := makeToken(epochMax, 1<<tokenCounterBits-1)
	if last.Epoch() != epochMax || last.String() != "9223372036854775807" || int64(last) < 0 {
		t.Errorf("the last token is %s of epoch %d", last, last.Epoch())
	}
	if first := makeToken(1, 1); first.Epoch() != 1 || first.String() != "281474976710657" || first >= makeToken(2, 0) {
		t.Errorf("the first token is %s of epoch %d", first, first.Epoch())
	}
	if SessionID(1<<63).String() != "9223372036854775808" || GrantID(7).String() != "7" {
		t.Error("numbers are decimal")
	}
}

// TestNames: everything that has a number has a name, and what has none says so.
func TestNames(t *testing.T) {
	seen := map[string]bool{"": true}
	name := func(text string) {
		if seen[text] {
			t.Errorf("%q names two", text)
		}
		seen[text] = true
	}
	for s := StatusOK; s <= statusEnd; s++ {
		name(s.String())
	}
	for o := OpOpen; o <= opEnd; o++ {
		name(o.String())
	}
	for l := LimitName; l <= limitEnd; l++ {
		name(l.String())
	}
	name(Status(0).String())
	name(Op(0).String())
	if LimitID(0).String() != "unnamed limit" {
		t.Errorf("limit 0 is %q", LimitID(0))
	}
}

// TestEventsRepeated: what one renewal repeats is bounded; what it left out
// comes when the first are acknowledged.
func TestEventsRepeated(t *testing.T) {
	s := New()
	e := Entry{Term: 1, Commands: []Command{{Op: OpOpen, TTL: Hour}}}
	const losses = EventsRepeated + 44
	for i := range Seq(losses) {
		e.Commands = append(e.Commands, Command{
			Op: OpAcquire, Session: 1, Incarnation: 1, Seq: i + 1, Mark: i + 1, MaxHold: Second,
			Wants: []Want{{Name: "x", Kind: KindLock, Mode: Exclusive}},
		})
	}
	s.Apply(1, 1, &e)
	s.Apply(2, 1, &Entry{Term: 1, Now: Instant(Second)})
	repeated := func(at Index, seen EventID) (first, last EventID) {
		out := s.Apply(at, 1, &Entry{Term: 1, Commands: []Command{
			{Op: OpRenew, Session: 1, Incarnation: 1, Seq: 1, Seen: seen},
		}})
		all, _ := s.Undelivered(1)
		if len(out) != 1+len(all) {
			t.Errorf("repeats %d, undelivered %d", len(out)-1, len(all))
		}
		return out[1].Event, out[len(out)-1].Event
	}
	if first, last := repeated(3, 0); first != 1 || last != EventsRepeated {
		t.Errorf("events %d to %d", first, last)
	}
	if first, last := repeated(4, EventsRepeated); first != EventsRepeated+1 || last != losses {
		t.Errorf("events %d to %d", first, last)
	}
}
