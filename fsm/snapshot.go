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
	snapshotVersion = 1
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
	recordHold
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
	v.sessions.Ascend(func(ss *session) bool { return writeSession(sw, ss) })
	var probe grant
	v.locks.Ascend(func(l *lock) bool { return v.writeHolds(sw, l, &probe) })
	v.queues.Ascend(func(w *waiter) bool { return writeWaiter(sw, w) })
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

func (v *View) writeHolds(sw *snapshotWriter, l *lock, probe *grant) bool {
	ok := true
	for i := range l.holds {
		h := &l.holds[i]
		sw.begin(recordHold)
		sw.buf = appendText(sw.buf, l.name)
		sw.buf = append(sw.buf, byte(l.kind), byte(h.mode))
		sw.buf = binary.AppendUvarint(sw.buf, uint64(h.permits))
		sw.buf = binary.AppendUvarint(sw.buf, uint64(h.session))
		sw.buf = appendText(sw.buf, h.owner)
		sw.buf = binary.AppendUvarint(sw.buf, uint64(h.token))
		sw.buf = binary.AppendUvarint(sw.buf, uint64(h.since))
		sw.buf = binary.AppendUvarint(sw.buf, uint64(len(h.grants)))
		for _, id := range h.grants {
			probe.session, probe.id = h.session, id
			g, _ := v.grants.Get(probe)
			sw.buf = binary.AppendUvarint(sw.buf, uint64(g.id))
			sw.buf = binary.AppendUvarint(sw.buf, uint64(g.seq))
			sw.buf = binary.AppendUvarint(sw.buf, uint64(g.until))
		}
		ok = sw.end()
	}
	return ok
}

func writeWaiter(sw *snapshotWriter, w *waiter) bool {
	sw.begin(recordWaiter)
	sw.buf = appendText(sw.buf, w.name)
	for _, n := range []uint64{
		uint64(w.id), uint64(w.session), uint64(w.incarnation), uint64(w.seq), w.hash,
		uint64(w.mode), uint64(w.permits), uint64(w.maxHold), uint64(w.since), uint64(w.deadline),
	} {
		sw.buf = binary.AppendUvarint(sw.buf, n)
	}
	sw.buf = appendText(sw.buf, w.owner)
	return sw.end()
}
