package fsm

import (
	"encoding/binary"
	"math"
)

// AppendCommand appends c's encoding to dst and returns the extended slice.
// What c.Op does not use is not encoded. c must pass Validate.
func AppendCommand(dst []byte, c *Command) []byte {
	dst = append(dst, byte(c.Op))
	if !c.speaks() {
		dst = appendNonce(dst, c.Nonce)
	} else {
		dst = binary.AppendUvarint(dst, uint64(c.Session))
		dst = binary.AppendUvarint(dst, uint64(c.Incarnation))
		dst = binary.AppendUvarint(dst, uint64(c.Seq))
		dst = binary.AppendUvarint(dst, uint64(c.Mark))
		dst = binary.AppendUvarint(dst, uint64(c.Seen))
	}
	switch c.Op {
	case OpOpen:
		dst = append(dst, c.Secret[:]...)
		dst = binary.AppendVarint(dst, int64(c.TTL))
		dst = appendText(dst, c.Label)
	case OpResume:
		dst = binary.AppendUvarint(dst, uint64(c.Session))
		dst = append(dst, c.Secret[:]...)
	case OpAttach:
		dst = appendNonce(append(dst, c.Secret[:]...), c.Nonce)
	case OpAcquire:
		dst = binary.AppendUvarint(dst, uint64(len(c.Wants)))
		for i := range c.Wants {
			dst = appendWant(dst, &c.Wants[i])
		}
		dst = appendText(dst, c.Owner)
		dst = binary.AppendVarint(dst, int64(c.Wait))
		dst = binary.AppendVarint(dst, int64(c.MaxHold))
		dst = appendBehalf(dst, c)
	case OpRelease:
		dst = binary.AppendUvarint(dst, uint64(c.Grant))
		dst = appendBehalf(dst, c)
	case OpExtend:
		dst = binary.AppendUvarint(dst, uint64(c.Grant))
		dst = binary.AppendVarint(dst, int64(c.MaxHold))
		dst = appendBehalf(dst, c)
	case OpAbandon:
		dst = binary.AppendUvarint(dst, uint64(c.Target))
	case OpMember:
		dst = appendMember(dst, &c.Member)
	}
	return dst
}

// appendBehalf encodes for whom c is, and what only such commands have.
func appendBehalf(dst []byte, c *Command) []byte {
	dst = append(dst, byte(c.Behalf))
	if c.Behalf == BehalfSelf {
		return dst
	}
	if c.Behalf == BehalfAnother {
		dst = binary.AppendUvarint(dst, uint64(c.For))
		dst = append(dst, c.Secret[:]...)
	}
	if c.Op == OpAcquire {
		return appendNonce(dst, c.Nonce)
	}
	return appendText(dst, c.Wants[0].Name)
}

func appendWant(dst []byte, w *Want) []byte {
	dst = append(dst, byte(w.Kind), byte(w.Mode))
	dst = binary.AppendUvarint(dst, uint64(w.Permits))
	dst = binary.AppendUvarint(dst, uint64(w.Limit))
	return appendText(dst, w.Name)
}

func appendMember(dst []byte, m *Member) []byte {
	dst = appendText(dst, m.ID)
	dst = appendNonce(dst, m.Instance)
	return appendText(dst, m.Address)
}

// DecodeCommand takes one command off the front of src into c and returns how
// many bytes it took. Every field of c is set; c.Wants is reused. On an error,
// which is ErrCorrupt, c is not to be used. For several commands in a row use
// DecodeCommands: this one copies all of src.
func DecodeCommand(src []byte, c *Command) (n int, err error) {
	r := reader[string]{b: string(src)}
	decodeCommand(&r, c)
	if r.bad {
		return 0, ErrCorrupt
	}
	return len(src) - len(r.b), nil
}

// DecodeCommands takes commands off src until its end and appends them to dst,
// whose spare capacity it reuses. The strings in them share one copy of src.
func DecodeCommands(src []byte, dst []Command) ([]Command, error) {
	r := reader[string]{b: string(src)}
	for len(r.b) > 0 {
		if len(dst) >= CommandsMax {
			return dst, ErrCorrupt
		}
		dst = appendDecoded(&r, dst)
		if r.bad {
			return dst, ErrCorrupt
		}
	}
	return dst, nil
}

