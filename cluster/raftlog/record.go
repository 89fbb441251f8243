package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// A record is, little endian:
//
//	 0 crc32c u32 of the segment's seed, the record's offset, and what follows
//	 4 size u32 of the payload
//	 8 index u64
//	16 term u64
//	24 write u64, counted from 1 over the life of the log
//	32 appended i64, Unix nanoseconds; 0 is no time
//	40 extensions u32, how much of the payload's end they are
//	44 kind u8, 45 flags u8, 46 raft's type u8, 47 zero
//	48 payload, and zeros up to a multiple of eight
const (
	recordHeader = 48
	recordAlign  = 8
	// payloadMax bounds what a damaged size can make a reader read. Entries are
	// far smaller; Raft's own records of a configuration too.
	payloadMax = 8 << 20
	// writeMax bounds one write, and with it the segment that is made for it.
	writeMax = 64 << 20
)

// Kinds of records.
const (
	kindEntry = 1 + iota
	kindSeal  // the log goes on in the next segment
)

// Flags of records.
const (
	flagLast = 1 << iota // the last record of its write
	flagAnew             // nothing that is before it belongs to the log any more
	flagsAll = flagLast | flagAnew
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errNotARecord = errors.New("no valid record")

// A head is the header of a record.
type head struct {
	size, extensions   uint32
	index, term, write uint64
	appended           int64
	kind, flags, typ   uint8
}

// footprint is how many bytes a record with such a payload takes.
func footprint(size int) int {
	return (recordHeader + size + recordAlign - 1) &^ (recordAlign - 1)
}

// appendRecord encodes an entry that will be at offset of the segment.
func appendRecord(to []byte, seed uint32, offset int64, h head, payload ...[]byte) []byte {
	at := len(to)
	h.size = 0
	for _, p := range payload {
		h.size += uint32(len(p))
	}
	to = append(to, 0, 0, 0, 0)
	to = binary.LittleEndian.AppendUint32(to, h.size)
	to = binary.LittleEndian.AppendUint64(to, h.index)
	to = binary.LittleEndian.AppendUint64(to, h.term)
	to = binary.LittleEndian.AppendUint64(to, h.write)
	to = binary.LittleEndian.AppendUint64(to, uint64(h.appended))
	to = binary.LittleEndian.AppendUint32(to, h.extensions)
	to = append(to, h.kind, h.flags, h.typ, 0)
	for _, p := range payload {
		to = append(to, p...)
	}
	for (len(to)-at)%recordAlign != 0 {
		to = append(to, 0)
	}
	binary.LittleEndian.PutUint32(to[at:], checksum(seed, offset, to[at+4:]))
	return to
}

// checksum of a record's bytes after the checksum, the padding included.
func checksum(seed uint32, offset int64, rest []byte) uint32 {
	var place [8]byte
	binary.LittleEndian.PutUint64(place[:], uint64(offset))
	return crc32.Update(crc32.Update(seed, castagnoli, place[:]), castagnoli, rest)
}

// readRecord reads the record at the start of data, which is at offset of its
// segment. Any damage is errNotARecord.
func readRecord(data []byte, seed uint32, offset int64) (h head, payload []byte, err error) {
	if len(data) < recordHeader {
		return head{}, nil, errNotARecord
	}
	h = head{
		size:       binary.LittleEndian.Uint32(data[4:]),
		index:      binary.LittleEndian.Uint64(data[8:]),
		term:       binary.LittleEndian.Uint64(data[16:]),
		write:      binary.LittleEndian.Uint64(data[24:]),
		appended:   int64(binary.LittleEndian.Uint64(data[32:])),
		extensions: binary.LittleEndian.Uint32(data[40:]),
		kind:       data[44], flags: data[45], typ: data[46],
	}
	// Most of what is not a record is told here, without reading all of it.
	if h.kind < kindEntry || h.kind > kindSeal || h.flags&^flagsAll != 0 || data[47] != 0 ||
		h.size > payloadMax || h.extensions > h.size || footprint(int(h.size)) > len(data) {
		return head{}, nil, errNotARecord
	}
	if binary.LittleEndian.Uint32(data) != checksum(seed, offset, data[4:footprint(int(h.size))]) {
		return head{}, nil, errNotARecord
	}
	return h, data[recordHeader : recordHeader+int(h.size)], nil
}

// headOf is the header of an entry's record.
func headOf(entry *raft.Log, write uint64) head {
	h := head{
		index: entry.Index, term: entry.Term, write: write, kind: kindEntry, typ: uint8(entry.Type),
		extensions: uint32(len(entry.Extensions)),
	}
	if !entry.AppendedAt.IsZero() {
		h.appended = entry.AppendedAt.UnixNano()
	}
	return h
}

// fill makes entry what the record says. It keeps payload.
func (h head) fill(entry *raft.Log, payload []byte) {
	data := len(payload) - int(h.extensions)
	*entry = raft.Log{
		Index: h.index, Term: h.term, Type: raft.LogType(h.typ),
		Data: payload[:data:data], Extensions: payload[data:],
	}
	if h.extensions == 0 {
		entry.Extensions = nil
	}
	if h.appended != 0 {
		entry.AppendedAt = time.Unix(0, h.appended)
	}
}

func checkSize(entry *raft.Log) error {
	if size := len(entry.Data) + len(entry.Extensions); size > payloadMax {
		return fmt.Errorf("entry %d has %d bytes, at most %d are allowed", entry.Index, size, payloadMax)
	}
	return nil
}
