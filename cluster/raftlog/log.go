package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// SegmentSize is how large segments are made: small enough that a log that is
// compacted gives its space back, large enough that making one, a few
// milliseconds in which nothing is appended, is seldom.
const SegmentSize = 16 << 20

// sealSize is kept free at the end of a segment for the record that ends it.
const sealSize = recordHeader

// ErrDamaged is in the chain of every error that says that the log does not
// read as it was written.
var ErrDamaged = errors.New("the log is damaged")

func damagedf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

var errClosed = errors.New("the log is closed")

// A place is where an entry's record is.
type place struct {
	segment *segment
	offset  uint32
	size    uint32 // of the payload
}

// A Log is Raft's log: a raft.LogStore in which no index is left out. One
// goroutine at a time may append, as Raft does; the rest may be called by any.
type Log struct {
	dir         string
	mark        Mark
	segmentSize int64
	step        step

	// The appender's own:
	appending atomic.Bool
	tail      *segment
	offset    int64  // in tail, of the next record
	write     uint64 // the last one
	failed    error  // a write failed: what the disk has is unknown
	buffer    []byte
	directory *os.File // to be flushed
	spare     *os.File // the next segment's, nil if there is none yet
	spared    bool     // none could be made: it is made when it is needed

	mu       sync.RWMutex // guards the fields below; readers hold it while they read a file
	closed   bool
	segments []*segment // oldest first; the last is tail
	first    uint64     // index of places[0]
	places   []place
	stale    []uint64 // segments of before, which were to be unlinked

	turning sync.Mutex // guards opened, and its file; taken after mu
	opened  *segment   // the one besides the tail whose file is open, if any
}

// Create makes an empty log of mark's in dir, which must not exist. After a
// crash at any point dir is not there, or it is whole.
func Create(dir string, mark Mark) error { return create(dir, mark, SegmentSize, nil) }

func create(dir string, mark Mark, size int64, at step) error {
	building := filepath.Clean(dir) + temporary
	if err := os.RemoveAll(building); err != nil {
		return err
	}
	if err := os.Mkdir(building, 0o700); err != nil {
		return err
	}
	first, err := createFirst(building, mark, size, at)
	if err != nil {
		return err
	}
	if err := first.close(); err != nil {
		return err
	}
	if err := at.do("publish"); err != nil {
		return err
	}
	if err := os.Rename(building, dir); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(filepath.Clean(dir)))
}

func createFirst(dir string, mark Mark, size int64, at step) (*segment, error) {
	directory, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	file, err := makeFile(filepath.Join(dir, spareName), size, at)
	if err != nil {
		return nil, err
	}
	return publishSegment(file, directory, segment{number: 1, first: 1, size: size}, mark, at)
}

// IsMonotonic tells Raft that no index may be left out: it then empties the log
// when it installs a snapshot.
func (l *Log) IsMonotonic() bool { return true }

// FirstIndex is the first entry's index, 0 if there is none.
func (l *Log) FirstIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.places) == 0 {
		return 0, nil
	}
	return l.first, nil
}

// LastIndex is the last entry's index, 0 if there is none.
func (l *Log) LastIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lastLocked(), nil
}

func (l *Log) lastLocked() uint64 {
	if len(l.places) == 0 {
		return 0
	}
	return l.first + uint64(len(l.places)) - 1
}

// GetLog reads an entry, and checks that it is as it was written.
// raft.ErrLogNotFound if there is none with that index.
func (l *Log) GetLog(index uint64, entry *raft.Log) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return errClosed
	}
	if index < l.first || index > l.lastLocked() {
		return raft.ErrLogNotFound
	}
	p := l.places[index-l.first]
	data := make([]byte, footprint(int(p.size)))
	if err := l.readAt(p.segment, data, int64(p.offset)); err != nil {
		return fmt.Errorf("entry %d: %w", index, err)
	}
	h, payload, err := readRecord(data, p.segment.seed, int64(p.offset))
	if err != nil || h.index != index {
		return damagedf("entry %d, in %s at %d, does not read as it was written", index, segmentName(p.segment.number), p.offset)
	}
	h.fill(entry, payload)
	return nil
}

// readAt reads from a segment. Of those that the tail has left behind the file of one
// is open at a time: however long the log is, it takes few descriptors.
func (l *Log) readAt(s *segment, data []byte, at int64) error {
	if s != l.segments[len(l.segments)-1] {
		l.turning.Lock()
		defer l.turning.Unlock()
		if err := l.turnTo(s); err != nil {
			return err
		}
	}
	_, err := s.file.ReadAt(data, at)
	return err
}

// turnTo makes s the segment that is open besides the tail; nil: none is.
func (l *Log) turnTo(s *segment) (err error) {
	if s == l.opened {
		return nil
	}
	if s != nil && s.file == nil {
		if err := s.open(l.dir); err != nil {
			return err
		}
	}
	if l.opened != nil {
		err = l.opened.close()
	}
	l.opened = s
	return err
}

// DeleteRange deletes the entries low to high, which must be the log's
// beginning, its end, or all of it. What is deleted at the end may be there
// again after a crash, if nothing was appended after it.
func (l *Log) DeleteRange(low, high uint64) error {
	dead, err := l.forget(low, high)
	if err != nil {
		return err
	}
	for _, number := range dead { // oldest first: a crash leaves a run of them
		if err := unlink(l.dir, number); err != nil {
			return err
		}
	}
	return nil
}

// forget deletes entries in memory, and returns the segments, closed, that none
// is in any more.
func (l *Log) forget(low, high uint64) (dead []uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.lastLocked()
	switch {
	case l.closed:
		return nil, errClosed
	case low > high || len(l.places) == 0 || high < l.first || low > last:
		return nil, nil
	case low <= l.first:
		gone := min(high, last) - l.first + 1
		l.places, l.first = l.places[gone:], l.first+gone
	case high >= last:
		l.places = l.places[:low-l.first]
	default:
		return nil, fmt.Errorf("entries %d to %d are neither the beginning nor the end of the log (%d to %d)", low, high, l.first, last)
	}
	used := l.segments[len(l.segments)-1]
	if len(l.places) > 0 {
		used = l.places[0].segment
	}
	dead, l.stale = l.stale, nil
	for l.segments[0] != used {
		dead = append(dead, l.segments[0].number)
		if l.segments[0] == l.opened {
			err = l.turnTo(nil)
		}
		l.segments = l.segments[1:]
	}
	return dead, err
}

// Close closes the files. It must not be called while an append is under way.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.closeFiles()
}

func (l *Log) closeFiles() (err error) {
	for _, s := range l.segments {
		err = errors.Join(err, s.close())
	}
	if l.spare != nil {
		err = errors.Join(err, l.spare.Close(), os.Remove(filepath.Join(l.dir, spareName)))
	}
	return errors.Join(err, l.directory.Close())
}