// appendDecoded keeps the Wants of the place that it reuses.
func appendDecoded(r *reader[string], dst []Command) []Command {
	if len(dst) < cap(dst) {
		dst = dst[:len(dst)+1]
	} else {
		dst = append(dst, Command{})
	}
	decodeCommand(r, &dst[len(dst)-1])
	return dst
}

func decodeCommand(r *reader[string], c *Command) {
	*c = Command{Op: Op(r.byte()), Wants: c.Wants[:0]}
	if c.Op == 0 || c.Op >= opEnd {
		r.fail()
		return
	}
	if !c.speaks() {
		c.Nonce = r.nonce()
	} else {
		c.Session = SessionID(r.uvarint())
		c.Incarnation = Incarnation(r.limited(math.MaxUint32))
		c.Seq = Seq(r.uvarint())
		c.Mark = Seq(r.uvarint())
		c.Seen = EventID(r.uvarint())
	}
	switch c.Op {
	case OpOpen:
		c.Secret = r.secret()
		c.TTL = Duration(r.varint())
		c.Label = r.text(LabelSizeMax)
	case OpResume:
		c.Session = SessionID(r.uvarint())
		c.Secret = r.secret()
	case OpAttach:
		c.Secret, c.Nonce = r.secret(), r.nonce()
	case OpAcquire:
		for n := r.limited(WantsMax); n > 0 && !r.bad; n-- {
			c.Wants = append(c.Wants, decodeWant(r))
		}
		c.Owner = r.text(OwnerSizeMax)
		c.Wait = Duration(r.varint())
		c.MaxHold = Duration(r.varint())
		decodeBehalf(r, c)
	case OpRelease:
		c.Grant = GrantID(r.uvarint())
		decodeBehalf(r, c)
	case OpExtend:
		c.Grant = GrantID(r.uvarint())
		c.MaxHold = Duration(r.varint())
		decodeBehalf(r, c)
	case OpAbandon:
		c.Target = Seq(r.uvarint())
	case OpMember:
		c.Member = Member{ID: r.text(MemberSizeMax), Instance: r.nonce(), Address: r.text(MemberSizeMax)}
	}
}

func decodeBehalf(r *reader[string], c *Command) {
	switch c.Behalf = Behalf(r.byte()); c.Behalf {
	case BehalfSelf:
		return
	case BehalfNobody:
	case BehalfAnother:
		c.For = SessionID(r.uvarint())
		c.Secret = r.secret()
	default:
		r.fail()
		return
	}
	if c.Op == OpAcquire {
		c.Nonce = r.nonce()
		return
	}
	c.Wants = append(c.Wants, Want{Name: r.text(NameSizeMax)})
}

func decodeWant(r *reader[string]) Want {
	return Want{
		Kind: Kind(r.byte()), Mode: Mode(r.byte()),
		Permits: Permits(r.limited(math.MaxUint32)), Limit: Permits(r.limited(math.MaxUint32)),
		Name: r.text(NameSizeMax),
	}
}

// AppendOutcome appends o's encoding to dst and returns the extended slice.
func AppendOutcome(dst []byte, o *Outcome) []byte {
	dst = append(dst, byte(o.Kind), byte(o.Key.Class))
	dst = binary.AppendUvarint(dst, uint64(o.Key.Incarnation))
	dst = binary.AppendUvarint(dst, uint64(o.Key.Session))
	dst = binary.AppendUvarint(dst, uint64(o.Key.Seq))
	dst = binary.AppendVarint(dst, int64(o.Pos))
	dst = binary.AppendUvarint(dst, uint64(o.Event))
	return appendResult(dst, &o.Result)
}

// Bits of the byte that says which rarer fields a result has.
const (
	hasGrant = 1 << iota // grant, token, until, count
	hasSession
	hasTerm
	hasPlace
	hasLimit
	hasIncarnation
	hasRest
)

