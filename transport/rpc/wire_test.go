package rpc

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// The codec by hand must read and write what the generated code does.

func drawCommand(t *rapid.T) fsm.Command {
	speakable := []fsm.Op{fsm.OpOpen, fsm.OpAttach, fsm.OpRenew, fsm.OpClose, fsm.OpAcquire, fsm.OpRelease, fsm.OpExtend, fsm.OpAbandon, fsm.OpResume}
	c := fsm.Command{
		Op:      rapid.SampledFrom(speakable).Draw(t, "op"),
		Session: fsm.SessionID(rapid.Uint64().Draw(t, "session")), Incarnation: fsm.Incarnation(rapid.Uint32().Draw(t, "incarnation")),
		Seq: fsm.Seq(rapid.Uint64().Draw(t, "seq")), Mark: fsm.Seq(rapid.Uint64().Draw(t, "mark")),
		Seen: fsm.EventID(rapid.Uint64().Draw(t, "seen")), MaxHold: fsm.Duration(rapid.Int64().Draw(t, "hold")),
		Grant: fsm.GrantID(rapid.Uint64().Draw(t, "grant")), Target: fsm.Seq(rapid.Uint64().Draw(t, "target")),
	}
	switch c.Op {
	case fsm.OpOpen, fsm.OpAttach, fsm.OpResume:
		copy(c.Secret[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret"))
		c.Nonce = fsm.Nonce{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
		c.TTL = fsm.Duration(rapid.Int64().Draw(t, "ttl"))
		c.Label = rapid.StringN(0, -1, 200).Draw(t, "label")
	case fsm.OpAcquire:
		for range rapid.IntRange(0, 3).Draw(t, "wants") {
			c.Wants = append(c.Wants, fsm.Want{
				Name: rapid.StringN(0, -1, 512).Draw(t, "name"), Kind: fsm.Kind(rapid.Byte().Draw(t, "kind")),
				Mode: fsm.Mode(rapid.Byte().Draw(t, "mode")), Permits: fsm.Permits(rapid.Uint32().Draw(t, "permits")),
				Limit: fsm.Permits(rapid.Uint32().Draw(t, "limit")),
			})
		}
		c.Owner = rapid.StringN(0, -1, 128).Draw(t, "owner")
		c.Wait = fsm.Duration(rapid.Int64().Draw(t, "wait"))
	}
	return c
}

// message is c through the generated code.
func message(c *fsm.Command) *lockdv1.Command {
	m := &lockdv1.Command{
		Op: lockdv1.Op(c.Op), Session: uint64(c.Session), Incarnation: uint32(c.Incarnation), Seq: uint64(c.Seq),
		Mark: uint64(c.Mark), Seen: uint64(c.Seen), TtlNanos: int64(c.TTL), Label: c.Label, Owner: c.Owner,
		WaitNanos: int64(c.Wait), MaxHoldNanos: int64(c.MaxHold), Grant: uint64(c.Grant), Target: uint64(c.Target),
	}
	if opens(c.Op) {
		m.Nonce, m.Secret = &lockdv1.Nonce{Hi: c.Nonce.Hi, Lo: c.Nonce.Lo}, c.Secret[:]
	}
	for _, w := range c.Wants {
		m.Wants = append(m.Wants, &lockdv1.Want{Name: w.Name, Kind: lockdv1.Kind(w.Kind), Mode: lockdv1.Mode(w.Mode),
			Permits: uint32(w.Permits), Limit: uint32(w.Limit)})
	}
	return m
}

func TestCommandsAgreeWithGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var packed []byte
		var want []fsm.Command
		frame := &lockdv1.ClientFrame{}
		for range rapid.IntRange(0, 4).Draw(t, "commands") {
			c := drawCommand(t)
			packed = AppendCommand(packed, &c)
			want = append(want, c)
			frame.Commands = append(frame.Commands, message(&c))
		}
		var theirs lockdv1.ClientFrame
		if err := proto.Unmarshal(packed, &theirs); err != nil {
			t.Fatalf("the generated code cannot read: %v", err)
		}
		if !proto.Equal(&theirs, frame) {
			t.Fatalf("the generated code reads\n%v, not\n%v", &theirs, frame)
		}
		generated, err := proto.Marshal(frame)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{packed, generated} {
			var f commandFrame
			if err := f.decode(data); err != nil {
				t.Fatal(err)
			}
			for i := range f.commands {
				if len(f.commands[i].Wants) == 0 {
					f.commands[i].Wants = nil
				}
			}
			if len(want) > 0 && !cmp.Equal(f.commands, want) {
				t.Fatal(cmp.Diff(f.commands, want))
			}
		}
	})
}

