package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Open opens the log in dir, which must be mark's, and reads all of it. It
// drops a write that a crash tore. fs.ErrNotExist if there is no log there,
// ErrDamaged if it lost anything else: then nothing in it is changed.
func Open(dir string, mark Mark) (*Log, error) { return open(dir, mark, SegmentSize, nil) }

func open(dir string, mark Mark, size int64, at step) (_ *Log, err error) {
	numbers, stale, err := list(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, mark: mark, segmentSize: size, step: at, stale: stale}
	if l.directory, err = os.Open(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.closeFiles()
		}
	}()
	for _, number := range numbers {
		s, err := readSegment(dir, mark, number)
		if err != nil {
			return nil, err
		}
		l.segments = append(l.segments, s)
	}
	r := recovery{log: l}
	if err := r.run(); err != nil {
		return nil, err
	}
	return l, nil
}

// list is the numbers of the segments in dir: the last run of them without a
// gap, and what is before that. As a rule that was unlinked, and a power cut
// forgot a part of it.
func list(dir string) (run, stale []uint64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	var numbers []uint64
	for _, entry := range entries {
		name := entry.Name()
		number, err := strconv.ParseUint(strings.TrimSuffix(name, segmentSuffix), 16, 64)
		if err == nil && name == segmentName(number) {
			numbers = append(numbers, number)
		}
	}
	if len(numbers) == 0 {
		return nil, nil, damagedf("%s has no segment", filepath.Base(dir))
	}
	slices.Sort(numbers)
	from := len(numbers) - 1
	for from > 0 && numbers[from-1] == numbers[from]-1 {
		from--
	}
	return numbers[from:], numbers[:from], nil
}

// A recovery replays the writes of the segments into the log.
type recovery struct {
	log  *Log
	data []byte // of the segment that is read
	// last is where the last write of the tail begins, 0 if it has none.
	last int64
}

func (r *recovery) run() error {
	l := r.log
	l.write = l.segments[0].first - 1
	for i, s := range l.segments {
		if s.first != l.write+1 {
			return damagedf("%s begins with write %d, %d is next", segmentName(s.number), s.first, l.write+1)
		}
		ended, err := r.replay(s)
		if err != nil {
			return err
		}
		rest := l.segments[i+1:]
		switch {
		case ended && len(rest) == 0:
			return damagedf("%s goes on in %s, which is missing", segmentName(s.number), segmentName(s.number+1))
		case ended:
			if len(rest) == 1 { // it may be new, and this end of the segment before it the last write
				err = r.persist(s)
			}
			if err = errors.Join(err, s.close()); err != nil {
				return err
			}
			continue
		case len(rest) > 0:
			if err := r.unmake(s, rest); err != nil {
				return err
			}
		}
		l.segments = l.segments[:i+1]
		return r.mend(s)
	}
	return nil
}

// replay reads the segment's writes up to its end, or to where no whole write
// is. ended tells that the log goes on in the next segment.
func (r *recovery) replay(s *segment) (ended bool, err error) {
	if err := r.read(s); err != nil {
		return false, err
	}
	l := r.log
	l.tail, l.offset, r.last = s, segmentHeader, 0
	var write []place // of the records that are read, and not yet its last
	var heads []head
	for at := l.offset; ; {
		h, _, err := readRecord(r.data[at:], s.seed, at)
		if err != nil {
			return false, r.proveTorn(s)
		}
		if h.write != l.write+1 {
			return false, damagedf("%s has write %d at %d, %d is next", segmentName(s.number), h.write, at, l.write+1)
		}
		heads = append(heads, h)
		write = append(write, place{s, uint32(at), h.size})
		at += int64(footprint(int(h.size)))
		if h.flags&flagLast == 0 {
			continue
		}
		l.write++
		r.last, l.offset = l.offset, at
		if h.kind == kindSeal {
			return true, nil
		}
		if err := r.apply(heads, write); err != nil {
			return false, err
		}
		heads, write = heads[:0], write[:0]
	}
}

