package raftlog

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/raft"
)

// StoreLog is StoreLogs of one entry.
func (l *Log) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs appends entries, which must go on where the log ends; to an empty
// log any index may come. When it returns nil they survive a power cut. After
// an error any of them may be there when the log is opened again, and nothing
// can be appended until then: a flush that failed says nothing about the next. The
// exception is OutOfDescriptors: nothing was written, the same may be tried again.
func (l *Log) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	if !l.appending.CompareAndSwap(false, true) {
		return errors.New("two goroutines append to one log")
	}
	defer l.appending.Store(false)
	if l.failed != nil {
		return l.failed
	}
	anew, size, err := l.fits(entries)
	if err != nil {
		return err
	}
	if l.offset+size+sealSize > l.tail.size {
		if err := l.rotate(size); OutOfDescriptors(err) {
			return err // it could not begin
		} else if err != nil {
			return l.fail(err)
		}
	}
	places := l.encode(entries, anew)
	if err := l.put(l.buffer); err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	if len(l.places) == 0 {
		l.first = entries[0].Index
	}
	l.places = append(l.places, places...)
	l.mu.Unlock()
	l.prepare()
	return nil
}

func (l *Log) fail(err error) error {
	l.failed = fmt.Errorf("append to the log: %w", err)
	return l.failed
}

// fits checks that the entries can be appended. anew tells that they are the
// first of an empty log.
func (l *Log) fits(entries []*raft.Log) (anew bool, size int64, err error) {
	l.mu.RLock()
	next, anew, closed := l.lastLocked()+1, len(l.places) == 0, l.closed
	l.mu.RUnlock()
	if closed {
		return false, 0, errClosed
	}
	if anew {
		next = entries[0].Index
	}
	for _, entry := range entries {
		if entry.Index != next || next == 0 {
			return false, 0, fmt.Errorf("append to the log: entry %d comes where %d is next", entry.Index, next)
		}
		if err := checkSize(entry); err != nil {
			return false, 0, err
		}
		size += int64(footprint(len(entry.Data) + len(entry.Extensions)))
		next++
	}
	if size > writeMax {
		return false, 0, fmt.Errorf("append to the log: %d bytes at once, at most %d are allowed", size, writeMax)
	}
	return anew, size, nil
}

// encode makes one write of the entries in l.buffer, and says where they will be.
func (l *Log) encode(entries []*raft.Log, anew bool) []place {
	l.buffer = l.buffer[:0]
	places := make([]place, len(entries))
	for i, entry := range entries {
		h := headOf(entry, l.write+1)
		if i == 0 && anew {
			h.flags |= flagAnew
		}
		if i == len(entries)-1 {
			h.flags |= flagLast
		}
		offset := l.offset + int64(len(l.buffer))
		places[i] = place{l.tail, uint32(offset), uint32(len(entry.Data) + len(entry.Extensions))}
		l.buffer = appendRecord(l.buffer, l.tail.seed, offset, h, entry.Data, entry.Extensions)
	}
	return places
}

// put makes data the next write of the tail, durable when it returns nil.
func (l *Log) put(data []byte) error {
	if err := l.step.do("write"); err != nil {
		return err
	}
	if _, err := l.tail.file.WriteAt(data, l.offset); err != nil {
		return err
	}
	if err := flush(l.tail.file); err != nil {
		return err
	}
	l.offset += int64(len(data))
	l.write++
	if cap(l.buffer) > bufferKeepMax {
		l.buffer = nil
	}
	return nil
}

// bufferKeepMax: a larger buffer is left to the collector.
const bufferKeepMax = 1 << 20

// prepare makes the file of the next segment once the tail is half full, so that the
// log goes on when there are no descriptors, or no room on the disk, any more. What
// keeps it from that is told when it is needed.
func (l *Log) prepare() {
	if l.spare != nil || l.spared || l.offset < l.tail.size/2 {
		return
	}
	var err error
	l.spare, err = makeFile(filepath.Join(l.dir, spareName), l.segmentSize, l.step)
	l.spared = err != nil && !OutOfDescriptors(err) // those come back soon
}

// rotate makes the segment that the log goes on in, then ends the tail. If it
// is there, empty, and the tail does not end, a crash came in between; if the
// tail ends and it is not there, it was lost.
func (l *Log) rotate(need int64) error {
	size := max(l.segmentSize, segmentHeader+need+sealSize)
	number := l.tail.number + 1
	file := l.spare
	if file == nil || size > l.segmentSize {
		var err error
		if file, err = makeFile(filepath.Join(l.dir, segmentName(number)+temporary), size, l.step); err != nil {
			return err
		}
	} else {
		l.spare = nil
	}
	next, err := publishSegment(file, l.directory, segment{number: number, first: l.write + 2, size: size}, l.mark, l.step)
	if err != nil {
		return err
	}
	seal := head{write: l.write + 1, kind: kindSeal, flags: flagLast}
	if err := l.put(appendRecord(nil, l.tail.seed, l.offset, seal)); err != nil {
		return errors.Join(err, next.close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.tail
	l.tail, l.offset, l.spared = next, segmentHeader, false
	l.segments = append(l.segments, next)
	return l.turnTo(left)
}

// OutOfDescriptors tells of an error that passes: the process, or the system, has as
// many files open as it may.
func OutOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