// has tells which of the rarer fields are set.
func (r *Result) has() (has byte) {
	if r.Grant != 0 || r.Token != 0 || r.Until != 0 || r.Count != 0 {
		has |= hasGrant
	}
	if r.Session != 0 {
		has |= hasSession
	}
	if r.Term != 0 {
		has |= hasTerm
	}
	if r.Place != 0 {
		has |= hasPlace
	}
	if r.Limit != 0 || r.Value != 0 {
		has |= hasLimit
	}
	if r.Incarnation != 0 {
		has |= hasIncarnation
	}
	if r.Rest != "" {
		has |= hasRest
	}
	return has
}

func appendResult(dst []byte, r *Result) []byte {
	has := r.has()
	dst = append(dst, byte(r.Status), has)
	dst = binary.AppendVarint(dst, int64(r.At))
	dst = binary.AppendUvarint(dst, uint64(r.Index))
	dst = binary.AppendUvarint(dst, uint64(r.Order))
	if has&hasGrant != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Grant))
		dst = binary.AppendUvarint(dst, uint64(r.Token))
		dst = binary.AppendVarint(dst, int64(r.Until))
		dst = binary.AppendUvarint(dst, uint64(r.Count))
	}
	if has&hasSession != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Session))
	}
	if has&hasTerm != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Term))
	}
	if has&hasPlace != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Place))
	}
	if has&hasLimit != 0 {
		dst = append(dst, byte(r.Limit))
		dst = binary.AppendUvarint(dst, r.Value)
	}
	if has&hasIncarnation != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Incarnation))
	}
	if has&hasRest != 0 {
		dst = appendText(dst, string(r.Rest))
	}
	return dst
}

// DecodeOutcome takes one outcome off the front of src into o and returns how
// many bytes it took. The error is ErrCorrupt; o is not to be used then.
func DecodeOutcome(src []byte, o *Outcome) (n int, err error) {
	r := reader[[]byte]{b: src}
	*o = Outcome{Kind: OutcomeKind(r.byte())}
	o.Key = Key{
		Class: Class(r.byte()), Incarnation: Incarnation(r.limited(math.MaxUint32)),
		Session: SessionID(r.uvarint()), Seq: Seq(r.uvarint()),
	}
	o.Pos = int(r.varint())
	o.Event = EventID(r.uvarint())
	o.Result = decodeResult(&r)
	if r.bad || o.Kind == 0 || o.Kind > OutcomeEnded || o.Key.Class == 0 || o.Key.Class > ClassNonce {
		return 0, ErrCorrupt
	}
	return len(src) - len(r.b), nil
}

// decodeResult takes the canonical form alone: a status and fields that are
// known, and no field that says nothing.
func decodeResult[T string | []byte](r *reader[T]) (v Result) {
	v.Status = Status(r.byte())
	has := r.byte()
	if v.Status == 0 || v.Status >= statusEnd {
		r.fail()
	}
	v.At = Instant(r.varint())
	v.Index = Index(r.uvarint())
	v.Order = uint32(r.limited(math.MaxUint32))
	if has&hasGrant != 0 {
		v.Grant, v.Token = GrantID(r.uvarint()), Token(r.uvarint())
		v.Until, v.Count = Instant(r.varint()), uint32(r.limited(math.MaxUint32))
	}
	if has&hasSession != 0 {
		v.Session = SessionID(r.uvarint())
	}
	if has&hasTerm != 0 {
		v.Term = Term(r.uvarint())
	}
	if has&hasPlace != 0 {
		v.Place = uint32(r.limited(math.MaxUint32))
	}
	if has&hasLimit != 0 {
		v.Limit, v.Value = LimitID(r.byte()), r.uvarint()
	}
	if has&hasIncarnation != 0 {
		v.Incarnation = Incarnation(r.limited(math.MaxUint32))
	}
	if has&hasRest != 0 {
		v.Rest = decodeTokens(r)
	}
	if v.has() != has {
		r.fail()
	}
	return v
}
