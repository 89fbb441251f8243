package rpc

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lockd-io/lockd/fsm"
)

// A reader takes protobuf fields off the front of b. After the first thing
// that is not there, bad is set and nothing follows. Over a string, text
// shares b.
type reader[T string | []byte] struct {
	b   T
	bad bool
}

func (r *reader[T]) fail() { r.b, r.bad = r.b[:0], true }

// next is the number and type of the next field; false at the end.
func (r *reader[T]) next() (protowire.Number, protowire.Type, bool) {
	if len(r.b) == 0 {
		return 0, 0, false
	}
	tag := r.uvarint()
	num, kind := protowire.DecodeTag(tag)
	if num < protowire.MinValidNumber {
		r.fail()
	}
	return num, kind, !r.bad
}

func (r *reader[T]) uvarint() uint64 {
	v, shift := uint64(0), 0
	for i := 0; i < len(r.b) && i < binary.MaxVarintLen64; i++ {
		c := r.b[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			break // over 64 bits
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			r.b = r.b[i+1:]
			return v
		}
		shift += 7
	}
	r.fail()
	return 0
}

// small is uvarint for what fits into 32 bits.
func (r *reader[T]) small() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.fail()
		return 0
	}
	return uint32(v)
}

// number is uvarint for an enumeration: what does not fit into a byte is
// unknown, which 255 is too.
func (r *reader[T]) number() uint8 { return uint8(min(r.uvarint(), 255)) }

func (r *reader[T]) fixed64() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := uint64(0)
	for i := range 8 {
		v |= uint64(r.b[i]) << (8 * i)
	}
	r.b = r.b[8:]
	return v
}

// field is the content of a length-delimited field.
func (r *reader[T]) field() T {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return r.b
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// skip passes over a field of a later version.
func (r *reader[T]) skip(kind protowire.Type) {
	switch kind {
	case protowire.VarintType:
		r.uvarint()
	case protowire.Fixed64Type:
		r.fixed64()
	case protowire.BytesType:
		r.field()
	case protowire.Fixed32Type:
		if len(r.b) < 4 {
			r.fail()
			return
		}
		r.b = r.b[4:]
	default: // groups: nobody writes them
		r.fail()
	}
}

func decodeNonce[T string | []byte](from *reader[T]) (n fsm.Nonce) {
	r := reader[T]{b: from.field()}
	for {
		num, kind, ok := r.next()
		if !ok {
			break
		}
		switch {
		case num == 1 && kind == protowire.Fixed64Type:
			n.Hi = r.fixed64()
		case num == 2 && kind == protowire.Fixed64Type:
			n.Lo = r.fixed64()
		default:
			r.skip(kind)
		}
	}
	if r.bad {
		from.fail()
	}
	return n
}
