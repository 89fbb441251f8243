package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// corpus is everything that the storybooks encode, decode and write.
type corpus struct {
	commands  [][]byte
	outcomes  [][]byte
	entries   [][]byte
	snapshots [][]byte
}

// collect tells the storybooks and writes down what passes by. Books about
// sizes are left out: their bytes say nothing new, many times.
func collect(t testing.TB) *corpus {
	t.Helper()
	books, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(books) == 0 {
		t.Fatal("no storybooks", err)
	}
	c := &corpus{}
	for _, book := range books {
		if strings.Contains(book, "sessions") || strings.Contains(book, "sweep") || strings.Contains(book, "mark") {
			continue
		}
		st := newStory()
		st.entry = func(_ Index, _ Term, e *Entry, out []Outcome) {
			c.add(e, out)
			if b := snapshot(t, st.s); len(b) < 4<<10 {
				c.snapshots = append(c.snapshots, b)
			}
		}
		datadriven.RunTestAny(t, book, func(t testing.TB, d *datadriven.TestData) string { return st.direct(t, d) })
	}
	return c
}

func (c *corpus) add(e *Entry, out []Outcome) {
	if len(e.Commands) > 100 {
		return
	}
	valid := Entry{Term: e.Term, Now: e.Now, Check: Check{Index: 7, Hash: 1 << 60}}
	for i := range e.Commands {
		if r := e.Commands[i].Validate(levelLatest); r.Status == 0 {
			c.commands = append(c.commands, AppendCommand(nil, &e.Commands[i]))
			valid.Commands = append(valid.Commands, e.Commands[i])
		}
	}
	for i := range out {
		c.outcomes = append(c.outcomes, AppendOutcome(nil, &out[i]))
	}
	c.entries = append(c.entries, encodeEntry(&valid))
}