// read reads all of a segment, and leaves it open.
func (r *recovery) read(s *segment) error {
	if err := s.open(r.log.dir); err != nil {
		return err
	}
	r.data = slices.Grow(r.data[:0], int(s.size))[:s.size]
	if _, err := s.file.ReadAt(r.data, 0); err != nil {
		return fmt.Errorf("%s: %w", segmentName(s.number), err)
	}
	return nil
}

// apply makes the records of one write a part of the log.
func (r *recovery) apply(heads []head, places []place) error {
	l := r.log
	for i, h := range heads {
		// An entry before the first one replaces all: those before it, which the
		// appender still had, were in segments that are unlinked since.
		if h.flags&flagAnew != 0 || h.index < l.first {
			l.places = l.places[:0]
		}
		if len(l.places) == 0 {
			l.first = h.index
		}
		if h.kind != kindEntry || h.index > l.first+uint64(len(l.places)) {
			return damagedf("%s has entry %d at %d, where the log has %d to %d",
				segmentName(places[i].segment.number), h.index, places[i].offset, l.first, l.lastLocked())
		}
		l.places = append(l.places[:h.index-l.first], places[i]) // what had the index was deleted
	}
	return nil
}

// proveTorn looks at what follows the last whole write of s: at most one more,
// that was never acknowledged. A record of a later one was written after that
// one had been acknowledged.
func (r *recovery) proveTorn(s *segment) error {
	at := r.log.offset
	for end := extent(r.data); at < end; at += recordAlign {
		if h, _, err := readRecord(r.data[at:], s.seed, at); err == nil && h.write > r.log.write+1 {
			return damagedf("%s has no valid write %d at %d, yet write %d follows", segmentName(s.number), r.log.write+1, r.log.offset, h.write)
		}
	}
	return nil
}

// unmake removes the segment that a rotation made and did not come to use.
func (r *recovery) unmake(s *segment, rest []*segment) error {
	next, kept := rest[0], r.data
	if len(rest) > 1 {
		return damagedf("%s does not end, yet the log goes on in %s", segmentName(s.number), segmentName(next.number))
	}
	r.data = nil
	err := r.read(next)
	if err == nil && extent(r.data) > segmentHeader {
		err = damagedf("%s does not end, yet the log goes on in %s", segmentName(s.number), segmentName(next.number))
	}
	r.data = kept
	if err != nil {
		return err
	}
	return errors.Join(next.close(), unlink(r.log.dir, next.number))
}

// mend makes the tail as if the torn write had never been, and durable what is
// there.
func (r *recovery) mend(s *segment) error {
	l := r.log
	if end := extent(r.data); end > l.offset {
		torn := r.data[l.offset:end]
		clear(torn)
		if _, err := s.file.WriteAt(torn, l.offset); err != nil {
			return err
		}
	}
	if err := r.persist(s); err != nil {
		return err
	}
	r.data = nil
	return flushDir(l.directory)
}

// persist makes the last write of s durable: it may be in the system's memory
// only, and if its flush failed the system believes that it is not.
func (r *recovery) persist(s *segment) error {
	l := r.log
	if r.last > 0 {
		if _, err := s.file.WriteAt(r.data[r.last:l.offset], r.last); err != nil {
			return err
		}
	}
	if err := l.step.do("flush " + segmentName(s.number)); err != nil {
		return err
	}
	return s.file.Sync()
}

// extent is where the zeros begin that data ends with.
func extent(data []byte) int64 {
	var zeros [4096]byte
	for len(data) >= len(zeros) && bytes.Equal(data[len(data)-len(zeros):], zeros[:]) {
		data = data[:len(data)-len(zeros)]
	}
	for len(data) > 0 && data[len(data)-1] == 0 {
		data = data[:len(data)-1]
	}
	return int64(len(data))
}
