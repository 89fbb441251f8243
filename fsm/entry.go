package fsm

import (
	"encoding/binary"
	"hash/crc32"
)

// An entry is a header of fixed size, its commands, and a CRC-32C over both:
//
//	magic 0xE1 | version 1 | term u64 | now i64 | check index u64 | check hash u64 | count u32 | commands | crc u32
//
// The header is filled in last, because the stamp is to be read after the last
// command is in: were it read before, a renewal sent in between would count
// from a time before it was sent, and the session could end too early.
const (
	entryMagic      = 0xE1
	entryVersion    = 1
	entryHeaderSize = 2 + 4*8 + 4
	entryTailSize   = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendEntryHeader begins an entry in b[:0], with room for the header that
// SealEntry fills. Commands follow by AppendCommand.
func AppendEntryHeader(b []byte) []byte {
	return append(b[:0], make([]byte, entryHeaderSize)...)
}

// SealEntry completes an entry of count commands: it fills in the header and
// appends the checksum.
func SealEntry(b []byte, term Term, now Instant, check Check, count int) []byte {
	h := append(b[:0], entryMagic, entryVersion)
	h = binary.LittleEndian.AppendUint64(h, uint64(term))
	h = binary.LittleEndian.AppendUint64(h, uint64(now))
	h = binary.LittleEndian.AppendUint64(h, uint64(check.Index))
	h = binary.LittleEndian.AppendUint64(h, check.Hash)
	binary.LittleEndian.AppendUint32(h, uint32(count))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// DecodeEntry reads a whole entry into e and reuses e.Commands. The error is
// ErrCorrupt: a node that finds it in its log must stop rather than diverge.
func DecodeEntry(b []byte, e *Entry) error {
	if len(b) < entryHeaderSize+entryTailSize || b[0] != entryMagic || b[1] != entryVersion {
		return ErrCorrupt
	}
	body := b[:len(b)-entryTailSize]
	if binary.LittleEndian.Uint32(b[len(body):]) != crc32.Checksum(body, castagnoli) {
		return ErrCorrupt
	}
	h := reader[[]byte]{b: body[2:entryHeaderSize]}
	e.Term = Term(h.u64())
	e.Now = Instant(h.u64())
	e.Check = Check{Index: Index(h.u64()), Hash: h.u64()}
	count := int(binary.LittleEndian.Uint32(h.b))
	if count > CommandsMax || e.Now < 0 {
		return ErrCorrupt
	}
	r := reader[string]{b: string(body[entryHeaderSize:])}
	e.Commands = e.Commands[:0]
	for range count {
		if e.Commands = appendDecoded(&r, e.Commands); r.bad {
			return ErrCorrupt
		}
	}
	if len(r.b) > 0 {
		return ErrCorrupt
	}
	return nil
}