// TestCommandsRoundTrip: what is encoded is decoded, and nothing but it.
func TestCommandsRoundTrip(t *testing.T) {
	frame := []byte{}
	all := collect(t).commands
	for _, b := range all {
		frame = append(frame, b...)
		var c Command
		n, err := DecodeCommand(b, &c)
		if err != nil || n != len(b) {
			t.Fatalf("%x: %d of %d bytes, %v", b, n, len(b), err)
		}
		if again := AppendCommand(nil, &c); !bytes.Equal(again, b) {
			t.Fatalf("%+v\nis %x, was %x", c, again, b)
		}
		for cut := range b {
			if n, err := DecodeCommand(b[:cut], &c); !errors.Is(err, ErrCorrupt) || n != 0 {
				t.Fatalf("%d of %x: %v", cut, b, err)
			}
		}
	}
	decoded, err := DecodeCommands(frame, nil)
	if err != nil || len(decoded) != len(all) {
		t.Fatalf("%d of %d commands, %v", len(decoded), len(all), err)
	}
	// Used again, the commands keep nothing of what they were.
	slices.Reverse(all)
	decoded, err = DecodeCommands(bytes.Join(all, nil), decoded[:0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range decoded {
		if again := AppendCommand(nil, &decoded[i]); !bytes.Equal(again, all[i]) {
			t.Fatalf("%+v\nis %x, was %x", decoded[i], again, all[i])
		}
	}
	if _, err := DecodeCommands(append(frame, 0), nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a frame with something behind: %v", err)
	}
}

// TestCommandIsStrict: for whom a command is must be one of what there is, and with
// the secret that proves it or not at all.
func TestCommandIsStrict(t *testing.T) {
	c := Command{Op: OpRelease, Session: 1, Incarnation: 1, Seq: 1, Grant: 1}
	b := AppendCommand(nil, &c)
	if n, err := DecodeCommand(b, &c); err != nil || n != len(b) || c.Behalf != BehalfSelf || c.HasSecret() {
		t.Fatalf("%+v: %d of %d bytes, %v", c, n, len(b), err)
	}
	b[len(b)-1] = byte(behalfEnd)
	if _, err := DecodeCommand(append(b, make([]byte, 100)...), &c); !errors.Is(err, ErrCorrupt) {
		t.Errorf("on behalf of what there is not: %v", err)
	}
	b[0] = byte(opEnd)
	if _, err := DecodeCommand(b, &c); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an op to come: %v", err)
	}
	for op := OpOpen; op < opEnd; op++ {
		proves := op == OpOpen || op == OpAttach || op == OpResume
		if c := (Command{Op: op}); c.HasSecret() != proves {
			t.Errorf("%v has a secret: %v", op, c.HasSecret())
		}
		if c := (Command{Op: op, Behalf: BehalfAnother}); !c.HasSecret() {
			t.Errorf("%v on another's behalf has no secret", op)
		}
	}
}

// TestCommandsDecodeBounded: a frame has no more commands than an entry.
func TestCommandsDecodeBounded(t *testing.T) {
	one := AppendCommand(nil, &Command{Op: OpClose, Session: 1, Incarnation: 1, Seq: 1})
	if all, err := DecodeCommands(bytes.Repeat(one, CommandsMax), nil); err != nil || len(all) != CommandsMax {
		t.Fatalf("%d commands, %v", len(all), err)
	}
	if _, err := DecodeCommands(bytes.Repeat(one, CommandsMax+1), nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("one more: %v", err)
	}
}

// TestOutcomesRoundTrip: and so are outcomes.
func TestOutcomesRoundTrip(t *testing.T) {
	for _, b := range collect(t).outcomes {
		var o Outcome
		n, err := DecodeOutcome(b, &o)
		if err != nil || n != len(b) {
			t.Fatalf("%x: %d of %d bytes, %v", b, n, len(b), err)
		}
		if again := AppendOutcome(nil, &o); !bytes.Equal(again, b) {
			t.Fatalf("%+v\nis %x, was %x", o, again, b)
		}
		for cut := range b {
			if n, err := DecodeOutcome(b[:cut], &o); !errors.Is(err, ErrCorrupt) || n != 0 {
				t.Fatalf("%d of %x: %v", cut, b, err)
			}
		}
	}
}

// TestOutcomeHasOneForm: bytes that say the same in another way are refused.
func TestOutcomeHasOneForm(t *testing.T) {
	o := Outcome{Kind: OutcomeAnswer, Key: Key{Class: ClassSeq, Session: 1, Incarnation: 1, Seq: 1}, Result: Result{Status: StatusOK}}
	good := AppendOutcome(nil, &o)
	var decoded Outcome
	if _, err := DecodeOutcome(good, &decoded); err != nil || decoded != o {
		t.Fatalf("%+v, %v", decoded, err)
	}
	status := len(good) - 5 // then has, at, index, order
	for name, spoil := range map[string]func([]byte) []byte{
		"no kind":           func(b []byte) []byte { b[0] = 0; return b },
		"a kind to come":    func(b []byte) []byte { b[0] = byte(OutcomeEnded) + 1; return b },
		"no class":          func(b []byte) []byte { b[1] = 0; return b },
		"a class to come":   func(b []byte) []byte { b[1] = byte(ClassNonce) + 1; return b },
		"no status":         func(b []byte) []byte { b[status] = 0; return b },
		"a status to come":  func(b []byte) []byte { b[status] = byte(statusEnd); return b },
		"no list of tokens": func(b []byte) []byte { b[status+1] = hasRest; return append(b, 0) },
		"half a token":      func(b []byte) []byte { b[status+1] = hasRest; return append(b, 1, 0x80) },
		"an empty place":    func(b []byte) []byte { b[status+1] = hasPlace; return append(b, 0) },
		"a long zero":       func(b []byte) []byte { b[len(b)-1] = 0x80; return append(b, 0) },
		"over 64 bits": func(b []byte) []byte {
			return append(b[:len(b)-1], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2)
		},
		"an order over 32 bits": func(b []byte) []byte { return append(b[:len(b)-1], 0xff, 0xff, 0xff, 0xff, 0x7f) },
	} {
		if _, err := DecodeOutcome(spoil(slices.Clone(good)), &decoded); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEntriesRoundTrip: and entries, of which no part can change unnoticed.
func TestEntriesRoundTrip(t *testing.T) {
	var e Entry
	for _, b := range collect(t).entries {
		if err := DecodeEntry(b, &e); err != nil {
			t.Fatal(err)
		}
		if again := encodeEntry(&e); !bytes.Equal(again, b) {
			t.Fatalf("%+v\nis %x, was %x", e, again, b)
		}
		for i := range b {
			if err := DecodeEntry(b[:i], &e); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d of %d bytes: %v", i, len(b), err)
			}
			spoilt := slices.Clone(b)
			spoilt[i] ^= 1 << (i % 8)
			if err := DecodeEntry(spoilt, &e); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("byte %d of %d changed: %v", i, len(b), err)
			}
		}
	}
}

// TestEntryIsStrict: nor is an entry that its proposer sealed wrongly accepted.
func TestEntryIsStrict(t *testing.T) {
	read := Command{Op: OpRead, Nonce: Nonce{1, 2}}
	build := func(commands []Command, count int, now Instant) []byte {
		b := AppendEntryHeader([]byte("reused"))
		for i := range commands {
			b = AppendCommand(b, &commands[i])
		}
		return SealEntry(b, 3, now, Check{4, 5}, count)
	}
	var e Entry
	if err := DecodeEntry(build([]Command{read, read}, 2, 9), &e); err != nil {
		t.Fatal(err)
	}
	dropEmptyWants(&e)
	if want := (Entry{Term: 3, Now: 9, Check: Check{4, 5}, Commands: []Command{read, read}}); !reflect.DeepEqual(e, want) {
		t.Fatalf("%+v", e)
	}
	for name, b := range map[string][]byte{
		"fewer than counted":  build([]Command{read}, 2, 9),
		"more than counted":   build([]Command{read, read}, 1, 9),
		"too many":            build(nil, CommandsMax+1, 9),
		"before time began":   build(nil, 0, -1),
		"another magic":       reseal(append([]byte{0}, build(nil, 0, 9)[1:]...)),
		"another version":     reseal(append([]byte{entryMagic, 2}, build(nil, 0, 9)[2:]...)),
		"an op without sense": reseal(append(build([]Command{}, 1, 9)[:entryHeaderSize], byte(opEnd), 0, 0, 0, 0)),
	} {
		if err := DecodeEntry(b, &e); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reseal makes the last four bytes the checksum of those before.
func reseal(b []byte) []byte {
	if len(b) >= 4 {
		body := b[:len(b)-4]
		binary.LittleEndian.PutUint32(b[len(body):], crc32.Checksum(body, castagnoli))
	}
	return b
}

// TestSnapshotsRoundTrip: no byte of a snapshot can change or be missing.
func TestSnapshotsRoundTrip(t *testing.T) {
	for n, b := range collect(t).snapshots {
		s, err := Restore(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(snapshot(t, s), b) {
			t.Fatal("a restored state writes another snapshot")
		}
		for i := n % 7; i < len(b); i += 1 + len(b)/20 {
			if _, err := Restore(bytes.NewReader(b[:i])); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d of %d bytes: %v", i, len(b), err)
			}
			spoilt := slices.Clone(b)
			spoilt[i] ^= 1 << (i % 8)
			if _, err := Restore(bytes.NewReader(spoilt)); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("byte %d of %d changed: %v", i, len(b), err)
			}
		}
	}
}

// records takes a snapshot apart and puts it together again around change.
func records(b []byte, change func([][]byte) [][]byte) []byte {
	head := len(snapshotMagic) + 1
	var all [][]byte
	for rest := b[head : len(b)-4]; len(rest) > 0; {
		n := binary.LittleEndian.Uint32(rest)
		all = append(all, slices.Clone(rest[4:4+n]))
		rest = rest[4+n:]
	}
	out := slices.Clone(b[:head])
	all = change(all[:len(all)-1])
	for _, r := range append(all, binary.AppendUvarint([]byte{recordEnd}, uint64(len(all)))) {
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(r))), r...)
	}
	return reseal(append(out, 0, 0, 0, 0))
}

