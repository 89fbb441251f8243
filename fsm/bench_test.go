package fsm

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// A load is a machine with many sessions, each of which holds many names, and
// what they would say next.
type load struct {
	s     *State
	index Index
	e     Entry
	seq   []Seq // last of each session
	wants [][]Want
}

// newLoad has names held by sessions, names/sessions each.
func newLoad(b testing.TB, sessions, names int) *load {
	b.Helper()
	l := &load{s: New(), seq: make([]Seq, sessions)}
	for i := range sessions {
		l.add(Command{Op: OpOpen, Nonce: Nonce{Lo: uint64(i)}, TTL: TTLMax})
	}
	for i := range names {
		l.acquire(i%sessions, fmt.Sprintf("held/%d", i))
	}
	l.apply()
	for i := range 1024 {
		l.wants = append(l.wants, []Want{{Name: fmt.Sprintf("idle/%d", i), Kind: KindLock, Mode: Exclusive}})
	}
	if l.s.locks.Len() != names {
		b.Fatalf("%d names, not %d", l.s.locks.Len(), names)
	}
	return l
}

func (l *load) add(c Command) {
	if l.e.Commands = append(l.e.Commands, c); len(l.e.Commands) == CommandsMax {
		l.apply()
	}
}

func (l *load) apply() []Outcome {
	l.index++
	out := l.s.Apply(l.index, 1, &l.e)
	l.e.Commands = l.e.Commands[:0]
	return out
}

func (l *load) next(session int) Command {
	l.seq[session]++
	seq := l.seq[session]
	return Command{Session: SessionID(session + 1), Incarnation: 1, Seq: seq, Mark: seq}
}

func (l *load) acquire(session int, name string) {
	c := l.next(session)
	c.Op, c.Wait, c.Wants = OpAcquire, Forever, []Want{{Name: name, Kind: KindLock, Mode: Exclusive}}
	l.add(c)
}

// BenchmarkApply is the steady state: an entry of 256 acquires of idle names by
// as many sessions, then one that releases them. Per command.
func BenchmarkApply(b *testing.B) {
	const batch = 256
	for _, names := range []int{1, 256, 100_000} {
		b.Run(fmt.Sprintf("held=%d", names), func(b *testing.B) {
			l := newLoad(b, batch, names)
			var grants [batch]GrantID
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += 2 * batch {
				for i := range batch {
					c := l.next(i)
					c.Op, c.Wait, c.Wants = OpAcquire, Forever, l.wants[i]
					l.e.Commands = append(l.e.Commands, c)
				}
				for i, o := range l.apply() {
					grants[i] = o.Result.Grant
				}
				for i := range batch {
					c := l.next(i)
					c.Op, c.Grant = OpRelease, grants[i]
					l.e.Commands = append(l.e.Commands, c)
				}
				l.apply()
			}
		})
	}
}

// BenchmarkHandOver is one name that 16 sessions want: each entry has a release,
// a hand-over and a new wait. Per entry.
func BenchmarkHandOver(b *testing.B) {
	const sessions = 16
	l := newLoad(b, sessions, 0)
	want := []Want{{Name: "x", Kind: KindLock, Mode: Exclusive}}
	holder, grant := 0, GrantID(1)
	for i := range sessions {
		l.acquire(i, "x")
	}
	l.apply()
	seen := make([]EventID, sessions)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		release, again := l.next(holder), l.next(holder)
		release.Op, release.Grant, release.Seen = OpRelease, grant, seen[holder]
		again.Op, again.Wait, again.Wants = OpAcquire, Forever, want
		l.e.Commands = append(l.e.Commands, release, again)
		for _, o := range l.apply() {
			if o.Kind == OutcomeGranted {
				holder, grant = int(o.Key.Session)-1, o.Result.Grant
				seen[holder] = o.Event
			}
		}
	}
}

// BenchmarkRenew is an entry of 1,000 renewals among 10,000 sessions. Per renewal.
func BenchmarkRenew(b *testing.B) {
	const sessions, batch = 10_000, 1000
	l := newLoad(b, sessions, sessions)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		l.e.Term, l.e.Now = 1, l.e.Now+Instant(Millisecond)
		for i := range batch {
			l.e.Commands = append(l.e.Commands, Command{
				Op: OpRenew, Session: SessionID((n+i)%sessions + 1), Incarnation: 1, Seq: Seq(n),
			})
		}
		l.apply()
	}
}

// BenchmarkView is a View, and the entry of 256 commands right after it, which
// copies what it changes.
func BenchmarkView(b *testing.B) {
	for _, names := range []int{100_000, 1_000_000} {
		l := newLoad(b, 10_000, names)
		b.Run(fmt.Sprintf("held=%d", names), func(b *testing.B) {
			for range b.N {
				l.s.View()
			}
		})
		b.Run(fmt.Sprintf("held=%d/apply-after", names), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				v := l.s.View()
				for i := range 256 {
					c := l.next(i * 39)
					c.Op, c.Wants = OpAcquire, l.wants[i]
					l.e.Commands = append(l.e.Commands, c)
				}
				b.StartTimer()
				out := l.apply()
				b.StopTimer()
				for i := range 256 {
					c := l.next(i * 39)
					c.Op, c.Grant = OpRelease, out[i].Result.Grant
					l.e.Commands = append(l.e.Commands, c)
				}
				l.apply()
				v.Applied()
				b.StartTimer()
			}
		})
		b.Run(fmt.Sprintf("held=%d/write", names), func(b *testing.B) {
			v := l.s.View()
			for range b.N {
				n, err := v.WriteTo(io.Discard)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(n)
			}
		})
	}
}

// BenchmarkRestore is a whole restore, invariants included, of 100,000 holds.
func BenchmarkRestore(b *testing.B) {
	snap := snapshot(b, newLoad(b, 10_000, 100_000).s)
	b.SetBytes(int64(len(snap)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := Restore(bytes.NewReader(snap)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEntry encodes and decodes an entry of 256 acquires. Per entry.
func BenchmarkEntry(b *testing.B) {
	l := newLoad(b, 1, 0)
	for i := range 256 {
		c := l.next(0)
		c.Op, c.Wait, c.Wants = OpAcquire, Forever, l.wants[i]
		l.e.Commands = append(l.e.Commands, c)
	}
	var encoded []byte
	encode := func() {
		encoded = AppendEntryHeader(encoded)
		for i := range l.e.Commands {
			encoded = AppendCommand(encoded, &l.e.Commands[i])
		}
		encoded = SealEntry(encoded, 1, 1, Check{}, len(l.e.Commands))
	}
	encode()
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(encoded)))
		for range b.N {
			encode()
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(encoded)))
		var e Entry
		for range b.N {
			if err := DecodeEntry(encoded, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("outcomes", func(b *testing.B) {
		l.index++
		out := l.s.Apply(l.index, 1, &l.e)
		var frame []byte
		var o Outcome
		b.ReportAllocs()
		for range b.N {
			frame = frame[:0]
			for i := range out {
				frame = AppendOutcome(frame, &out[i])
			}
			for rest := frame; len(rest) > 0; {
				n, err := DecodeOutcome(rest, &o)
				if err != nil {
					b.Fatal(err)
				}
				rest = rest[n:]
			}
		}
	})
}