func drawOutcome(t *rapid.T) Outcome {
	u32, u64, i64 := rapid.Uint32(), rapid.Uint64(), rapid.Int64()
	var rest []byte
	for range rapid.IntRange(0, fsm.WantsMax-1).Draw(t, "rest") {
		rest = binary.AppendUvarint(rest, u64.Draw(t, "token"))
	}
	o := drawnOutcome(t, u32, u64, i64)
	o.Result.Rest = fsm.Tokens(rest)
	if o.Refusal == lockdv1.Refusal_REFUSAL_OVERLOADED {
		ms := rapid.Uint32Range(0, 1<<31-1).Draw(t, "retry after")
		o.Full = &lockapi.OverloadError{What: rapid.String().Draw(t, "what"), RetryAfter: time.Duration(ms) * time.Millisecond}
	}
	return o
}

func drawnOutcome(t *rapid.T, u32 *rapid.Generator[uint32], u64 *rapid.Generator[uint64], i64 *rapid.Generator[int64]) Outcome {
	return Outcome{
		Refusal: lockdv1.Refusal(rapid.IntRange(0, 4).Draw(t, "refusal")),
		Outcome: fsm.Outcome{
			Kind: fsm.OutcomeKind(rapid.IntRange(1, 4).Draw(t, "kind")), Pos: -1,
			Event: fsm.EventID(u64.Draw(t, "event")),
			Key: fsm.Key{Class: fsm.Class(rapid.IntRange(1, 2).Draw(t, "class")), Session: fsm.SessionID(u64.Draw(t, "session")),
				Incarnation: fsm.Incarnation(u32.Draw(t, "incarnation")), Seq: fsm.Seq(u64.Draw(t, "seq"))},
			Result: fsm.Result{
				Status: fsm.Status(rapid.IntRange(0, 30).Draw(t, "status")), At: fsm.Instant(i64.Draw(t, "at")),
				Index: fsm.Index(u64.Draw(t, "index")), Order: u32.Draw(t, "order"),
				Session: fsm.SessionID(u64.Draw(t, "opened")), Grant: fsm.GrantID(u64.Draw(t, "grant")),
				Token: fsm.Token(u64.Draw(t, "token")), Until: fsm.Instant(i64.Draw(t, "until")), Count: u32.Draw(t, "count"),
				Incarnation: fsm.Incarnation(u32.Draw(t, "resumed")),
				Place:       u32.Draw(t, "place"), Limit: fsm.LimitID(rapid.Byte().Draw(t, "limit")), Value: u64.Draw(t, "value"),
			},
		},
	}
}