// TestSnapshotIsStrict: a snapshot with a right checksum and wrong contents, as
// a faulty writer would make, is no state.
func TestSnapshotIsStrict(t *testing.T) {
	b := snapshot(t, busy(t))
	if same := records(b, func(all [][]byte) [][]byte { return all }); !bytes.Equal(same, b) {
		t.Fatal("taken apart and put together it is another")
	}
	kinds := map[string]byte{
		"header": recordHeader, "member": recordMember, "session": recordSession, "event": recordEvent,
		"lock": recordLock, "grant": recordGrant, "waiter": recordWaiter,
	}
	refused := func(name string, change func([][]byte) [][]byte) {
		t.Helper()
		if s, err := Restore(bytes.NewReader(records(b, change))); !errors.Is(err, ErrCorrupt) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, kind := range kinds {
		is := func(r []byte) bool { return r[0] == kind }
		refused("twice a "+name, func(all [][]byte) [][]byte {
			i := slices.IndexFunc(all, is)
			return slices.Insert(all, i, all[i])
		})
		refused("a longer "+name, func(all [][]byte) [][]byte {
			i := slices.IndexFunc(all, is)
			all[i] = append(all[i], 0)
			return all
		})
		refused("a shorter "+name, func(all [][]byte) [][]byte {
			i := slices.IndexFunc(all, is)
			all[i] = all[i][:len(all[i])-1]
			return all
		})
		if kind != recordMember && kind != recordWaiter { // without which it is a state too
			refused("no "+name, func(all [][]byte) [][]byte { return slices.DeleteFunc(all, is) })
		}
	}
	refused("a record to come", func(all [][]byte) [][]byte { return append(all, []byte{recordEnd + 1}) })
	refused("an empty record", func(all [][]byte) [][]byte { return append(all, nil) })
	refused("a record without bounds", func(all [][]byte) [][]byte { return append(all, make([]byte, recordSizeMax+1)) })
	if _, err := Restore(bytes.NewReader(reseal([]byte("lockdsnp\x010000")))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another version: %v", err)
	}
}

// TestRestoreNeedsAMark: a session without a mark, to which every place of the
// window is taken, once made Restore look for a free one for ever.
func TestRestoreNeedsAMark(t *testing.T) {
	s := busy(t)
	s.session(1).mark = 0
	if _, err := Restore(bytes.NewReader(snapshot(t, s))); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%v", err)
	}
}

