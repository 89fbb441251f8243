package fsm

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// The storybooks in testdata/*.txt tell what the machine does, one subject a
// file. Directives:
//
//	entry [after=D | at=D] [term=N] [stamp=N] [terse | quiet]
//	    applies one entry, with a command per line, and prints the outcomes and
//	    then the whole state. Its stamp is the machine's time, or D later, or D.
//	    term is the term of its place in the log, from then on; stamp is the
//	    term in which it was stamped, if that is another. terse prints no state,
//	    quiet only how often each status was answered.
//	print
//	    prints the whole state.
//	restore
//	    replaces the machine by one restored from its snapshot, and prints it.
//	show NAME
//	list [prefix=P] [after=A] [limit=N] [count]
//	    what a View shows of one name, or of a page of names; count says only how
//	    much it is.
//	session s1 [grant=G] [wait=SEQ] [limit=N]
//	    what a View shows of one session, after a grant and a wait.
//	lookup s1#3
//	    what the state knows of a command.
//	undelivered s1
//	    the events of a session that it repeats.
//	deadline
//	    when the next entry is due.
//
// Commands:
//
//	open NONCE [ttl=10s] [secret=NONCE] [label=TEXT]
//	s1#2 acquire NAME[,NAME...] [wait=0|D|forever] [owner=TEXT] [max=D]
//	    [mode=shared,...] [permits=N,... limit=N,...] [for=s2|nobody key=NONCE secret=TEXT]
//	s1#3 release g1 [for=s2|nobody name=NAME secret=TEXT]
//	s1#4 extend g1 max=D
//	s1#5 abandon #2
//	s1#6 close
//	s1 renew NUMBER
//	s1 attach NONCE [secret=TEXT]
//	s1 resume NONCE [secret=TEXT]
//	read NONCE
//	takeover NONCE
//	member ID [instance=NONCE] [address=TEXT]
//
// and all that name a session take [mark=SEQ] [seen=EVENT] [inc=INCARNATION].
// "x*600" is an x 600 times, and text in quotes is unquoted as in Go. A line
// with {2..9} stands for one line for each number, which {n} is elsewhere in it.
//
// Reading what is printed: s1 is a session, s1#2 the command of s1 with seq 2,
// g1 a grant, t1 the first token of epoch 1. "=>" is an outcome that is not an
// answer. An answer that an earlier entry gave says "as of" that entry.

// TestStories runs each book as it stands.
func TestStories(t *testing.T) { tell(t, false) }

// TestStoriesAcrossRestore runs each book with every entry encoded and decoded,
// and with a snapshot and a restore after each. Not a word may change.
func TestStoriesAcrossRestore(t *testing.T) { tell(t, true) }

func tell(t *testing.T, restoring bool) {
	books, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(books) == 0 {
		t.Fatal("no storybooks", err)
	}
	for _, book := range books {
		t.Run(strings.TrimSuffix(filepath.Base(book), ".txt"), func(t *testing.T) {
			st := newStory()
			st.restoring = restoring
			datadriven.RunTest(t, book, func(t *testing.T, d *datadriven.TestData) string {
				return st.direct(t, d)
			})
		})
	}
}

// A story is a machine and where its log stands.
type story struct {
	s         *State
	index     Index
	term      Term
	restoring bool
	entry     func(at Index, term Term, e *Entry, out []Outcome) // sees every entry; may be nil
}

func newStory() *story { return &story{s: New(), term: 1} }

// small tells the state from those of the books about sizes, which take too long to
// be written and looked through after each entry.
func (st *story) small() bool { return st.s.grants.Len() < 10_000 }

