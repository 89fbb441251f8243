package fsm

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt: the bytes are not what an encoder of this package wrote. Bytes
// from a peer end the connection; bytes from a log or a disk stop the node.
var ErrCorrupt = errors.New("fsm: corrupt bytes")

// A reader takes values off the front of b. After the first value that is not
// there it gives only zeros, and bad is set. Over a string, text shares b.
type reader[T string | []byte] struct {
	b   T
	bad bool
}

func (r *reader[T]) fail() { r.b, r.bad = r.b[:0], true }

func (r *reader[T]) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
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
			if c == 0 && i > 0 {
				break // a longer form of a smaller number
			}
			r.b = r.b[i+1:]
			return v
		}
		shift += 7
	}
	r.fail()
	return 0
}

// limited is uvarint for what must not be over most.
func (r *reader[T]) limited(most uint64) uint64 {
	v := r.uvarint()
	if v > most {
		r.fail()
		return 0
	}
	return v
}

func (r *reader[T]) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader[T]) u64() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := uint64(0)
	for i := 7; i >= 0; i-- {
		v = v<<8 | uint64(r.b[i])
	}
	r.b = r.b[8:]
	return v
}

func (r *reader[T]) text(sizeMax int) string {
	n := int(r.limited(uint64(sizeMax)))
	if n > len(r.b) {
		r.fail()
		return ""
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return string(v)
}

func (r *reader[T]) secret() (v Secret) {
	if len(r.b) < len(v) {
		r.fail()
		return v
	}
	copy(v[:], r.b)
	r.b = r.b[len(v):]
	return v
}

func (r *reader[T]) nonce() Nonce { return Nonce{Hi: r.u64(), Lo: r.u64()} }

// nonces are at most so many; nil if there are none.
func (r *reader[T]) nonces(most uint64) (all []Nonce) {
	for n := r.limited(most); n > 0 && !r.bad; n-- {
		all = append(all, r.nonce())
	}
	return all
}

func appendText(b []byte, text string) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

func appendNonce(b []byte, n Nonce) []byte {
	b = binary.LittleEndian.AppendUint64(b, n.Hi)
	return binary.LittleEndian.AppendUint64(b, n.Lo)
}
