package rpc

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lockd-io/lockd/fsm"
)

// begin opens a length-delimited field; end closes it. Most are shorter than
// 128 bytes, and then the byte that begin leaves for the length suffices.
func begin(dst []byte, tag byte) ([]byte, int) {
	dst = append(dst, tag, 0)
	return dst, len(dst)
}

func end(dst []byte, start int) []byte {
	n := len(dst) - start
	if n < 0x80 {
		dst[start-1] = byte(n)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(length[:], uint64(n))
	dst = append(dst, length[1:size]...) // the room; what is in it moves
	copy(dst[start-1+size:], dst[start:start+n])
	copy(dst[start-1:], length[:size])
	return dst
}

func appendNumber(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func appendText(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), s)
}

func appendNonce(dst []byte, num protowire.Number, n fsm.Nonce) []byte {
	dst = append(dst, byte(num)<<3|byte(protowire.BytesType), 18, 1<<3|byte(protowire.Fixed64Type))
	dst = binary.LittleEndian.AppendUint64(dst, n.Hi)
	dst = append(dst, 2<<3|byte(protowire.Fixed64Type))
	return binary.LittleEndian.AppendUint64(dst, n.Lo)
}