// direct carries out one directive and returns what there is to read.
func (st *story) direct(t testing.TB, d *datadriven.TestData) string {
	var b strings.Builder
	switch d.Cmd {
	case "entry":
		st.apply(t, d, &b)
	case "print":
		printState(&b, st.s)
	case "restore":
		st.restore(t)
		printState(&b, st.s)
	case "show":
		printLock(&b, st.s.View().Lock(d.CmdArgs[0].Key))
	case "list":
		st.list(t, d, &b)
	case "session":
		st.session(t, d, &b)
	case "lookup":
		st.lookup(t, d, &b)
	case "undelivered":
		all, ok := st.s.Undelivered(SessionID(number(t, d.CmdArgs[0].Key, "s")))
		if !ok {
			b.WriteString("no such session\n")
		}
		for _, o := range all {
			printOutcome(&b, st.s, nil, &o)
		}
	case "deadline":
		if at, ok := st.s.NextDeadline(); ok {
			fmt.Fprintln(&b, instant(at))
		} else {
			b.WriteString("none\n")
		}
	default:
		t.Fatalf("%s: no directive %q", d.Pos, d.Cmd)
	}
	if st.restoring && !st.small() {
		return b.String() // TestStories has looked
	}
	if err := st.s.Check(); err != nil {
		t.Fatalf("%s: %v", d.Pos, err)
	}
	return b.String()
}

func (st *story) apply(t testing.TB, d *datadriven.TestData, b *strings.Builder) {
	e := Entry{Now: st.s.Now()}
	stamp, terse, quiet := Term(0), false, false
	for _, arg := range d.CmdArgs {
		switch value := strings.Join(arg.Vals, ","); arg.Key {
		case "after":
			e.Now = e.Now.Add(span(t, value))
		case "at":
			e.Now = Instant(span(t, value))
		case "term":
			st.term = Term(number(t, value, ""))
		case "stamp":
			stamp = Term(number(t, value, ""))
		case "terse":
			terse = true
		case "quiet":
			quiet = true
		default:
			t.Fatalf("%s: no option %q", d.Pos, arg.Key)
		}
	}
	if e.Term = st.term; stamp != 0 {
		e.Term = stamp
	}
	lines := expandLines(t, d.Input)
	for _, line := range lines {
		e.Commands = append(e.Commands, parseCommand(t, line))
	}
	if st.restoring {
		reencode(t, &e)
	}
	st.index++
	out := st.s.Apply(st.index, st.term, &e)
	if st.entry != nil {
		st.entry(st.index, st.term, &e, out)
	}
	if quiet {
		printCounts(b, out)
	} else {
		for i := range out {
			printOutcome(b, st.s, e.Commands, &out[i])
		}
		if !terse {
			printState(b, st.s)
		}
	}
	if st.restoring && st.small() {
		st.restore(t)
	}
}

func (st *story) restore(t testing.TB) {
	t.Helper()
	st.s = restored(t, st.s)
}

// restored is s by way of its snapshot.
func restored(t failer, s *State) *State {
	t.Helper()
	before := snapshot(t, s)
	after, err := Restore(bytes.NewReader(before))
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	if !bytes.Equal(before, snapshot(t, after)) {
		t.Fatalf("a restored state writes another snapshot")
	}
	return after
}

// failer is what testing.TB and *rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func snapshot(t failer, s *State) []byte {
	t.Helper()
	return viewBytes(t, s.View())
}

