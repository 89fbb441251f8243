package fsm

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// A snapshot is magic, version, then records (length u32, kind, body), the
// last of which holds the count of the others and a CRC-32C over all before.
// Tables are in key order and nothing derived is written, so that equal states
// give equal bytes.
const (
	snapshotMagic   = "lockdsnp"
	snapshotVersion = 2
	// recordSizeMax bounds what a reader allocates for one record: a session
	// with a full window is the largest.
	recordSizeMax = 1 << 20
)

const (
	_ byte = iota
	recordHeader
	recordMember
	recordSession
	recordEvent
	recordLock
	recordGrant
	recordWaiter
	recordEnd
)

// snapshotWriter gathers records into large writes.
type snapshotWriter struct {
	w       io.Writer
	buf     []byte
	start   int // of the open record
	sum     uint32
	count   uint64
	written int64
	err     error
}

// WriteTo writes the canonical snapshot of the view.
func (v *View) WriteTo(w io.Writer) (int64, error) {
	sw := &snapshotWriter{w: w}
	sw.buf = append(sw.buf, snapshotMagic...)
	sw.buf = append(sw.buf, snapshotVersion)
	v.writeHeader(sw)
	v.members.Ascend(func(m *Member) bool {
		sw.begin(recordMember)
		sw.buf = appendMember(sw.buf, m)
		return sw.end()
	})
	v.sessions.Ascend(func(ss *session) bool {
		return ss.id == ReservedSession || writeSession(sw, ss)
	})
	v.locks.Ascend(func(l *lock) bool { return writeLock(sw, l) })
	v.grants.Ascend(func(g *grant) bool { return writeGrant(sw, g) })
	v.parked.Ascend(func(w *waiter) bool { return writeWaiter(sw, w) })
	sw.begin(recordEnd)
	sw.buf = binary.AppendUvarint(sw.buf, sw.count-1)
	sw.end()
	sw.flush()
	sw.buf = binary.LittleEndian.AppendUint32(sw.buf, sw.sum)
	sw.flush()
	return sw.written, sw.err
}

func (sw *snapshotWriter) begin(kind byte) {
	sw.start = len(sw.buf)
	sw.buf = append(sw.buf, 0, 0, 0, 0, kind)
	sw.count++
}

// end closes the record; false stops the walk after a failed write.
func (sw *snapshotWriter) end() bool {
	binary.LittleEndian.PutUint32(sw.buf[sw.start:], uint32(len(sw.buf)-sw.start-4))
	if len(sw.buf) >= 64<<10 {
		sw.flush()
	}
	return sw.err == nil
}

func (sw *snapshotWriter) flush() {
	if sw.err == nil {
		var n int
		sw.sum = crc32.Update(sw.sum, castagnoli, sw.buf)
		n, sw.err = sw.w.Write(sw.buf)
		sw.written += int64(n)
	}
	sw.buf = sw.buf[:0]
}

func (v *View) writeHeader(sw *snapshotWriter) {
	sw.begin(recordHeader)
	for _, n := range []uint64{
		uint64(v.level), uint64(v.epoch), uint64(v.applied), uint64(v.term), uint64(v.now),
		uint64(v.lastSession), uint64(v.lastGrant), uint64(v.lastWaiter), v.lastToken,
	} {
		sw.buf = binary.AppendUvarint(sw.buf, n)
	}
	sw.buf = binary.LittleEndian.AppendUint64(sw.buf, v.chain)
	for _, c := range v.recent {
		sw.buf = binary.AppendUvarint(sw.buf, uint64(c.Index))
		sw.buf = binary.LittleEndian.AppendUint64(sw.buf, c.Hash)
	}
	sw.end()
}

func writeSession(sw *snapshotWriter, ss *session) bool {
	sw.begin(recordSession)
	sw.buf = binary.AppendUvarint(sw.buf, uint64(ss.id))
	sw.buf = binary.AppendUvarint(sw.buf, uint64(ss.incarnation))
	sw.buf = append(sw.buf, ss.secret[:]...)
	sw.buf = appendNonce(sw.buf, ss.nonce)
	sw.buf = binary.AppendUvarint(sw.buf, uint64(len(ss.resumes)))
	for _, n := range ss.resumes {
		sw.buf = appendNonce(sw.buf, n)
	}
	sw.buf = appendText(sw.buf, ss.label)
	for _, n := range []uint64{
		uint64(ss.ttl), uint64(ss.deadline), uint64(ss.mark), uint64(ss.lastSeq),
		uint64(ss.seen), uint64(ss.lastEvent),
	} {
		sw.buf = binary.AppendUvarint(sw.buf, n)
	}
	living := ss.window.living(ss.mark)
	sw.buf = binary.AppendUvarint(sw.buf, uint64(len(living)))
	for i := range living {
		sw.buf = binary.AppendUvarint(sw.buf, uint64(living[i].seq))
		sw.buf = binary.LittleEndian.AppendUint64(sw.buf, living[i].hash)
		sw.buf = appendResult(sw.buf, &living[i].result)
	}
	ok := sw.end()
	for i := range ss.events {
		e := &ss.events[i]
		sw.begin(recordEvent)
		sw.buf = binary.AppendUvarint(sw.buf, uint64(ss.id))
		sw.buf = binary.AppendUvarint(sw.buf, uint64(e.id))
		sw.buf = append(sw.buf, byte(e.kind))
		sw.buf = binary.AppendUvarint(sw.buf, uint64(e.seq))
		sw.buf = appendResult(sw.buf, &e.result)
		ok = sw.end()
	}
	return ok
}

func writeLock(sw *snapshotWriter, l *lock) bool {
	sw.begin(recordLock)
	sw.buf = appendText(sw.buf, l.name)
	sw.buf = append(sw.buf, byte(l.kind))
	sw.buf = binary.AppendUvarint(sw.buf, uint64(l.limit))
	return sw.end()
}

func writeGrant(sw *snapshotWriter, g *grant) bool {
	sw.begin(recordGrant)
	for _, n := range []uint64{uint64(g.session), uint64(g.id), uint64(g.seq)} {
		sw.buf = binary.AppendUvarint(sw.buf, n)
	}
	sw.buf = appendNonce(sw.buf, g.key)
	sw.buf = appendText(sw.buf, g.name)
	sw.buf = appendText(sw.buf, g.owner)
	for _, n := range []uint64{
		uint64(g.mode), uint64(g.permits), uint64(g.token), uint64(g.since), uint64(g.until),
	} {
		sw.buf = binary.AppendUvarint(sw.buf, n)
	}
	return sw.end()
}

func writeWaiter(sw *snapshotWriter, w *waiter) bool {
	sw.begin(recordWaiter)
	for _, n := range []uint64{
		uint64(w.turn), uint64(w.session), uint64(w.speaker), uint64(w.seq), w.hash,
		uint64(w.maxHold), uint64(w.since), uint64(w.deadline),
	} {
		sw.buf = binary.AppendUvarint(sw.buf, n)
	}
	sw.buf = appendNonce(sw.buf, w.key)
	sw.buf = appendText(sw.buf, w.owner)
	sw.buf = binary.AppendUvarint(sw.buf, uint64(len(w.wants)))
	for i := range w.wants {
		sw.buf = appendWant(sw.buf, &w.wants[i])
	}
	return sw.end()
}
