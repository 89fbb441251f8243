package fsm

import (
	"bytes"
	"math"
	"runtime"
	"testing"
)

// The decoders are fed by wires and disks. Whatever the bytes, they do not
// panic, they allocate no more than some multiple of what they were given, and
// what they accept is the one form in which it is encoded.

// bounded fails if f allocates more than factor times size, and some for what
// others allocate meanwhile.
func bounded(t *testing.T, size, factor int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+factor*size); got > most {
		t.Fatalf("%d bytes for an input of %d", got, size)
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, b := range collect(f).commands {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Command
		var n int
		var err error
		bounded(t, len(b), 100, func() { n, err = DecodeCommand(b, &c) })
		if err != nil {
			return
		}
		c.Validate(levelLatest)
		c.hash()
		if again := AppendCommand(nil, &c); !bytes.Equal(again, b[:n]) {
			t.Fatalf("%+v\nis %x, was %x", c, again, b[:n])
		}
	})
}

func FuzzDecodeCommands(f *testing.F) {
	all := collect(f)
	f.Add(bytes.Join(all.commands, nil))
	for i := 0; i+3 < len(all.commands); i += 3 {
		f.Add(bytes.Join(all.commands[i:i+3], nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var commands []Command
		var err error
		bounded(t, len(b), 400, func() { commands, err = DecodeCommands(b, nil) })
		if err != nil {
			return
		}
		var again []byte
		for i := range commands {
			again = AppendCommand(again, &commands[i])
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%+v\nis %x, was %x", commands, again, b)
		}
	})
}

func FuzzDecodeOutcome(f *testing.F) {
	for _, b := range collect(f).outcomes {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var o Outcome
		var n int
		var err error
		bounded(t, len(b), 100, func() { n, err = DecodeOutcome(b, &o) })
		if err != nil {
			return
		}
		if again := AppendOutcome(nil, &o); !bytes.Equal(again, b[:n]) {
			t.Fatalf("%+v\nis %x, was %x", o, again, b[:n])
		}
	})
}

// FuzzDecodeEntry seals the bytes again, or nothing would come past the
// checksum, and applies what is an entry.
func FuzzDecodeEntry(f *testing.F) {
	for _, b := range collect(f).entries {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = reseal(bytes.Clone(b))
		var e Entry
		var err error
		bounded(t, len(b), 400, func() { err = DecodeEntry(b, &e) })
		if err != nil {
			return
		}
		if again := encodeEntry(&e); !bytes.Equal(again, b) {
			t.Fatalf("%+v\nis %x, was %x", e, again, b)
		}
		s := busy(t)
		s.Apply(100, 1, &e)
		live(t, s)
	})
}

// FuzzRestore seals the bytes again, too.
func FuzzRestore(f *testing.F) {
	for _, b := range collect(f).snapshots {
		f.Add(b)
	}
	f.Add(snapshot(f, busy(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = reseal(bytes.Clone(b))
		var s *State
		var err error
		// An answer far from the others costs its session a whole window.
		bounded(t, len(b), 4000, func() { s, err = Restore(bytes.NewReader(b)) })
		if err != nil {
			return
		}
		restored(t, s)
		live(t, s)
	})
}

// live reads all that is shown of a state, lets all expire that can, and looks at
// what is left.
func live(t *testing.T, s *State) {
	t.Helper()
	v := s.View()
	locksOf(v)
	s.sessions.Ascend(func(ss *session) bool {
		sessionOf(v, ss.id, 2)
		s.Lookup(Key{Class: ClassSeq, Session: ss.id, Incarnation: ss.incarnation, Seq: ss.mark})
		if all, known := s.Undelivered(ss.id); known != (ss.id != ReservedSession) || len(all) > EventsRepeated {
			t.Fatalf("session %d has %d events, known %v", ss.id, len(all), known)
		}
		return true
	})
	for n := s.sessions.Len() + s.parked.Len() + s.grants.Len() + 1; n > 0; n -= SweepMax {
		if s.applied == math.MaxUint64 {
			return
		}
		s.Apply(s.applied+1, 9, &Entry{Term: 9, Now: math.MaxInt64})
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
}