func viewBytes(t failer, v *View) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := v.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("snapshot: %d of %d bytes, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// reencode sends the entry over the wire, if it is one that a leader proposes.
func reencode(t testing.TB, e *Entry) {
	t.Helper()
	if len(e.Commands) > CommandsMax {
		return
	}
	for i := range e.Commands {
		if r := e.Commands[i].Validate(levelLatest); r.Status != 0 {
			return
		}
	}
	var decoded Entry
	if err := DecodeEntry(encodeEntry(e), &decoded); err != nil {
		t.Fatalf("decode entry: %v", err)
	}
	dropEmptyWants(&decoded)
	if !reflect.DeepEqual(*e, decoded) {
		t.Fatalf("entry\n%+v\ndecoded as\n%+v", *e, decoded)
	}
	*e = decoded
}

func encodeEntry(e *Entry) []byte {
	b := AppendEntryHeader(nil)
	for i := range e.Commands {
		b = AppendCommand(b, &e.Commands[i])
	}
	return SealEntry(b, e.Term, e.Now, e.Check, len(e.Commands))
}

// dropEmptyWants makes what a decoder gave comparable with what was encoded.
func dropEmptyWants(e *Entry) {
	for i := range e.Commands {
		if len(e.Commands[i].Wants) == 0 {
			e.Commands[i].Wants = nil
		}
	}
}

func (st *story) list(t testing.TB, d *datadriven.TestData, b *strings.Builder) {
	limit, prefix, after, show := 100, "", "", printLock
	for _, arg := range d.CmdArgs {
		switch value := strings.Join(arg.Vals, ","); arg.Key {
		case "prefix":
			prefix = value
		case "after":
			after = value
		case "limit":
			limit = int(number(t, value, ""))
		case "count":
			show = countLock
		}
	}
	page, more := st.s.View().Locks(prefix, after, limit)
	for _, l := range page {
		show(b, l)
	}
	fmt.Fprintf(b, "more: %v\n", more)
}

func (st *story) session(t testing.TB, d *datadriven.TestData, b *strings.Builder) {
	limit, grant, wait := 100, GrantID(0), Seq(0)
	for _, arg := range d.CmdArgs[1:] {
		switch n := number(t, arg.Vals[0], ""); arg.Key {
		case "grant":
			grant = GrantID(n)
		case "wait":
			wait = Seq(n)
		case "limit":
			limit = int(n)
		}
	}
	page, more, found := st.s.View().Session(SessionID(number(t, d.CmdArgs[0].Key, "s")), grant, wait, limit)
	printSessionView(b, &page, more, found)
}

func (st *story) lookup(t testing.TB, d *datadriven.TestData, b *strings.Builder) {
	c := parseCommand(t, d.CmdArgs[0].Key+" close "+strings.ReplaceAll(d.Input, "\n", " "))
	o, found := st.s.Lookup(c.Key())
	fmt.Fprint(b, map[Found]string{NotFound: "not found", Answered: "answered: ", Parked: "parked: "}[found])
	if found != NotFound {
		printResult(b, &o.Result, st.s.Applied())
	}
	b.WriteByte('\n')
}

// expandLines takes the input apart and writes out the {a..b}.
func expandLines(t testing.TB, input string) []string {
	var lines []string
	for line := range strings.Lines(input) {
		line = strings.TrimSpace(line)
		head, rest, found := strings.Cut(line, "{")
		bounds, tail, closed := strings.Cut(rest, "}")
		first, last, ranged := strings.Cut(bounds, "..")
		switch {
		case line == "" || line[0] == '#':
		case !found || !closed || !ranged:
			lines = append(lines, line)
		default:
			for n := number(t, first, ""); n <= number(t, last, ""); n++ {
				digits := strconv.FormatUint(n, 10)
				lines = append(lines, head+digits+strings.ReplaceAll(tail, "{n}", digits))
			}
		}
	}
	return lines
}

func parseCommand(t testing.TB, line string) Command {
	t.Helper()
	words := strings.Fields(line)
	c := Command{}
	if speaker, seq, found := strings.Cut(words[0], "#"); found {
		c.Session, c.Seq = SessionID(number(t, speaker, "s")), Seq(number(t, seq, ""))
		words = words[1:]
	} else if id, ok := strings.CutPrefix(words[0], "s"); ok && len(words) > 1 {
		c.Session = SessionID(number(t, id, ""))
		words = words[1:]
	}
	if c.Session != 0 {
		c.Incarnation = 1
	}
	for op := range opEnd {
		if op.String() == words[0] {
			c.Op = op
		}
	}
	words = words[1:]
	subject := ""
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		subject, words = words[0], words[1:]
	}
	parseSubject(t, &c, subject)
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		parseOption(t, &c, key, value)
	}
	return c
}