func outcomeMessage(o *Outcome) *lockdv1.Outcome {
	r := &o.Result
	m := &lockdv1.Outcome{
		Kind: lockdv1.OutcomeKind(o.Kind), Class: lockdv1.Class(o.Key.Class), Event: uint64(o.Event), Refusal: o.Refusal,
		Status: lockdv1.Status(r.Status), AtNanos: int64(r.At), Index: uint64(r.Index), Order: r.Order,
		OpenedSession: uint64(r.Session), Grant: uint64(r.Grant), Token: uint64(r.Token), UntilNanos: int64(r.Until),
		Count: r.Count, Place: r.Place, Limit: lockdv1.Limit(r.Limit), Value: r.Value,
		ResumedIncarnation: uint32(r.Incarnation),
	}
	for _, token := range r.Rest.All() {
		m.RestTokens = append(m.RestTokens, uint64(token))
	}
	if o.Full != nil {
		m.Overload = &lockdv1.Overload{What: o.Full.What, RetryAfterMs: uint32(o.Full.RetryAfter / time.Millisecond)}
	}
	if o.Key.Class == fsm.ClassNonce {
		m.Nonce = &lockdv1.Nonce{Hi: uint64(o.Key.Session), Lo: uint64(o.Key.Seq)}
	} else {
		m.Session, m.Incarnation, m.Seq = uint64(o.Key.Session), uint32(o.Key.Incarnation), uint64(o.Key.Seq)
	}
	return m
}

func TestOutcomesAgreeWithGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frame := &lockdv1.ServerFrame{Hello: &lockdv1.Hello{
			ClusterId: "c", Node: rapid.String().Draw(t, "node"), Addresses: []string{"a:1", "b:2"}, Draining: rapid.Bool().Draw(t, "draining"),
		}}
		packed := appendHello(nil, frame.GetHello())
		var want []Outcome
		for range rapid.IntRange(0, 4).Draw(t, "outcomes") {
			o := drawOutcome(t)
			if rapid.Bool().Draw(t, "by nonce") {
				o.Key.Class, o.Key.Incarnation = fsm.ClassNonce, 0
			}
			packed = appendOutcome(packed, &o)
			want = append(want, o)
			frame.Outcomes = append(frame.Outcomes, outcomeMessage(&o))
		}
		var theirs lockdv1.ServerFrame
		if err := proto.Unmarshal(packed, &theirs); err != nil {
			t.Fatalf("the generated code cannot read: %v", err)
		}
		if !proto.Equal(&theirs, frame) {
			t.Fatalf("the generated code reads\n%v, not\n%v", &theirs, frame)
		}
		generated, err := proto.Marshal(frame)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{packed, generated} {
			var f Frame
			if err := f.decode(data); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(f.Hello, frame.GetHello()) {
				t.Fatalf("hello %v", f.Hello)
			}
			if len(want) > 0 && !cmp.Equal(f.Outcomes, want) {
				t.Fatal(cmp.Diff(f.Outcomes, want))
			}
		}
	})
}

