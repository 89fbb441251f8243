package rpc

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// Outcomes are encoded and decoded by hand as commands are; the bytes are those
// of message Outcome in lockd.proto.

const (
	tagHello    = 1<<3 | byte(protowire.BytesType) // ServerFrame.hello
	tagOutcomes = 2<<3 | byte(protowire.BytesType) // ServerFrame.outcomes
)

// An Outcome is what a node says of a command or to a session. If Refusal is
// set, it is the node that speaks and not the machine: only Key counts, and Full
// of REFUSAL_OVERLOADED.
type Outcome struct {
	fsm.Outcome
	Refusal lockdv1.Refusal
	Full    *lockapi.OverloadError
}

// appendOutcome appends o to dst as one element of ServerFrame.outcomes. Pos
// and Result.Term do not travel: they mean nothing to a client.
func appendOutcome(dst []byte, o *Outcome) []byte {
	dst, start := begin(dst, tagOutcomes)
	dst = appendNumber(dst, 1, uint64(o.Kind))
	dst = appendNumber(dst, 2, uint64(o.Key.Class))
	if o.Key.Class == fsm.ClassNonce {
		dst = appendNonce(dst, 6, fsm.Nonce{Hi: uint64(o.Key.Session), Lo: uint64(o.Key.Seq)})
	} else {
		dst = appendNumber(dst, 3, uint64(o.Key.Session))
		dst = appendNumber(dst, 4, uint64(o.Key.Incarnation))
		dst = appendNumber(dst, 5, uint64(o.Key.Seq))
	}
	dst = appendNumber(dst, 7, uint64(o.Event))
	dst = appendNumber(dst, 8, uint64(o.Refusal))
	r := &o.Result
	dst = appendNumber(dst, 9, uint64(r.Status))
	dst = appendNumber(dst, 10, uint64(r.At))
	dst = appendNumber(dst, 11, uint64(r.Index))
	dst = appendNumber(dst, 12, uint64(r.Order))
	dst = appendNumber(dst, 13, uint64(r.Session))
	dst = appendNumber(dst, 14, uint64(r.Grant))
	dst = appendNumber(dst, 15, uint64(r.Token))
	dst = appendNumber(dst, 16, uint64(r.Until))
	dst = appendNumber(dst, 17, uint64(r.Count))
	dst = appendNumber(dst, 18, uint64(r.Place))
	dst = appendNumber(dst, 19, uint64(r.Limit))
	dst = appendNumber(dst, 20, r.Value)
	dst = appendText(dst, 21, string(r.Rest)) // numbers, as a list of them is packed
	dst = appendNumber(dst, 22, uint64(r.Incarnation))
	if o.Full != nil {
		dst = appendOverload(dst, o.Full)
	}
	return end(dst, start)
}

func appendOverload(dst []byte, full *lockapi.OverloadError) []byte {
	dst = protowire.AppendTag(dst, 23, protowire.BytesType)
	m := overloadMessage(full)
	body, _ := proto.Marshal(m) // as in appendHello
	return protowire.AppendBytes(dst, body)
}

func appendHello(dst []byte, h *lockdv1.Hello) []byte {
	dst, start := begin(dst, tagHello)
	// It fails only for text that is not UTF-8; the rest is there then too.
	dst, _ = proto.MarshalOptions{}.MarshalAppend(dst, h)
	return end(dst, start)
}

// Frame is a ServerFrame as a client receives it with RecvMsg. What is in it is
// valid until it receives the next.
type Frame struct {
	Hello    *lockdv1.Hello // nil: nothing new about the node
	Outcomes []Outcome
}

func (f *Frame) decode(data []byte) error {
	f.Hello, f.Outcomes = nil, f.Outcomes[:0]
	r := reader[[]byte]{b: data}
	for {
		num, kind, ok := r.next()
		if !ok {
			break
		}
		switch {
		case num == 1 && kind == protowire.BytesType:
			f.Hello = &lockdv1.Hello{}
			if err := proto.Unmarshal(r.field(), f.Hello); err != nil {
				return err
			}
		case num == 2 && kind == protowire.BytesType:
			f.Outcomes = append(f.Outcomes, Outcome{})
			in := reader[[]byte]{b: r.field()}
			if decodeOutcome(&in, &f.Outcomes[len(f.Outcomes)-1]); in.bad {
				return errMalformed
			}
		default:
			r.skip(kind)
		}
	}
	if r.bad {
		return errMalformed
	}
	return nil
}

func decodeOutcome(r *reader[[]byte], o *Outcome) {
	o.Pos = -1
	for {
		num, kind, ok := r.next()
		switch {
		case !ok:
			return
		case num == 6 && kind == protowire.BytesType:
			n := decodeNonce(r)
			o.Key.Session, o.Key.Seq = fsm.SessionID(n.Hi), fsm.Seq(n.Lo)
		case num == 21 && kind == protowire.BytesType:
			o.Result.Rest = decodeTokens(r)
		case num == 23 && kind == protowire.BytesType:
			var m lockdv1.Overload
			if proto.Unmarshal(r.field(), &m) != nil {
				r.fail()
			}
			o.Full = overloadOf(&m)
		case kind != protowire.VarintType:
			r.skip(kind)
		case num > 8:
			decodeResult(r, &o.Result, num)
		default:
			decodeOutcomeNumber(r, o, num)
		}
	}
}

// decodeTokens takes a packed list of numbers, which fsm.Tokens is as well, in its
// shortest form.
func decodeTokens(from *reader[[]byte]) fsm.Tokens {
	r := reader[[]byte]{b: from.field()}
	var list []byte
	for n := 0; len(r.b) > 0; n++ {
		list = binary.AppendUvarint(list, r.uvarint())
		if r.bad || n >= fsm.WantsMax-1 {
			from.fail()
			return ""
		}
	}
	return fsm.Tokens(list)
}

func decodeOutcomeNumber(r *reader[[]byte], o *Outcome, num protowire.Number) {
	switch num {
	case 1:
		o.Kind = fsm.OutcomeKind(r.number())
	case 2:
		o.Key.Class = fsm.Class(r.number())
	case 3:
		o.Key.Session = fsm.SessionID(r.uvarint())
	case 4:
		o.Key.Incarnation = fsm.Incarnation(r.small())
	case 5:
		o.Key.Seq = fsm.Seq(r.uvarint())
	case 7:
		o.Event = fsm.EventID(r.uvarint())
	case 8:
		o.Refusal = lockdv1.Refusal(r.number())
	default:
		r.uvarint()
	}
}

func decodeResult(r *reader[[]byte], v *fsm.Result, num protowire.Number) {
	switch num {
	case 9:
		v.Status = fsm.Status(r.number())
	case 10:
		v.At = fsm.Instant(r.uvarint())
	case 11:
		v.Index = fsm.Index(r.uvarint())
	case 12:
		v.Order = r.small()
	case 13:
		v.Session = fsm.SessionID(r.uvarint())
	case 14:
		v.Grant = fsm.GrantID(r.uvarint())
	case 15:
		v.Token = fsm.Token(r.uvarint())
	case 16:
		v.Until = fsm.Instant(r.uvarint())
	case 17:
		v.Count = r.small()
	case 18:
		v.Place = r.small()
	case 19:
		v.Limit = fsm.LimitID(r.number())
	case 20:
		v.Value = r.uvarint()
	case 22:
		v.Incarnation = fsm.Incarnation(r.small())
	default:
		r.uvarint()
	}
}