func parseSubject(t testing.TB, c *Command, subject string) {
	t.Helper()
	switch c.Op {
	case OpOpen:
		c.Nonce, c.Secret, c.TTL = nonce(subject), secret(subject), 10*Second
	case OpAttach:
		c.Nonce = nonce(subject)
	case OpResume:
		c.Nonce, c.Incarnation = nonce(subject), 0
	case OpRead, OpTakeover:
		c.Nonce = nonce(subject)
	case OpMember:
		c.Nonce = nonce(subject)
		c.Member = Member{ID: text(t, subject), Instance: nonce(subject), Address: "127.0.0.1:1"}
	case OpRenew:
		c.Seq = Seq(number(t, subject, ""))
	case OpAcquire:
		for name := range strings.SplitSeq(subject, ",") {
			c.Wants = append(c.Wants, Want{Name: text(t, name), Kind: KindLock, Mode: Exclusive})
		}
	case OpRelease, OpExtend:
		c.Grant = GrantID(number(t, subject, "g"))
	case OpAbandon:
		c.Target = Seq(number(t, subject, "#"))
	case OpClose:
	default:
		t.Fatalf("no command %v %q", c.Op, subject)
	}
}

func parseOption(t testing.TB, c *Command, key, value string) {
	t.Helper()
	switch key {
	case "mark":
		c.Mark = Seq(number(t, value, ""))
	case "seen":
		c.Seen = EventID(number(t, value, ""))
	case "inc":
		c.Incarnation = Incarnation(number(t, value, ""))
	case "secret":
		c.Secret = secret(value)
	case "ttl":
		c.TTL = span(t, value)
	case "label":
		c.Label = text(t, value)
	case "wait":
		c.Wait = span(t, value)
	case "max":
		c.MaxHold = span(t, value)
	case "owner":
		c.Owner = text(t, value)
	case "kind":
		c.Wants[0].Kind = Kind(number(t, value, ""))
	case "mode":
		each(c, value, func(w *Want, v string) {
			if v == "shared" {
				w.Mode = Shared
			} else if v != "exclusive" {
				w.Mode = Mode(number(t, v, ""))
			}
		})
	case "permits":
		each(c, value, func(w *Want, v string) {
			if w.Permits = Permits(number(t, v, "")); w.Permits > 0 {
				w.Kind, w.Mode = KindSemaphore, Counted
			}
		})
	case "limit":
		each(c, value, func(w *Want, v string) { w.Limit = Permits(number(t, v, "")) })
	case "for":
		if c.Behalf = BehalfNobody; value != "nobody" {
			c.Behalf, c.For = BehalfAnother, SessionID(number(t, value, "s"))
		}
	case "key":
		c.Nonce = nonce(value)
	case "name":
		c.Wants = []Want{{Name: text(t, value)}}
	case "and":
		if value == "nothing" {
			c.Wants = nil
			return
		}
		c.Wants = append(c.Wants, Want{Name: value, Kind: KindLock, Mode: Exclusive})
	case "instance":
		c.Member.Instance = nonce(value)
	case "address":
		c.Member.Address = text(t, value)
	default:
		t.Fatalf("no option %q", key)
	}
}

// each hands the values of a list to the names of an acquire.
func each(c *Command, values string, set func(*Want, string)) {
	for i, v := range strings.Split(values, ",") {
		set(&c.Wants[i], v)
	}
}

// nonce makes a readable number of a word.
func nonce(word string) Nonce {
	h := uint64(0)
	for i := range len(word) {
		h = h<<8 | uint64(word[i])
	}
	return Nonce{Hi: 1, Lo: h}
}

func secret(word string) (s Secret) {
	copy(s[:], word)
	return s
}

func text(t testing.TB, word string) string {
	t.Helper()
	if strings.HasPrefix(word, `"`) {
		unquoted, err := strconv.Unquote(word)
		if err != nil {
			t.Fatalf("%s: %v", word, err)
		}
		return unquoted
	}
	if of, times, found := strings.Cut(word, "*"); found {
		return strings.Repeat(of, int(number(t, times, "")))
	}
	return word
}

func number(t testing.TB, word, prefix string) uint64 {
	t.Helper()
	digits, ok := strings.CutPrefix(word, prefix)
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil {
		t.Fatalf("no number: %q", word)
	}
	return n
}

func span(t testing.TB, word string) Duration {
	t.Helper()
	if word == "forever" {
		return Forever
	}
	d, err := time.ParseDuration(word)
	if err != nil {
		t.Fatalf("no duration: %q", word)
	}
	return Duration(d)
}