// TestEnumerationsAgree: casts between the enumerations are right only if they agree.
func TestEnumerationsAgree(t *testing.T) {
	ops := map[int32]uint8{
		int32(lockdv1.Op_OP_RESUME): uint8(fsm.OpResume),
		int32(lockdv1.Op_OP_OPEN):   uint8(fsm.OpOpen), int32(lockdv1.Op_OP_ATTACH): uint8(fsm.OpAttach),
		int32(lockdv1.Op_OP_RENEW): uint8(fsm.OpRenew), int32(lockdv1.Op_OP_CLOSE): uint8(fsm.OpClose),
		int32(lockdv1.Op_OP_ACQUIRE): uint8(fsm.OpAcquire), int32(lockdv1.Op_OP_RELEASE): uint8(fsm.OpRelease),
		int32(lockdv1.Op_OP_EXTEND): uint8(fsm.OpExtend), int32(lockdv1.Op_OP_ABANDON): uint8(fsm.OpAbandon),
	}
	for theirs, ours := range ops {
		if theirs != int32(ours) {
			t.Errorf("op %v is %d here", lockdv1.Op(theirs), ours)
		}
	}
	statuses := map[lockdv1.Status]fsm.Status{
		lockdv1.Status_STATUS_LIMIT_CONFLICT: fsm.StatusLimitConflict, lockdv1.Status_STATUS_NOBODY: fsm.StatusNobody,
		lockdv1.Status_STATUS_OK: fsm.StatusOK, lockdv1.Status_STATUS_QUEUED: fsm.StatusQueued, lockdv1.Status_STATUS_BUSY: fsm.StatusBusy,
		lockdv1.Status_STATUS_TIMEOUT: fsm.StatusTimeout, lockdv1.Status_STATUS_ABANDONED: fsm.StatusAbandoned,
		lockdv1.Status_STATUS_NOT_HELD: fsm.StatusNotHeld, lockdv1.Status_STATUS_MAX_HOLD: fsm.StatusMaxHold,
		lockdv1.Status_STATUS_FORCED: fsm.StatusForced, lockdv1.Status_STATUS_SESSION_GONE: fsm.StatusSessionGone,
		lockdv1.Status_STATUS_FENCED: fsm.StatusFenced, lockdv1.Status_STATUS_OLD_SEQ: fsm.StatusOldSeq,
		lockdv1.Status_STATUS_SEQ_REUSED: fsm.StatusSeqReused, lockdv1.Status_STATUS_WINDOW: fsm.StatusWindow,
		lockdv1.Status_STATUS_BAD_SECRET: fsm.StatusBadSecret, lockdv1.Status_STATUS_LIMIT: fsm.StatusLimit,
		lockdv1.Status_STATUS_INVALID: fsm.StatusInvalid, lockdv1.Status_STATUS_KIND_CONFLICT: fsm.StatusKindConflict,
		lockdv1.Status_STATUS_MODE_CONFLICT: fsm.StatusModeConflict, lockdv1.Status_STATUS_LEVEL: fsm.StatusLevel,
	}
	for theirs, ours := range statuses {
		if int32(theirs) != int32(ours) {
			t.Errorf("%v is %d here", theirs, ours)
		}
	}
	limits := map[lockdv1.Limit]fsm.LimitID{
		lockdv1.Limit_LIMIT_RESERVED_HOLDS: fsm.LimitReservedHolds,
		lockdv1.Limit_LIMIT_NAME:           fsm.LimitName, lockdv1.Limit_LIMIT_OWNER: fsm.LimitOwner, lockdv1.Limit_LIMIT_LABEL: fsm.LimitLabel,
		lockdv1.Limit_LIMIT_WANTS: fsm.LimitWants, lockdv1.Limit_LIMIT_REENTRY: fsm.LimitReentry, lockdv1.Limit_LIMIT_SESSIONS: fsm.LimitSessions,
		lockdv1.Limit_LIMIT_SESSION_HOLDS: fsm.LimitSessionHolds, lockdv1.Limit_LIMIT_SESSION_WAITERS: fsm.LimitSessionWaiters,
		lockdv1.Limit_LIMIT_NAME_WAITERS: fsm.LimitNameWaiters, lockdv1.Limit_LIMIT_WAITERS: fsm.LimitWaiters,
		lockdv1.Limit_LIMIT_GRANTS: fsm.LimitGrants, lockdv1.Limit_LIMIT_TTL: fsm.LimitTTL, lockdv1.Limit_LIMIT_WAIT: fsm.LimitWait,
		lockdv1.Limit_LIMIT_MAX_HOLD: fsm.LimitMaxHold, lockdv1.Limit_LIMIT_MEMBERS: fsm.LimitMembers,
		lockdv1.Limit_LIMIT_MEMBER: fsm.LimitMember, lockdv1.Limit_LIMIT_PERMITS: fsm.LimitPermits,
		lockdv1.Limit_LIMIT_SECRET: fsm.LimitSecret,
	}
	if len(ops) != len(lockdv1.Op_name)-1 || len(statuses) != len(lockdv1.Status_name)-1 || len(limits) != len(lockdv1.Limit_name)-1 {
		t.Errorf("%d ops, %d statuses, %d limits are compared; there are others", len(ops), len(statuses), len(limits))
	}
	for theirs, ours := range limits {
		if int32(theirs) != int32(ours) {
			t.Errorf("%v is %d here", theirs, ours)
		}
	}
	for theirs, ours := range map[int32]int{
		int32(lockdv1.Mode_MODE_EXCLUSIVE): int(fsm.Exclusive), int32(lockdv1.Mode_MODE_SHARED): int(fsm.Shared),
		int32(lockdv1.Mode_MODE_COUNTED): int(fsm.Counted),
	} {
		if int(theirs) != ours {
			t.Errorf("%v is %d here", lockdv1.Mode(theirs), ours)
		}
	}
	if int(lockdv1.Kind_KIND_LOCK) != int(fsm.KindLock) || int(lockdv1.Kind_KIND_SEMAPHORE) != int(fsm.KindSemaphore) ||
		int(lockdv1.OutcomeKind_OUTCOME_KIND_ANSWER) != int(fsm.OutcomeAnswer) || int(lockdv1.OutcomeKind_OUTCOME_KIND_GRANTED) != int(fsm.OutcomeGranted) ||
		int(lockdv1.OutcomeKind_OUTCOME_KIND_LOSS) != int(fsm.OutcomeLoss) || int(lockdv1.OutcomeKind_OUTCOME_KIND_ENDED) != int(fsm.OutcomeEnded) ||
		int(lockdv1.Class_CLASS_SEQ) != int(fsm.ClassSeq) || int(lockdv1.Class_CLASS_RENEWAL) != int(fsm.ClassRenewal) ||
		int(lockdv1.Class_CLASS_NONCE) != int(fsm.ClassNonce) {
		t.Error("kinds or classes differ")
	}
}