// TestRestoreReportsTheReader: a reader's own error comes through.
func TestRestoreReportsTheReader(t *testing.T) {
	broken := errors.New("broken")
	b := snapshot(t, busy(t))
	for _, n := range []int{0, 3, len(b) / 2, len(b) - 2} {
		_, err := Restore(io.MultiReader(bytes.NewReader(b[:n]), failing{broken}))
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestSnapshotReportsTheWriter: and a writer's.
func TestSnapshotReportsTheWriter(t *testing.T) {
	broken := errors.New("broken")
	s := New()
	for i := range 2000 { // some 64 KiB, so that there are several writes
		s.Apply(Index(i+1), 1, &Entry{Commands: []Command{{Op: OpOpen, Nonce: Nonce{Lo: uint64(i)}, TTL: Second, Label: "label"}}})
	}
	size := len(snapshot(t, s))
	for _, room := range []int{0, 1, size / 2, size - 1} {
		n, err := s.View().WriteTo(&full{room, broken})
		if !errors.Is(err, broken) || n > int64(room) {
			t.Errorf("room for %d bytes: %d written, %v", room, n, err)
		}
	}
}

// failing is a reader that fails at once.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// full is a writer with room for so many bytes.
type full struct {
	room int
	err  error
}

func (f *full) Write(b []byte) (int, error) {
	n := min(len(b), f.room)
	if f.room -= n; n < len(b) {
		return n, f.err
	}
	return n, nil
}