func FuzzFrames(f *testing.F) {
	c := fsm.Command{Op: fsm.OpAcquire, Session: 7, Incarnation: 1, Seq: 3, Wants: []fsm.Want{{Name: "x", Kind: fsm.KindLock, Mode: fsm.Exclusive}}}
	f.Add(AppendCommand(nil, &c))
	f.Add(AppendCommand(nil, &fsm.Command{Op: fsm.OpOpen, Label: "a", Secret: fsm.Secret{1}}))
	f.Add(appendOutcome(appendHello(nil, &lockdv1.Hello{Node: "n"}), &Outcome{Refusal: 1}))
	f.Add(appendOutcome(nil, &Outcome{Refusal: 4, Full: full("x", 1), Outcome: fsm.Outcome{Result: fsm.Result{Rest: "\x05\x06", Incarnation: 2}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var commands, again commandFrame
		var generated lockdv1.ClientFrame
		whole := proto.Unmarshal(data, &generated) == nil
		if commands.decode(data) == nil {
			var packed []byte
			for i := range commands.commands {
				packed = AppendCommand(packed, &commands.commands[i])
			}
			if err := again.decode(packed); err != nil {
				t.Fatalf("what was decoded and encoded does not decode: %v", err)
			}
			if whole && len(generated.GetCommands()) != len(commands.commands) {
				t.Fatalf("%d commands, the generated code finds %d", len(commands.commands), len(generated.GetCommands()))
			}
		}
		var outcomes, repeated Frame
		if outcomes.decode(data) == nil {
			var packed []byte
			for i := range outcomes.Outcomes {
				packed = appendOutcome(packed, &outcomes.Outcomes[i])
			}
			if err := repeated.decode(packed); err != nil {
				t.Fatalf("what was decoded and encoded does not decode: %v", err)
			}
		}
	})
}

func TestMalformedFrames(t *testing.T) {
	long := fsm.Command{Op: fsm.OpAcquire, Owner: string(make([]byte, CommandSizeMax))}
	whole := AppendCommand(nil, &fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1}, Label: "label"})
	shortSecret := append([]byte{tagCommands, 4}, 8<<3|2, 2, 1, 2)
	for name, data := range map[string][]byte{
		"too long":     AppendCommand(nil, &long),
		"cut off":      whole[:len(whole)-1],
		"short secret": shortSecret,
		"too many":     bytes.Repeat([]byte{tagCommands, 0}, FrameCommandsMax+1),
		"field 0":      {0, 0},
		"group":        {2<<3 | 3},
		"big number":   {tagCommands, 7, 3 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"endless":      {1 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		var f commandFrame
		if err := f.decode(data); err == nil {
			t.Errorf("%s: decoded as %+v", name, f.commands)
		}
	}
	tokens := append([]byte{0xaa, 1, fsm.WantsMax}, make([]byte, fsm.WantsMax)...) // one too many
	for name, data := range map[string][]byte{
		"tokens": append([]byte{tagOutcomes, byte(len(tokens))}, tokens...), "overload": {tagOutcomes, 4, 0xba, 1, 1, 0xff},
		"cut off": {tagOutcomes, 5, 1}, "hello": {tagHello, 1, 0xff}, "inside": {tagOutcomes, 2, 6<<3 | 2, 9}, "tag": {0xff},
	} {
		var f Frame
		if err := f.decode(data); err == nil {
			t.Errorf("%s: decoded as %+v", name, f)
		}
	}
}

// TestLaterVersions: fields that we do not know are passed over.
func TestLaterVersions(t *testing.T) {
	var extra []byte
	for _, field := range [][]byte{
		{0xf8, 0x07, 5},                         // 127: a number
		{0xfa, 0x07, 1, 'x'},                    // text
		{0xfd, 0x07, 1, 2, 3, 4},                // 32 bits
		{0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8},    // 64 bits
		{0xf8, 0x07, 0x80, 0x80, 0x80, 0x80, 1}, // a long number
	} {
		extra = append(extra, field...)
	}
	body := append([]byte{1 << 3, byte(fsm.OpClose)}, extra...)
	data := append(append([]byte{tagCommands, byte(len(body))}, body...), extra...)
	var f commandFrame
	if err := f.decode(data); err != nil || len(f.commands) != 1 || f.commands[0].Op != fsm.OpClose {
		t.Errorf("decoded %+v, %v", f.commands, err)
	}
	data[0] = tagOutcomes
	var s Frame
	if err := s.decode(data); err != nil || len(s.Outcomes) != 1 || s.Outcomes[0].Kind != fsm.OutcomeEnded {
		t.Errorf("decoded %+v, %v", s.Outcomes, err)
	}
}

// TestPacker: frames come out in order, none too large, and buffers go round.
func TestPacker(t *testing.T) {
	p := NewPacker()
	c := fsm.Command{Op: fsm.OpAcquire, Session: 1, Wants: []fsm.Want{{Name: string(bytes.Repeat([]byte("n"), 500))}}}
	const commands = 1000
	for i := range commands {
		c.Seq = fsm.Seq(i + 1)
		p.Command(&c)
	}
	<-p.Wake()
	frames := p.Take(nil)
	if p.Size() != 0 || len(p.Take(nil)) != 0 {
		t.Error("something is left")
	}
	if len(frames) < commands*500/packSize {
		t.Errorf("%d frames", len(frames))
	}
	next := fsm.Seq(1)
	for i := range frames {
		data, err := Codec().Marshal(&frames[i])
		if err != nil || data.Len() > FrameSizeMax {
			t.Fatal(data.Len(), err)
		}
		var f commandFrame
		if err := Codec().Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		for j := range f.commands {
			if f.commands[j].Seq != next {
				t.Fatalf("command %d in place of %d", f.commands[j].Seq, next)
			}
			next++
		}
		data.Free()
	}
	if next != commands+1 {
		t.Errorf("%d commands came out", next-1)
	}
}

func TestCodecOfMessages(t *testing.T) {
	data, err := Codec().Marshal(&lockdv1.InspectRequest{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var m lockdv1.InspectRequest
	if err := Codec().Unmarshal(data, &m); err != nil || m.GetName() != "x" {
		t.Error(&m, err)
	}
	var f Frame
	if err := Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer{0xff}}, &f); err == nil {
		t.Error("decoded nonsense")
	}
}
