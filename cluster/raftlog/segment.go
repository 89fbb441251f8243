package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// A segment's header is, little endian:
//
//	 0 "lockdlog"
//	 8 crc32c u32 of what follows
//	12 version u32
//	16 number u64 of the segment, from 1
//	24 first write u64
//	32 mark, 16 bytes: whose log it is
//	48 size u64 of the file when it was made: a shorter one has lost its end
//	56 zeros
const (
	segmentHeader  = 64
	segmentVersion = 1
	segmentMagic   = "lockdlog"
	segmentSuffix  = ".log"
	temporary      = ".tmp"
	// spareName is of the file that the next segment will be. What a crash left of it
	// is used again.
	spareName = "spare" + temporary
	// segmentSizeMax bounds what a damaged size can make Open read.
	segmentSizeMax = 256 << 20
)

// A Mark says whose log it is: the instance of the data directory.
type Mark [16]byte

// A segment is one file of the log.
type segment struct {
	file   *os.File // nil while it is closed
	number uint64
	first  uint64 // write
	seed   uint32 // of the checksums of its records
	size   int64
}

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

func encodeHeader(mark Mark, number, first uint64, size int64) []byte {
	header := make([]byte, segmentHeader)
	copy(header, segmentMagic)
	binary.LittleEndian.PutUint32(header[12:], segmentVersion)
	binary.LittleEndian.PutUint64(header[16:], number)
	binary.LittleEndian.PutUint64(header[24:], first)
	copy(header[32:], mark[:])
	binary.LittleEndian.PutUint64(header[48:], uint64(size))
	binary.LittleEndian.PutUint32(header[8:], crc32.Checksum(header[12:], castagnoli))
	return header
}

// open opens the file of a segment that is closed.
func (s *segment) open(dir string) (err error) {
	s.file, err = os.OpenFile(filepath.Join(dir, segmentName(s.number)), os.O_RDWR, 0)
	if err != nil {
		s.file = nil
	}
	return err
}

func (s *segment) close() (err error) {
	if s.file != nil {
		err = s.file.Close()
		s.file = nil
	}
	return err
}

// makeFile makes the file of a segment, without a name that counts.
func makeFile(path string, size int64, at step) (_ *os.File, err error) {
	if err := at.do("make"); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = at.do("allocate")
	if err == nil {
		err = allocate(file, size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a segment: %w", err), file.Close(), os.Remove(path))
	}
	return file, nil
}

// publishSegment makes of a file that is all zeros an empty segment, which is its
// owner. It appears whole: after a crash at any point it is not there, or it is as
// it should be. directory is dir, open.
func publishSegment(file, directory *os.File, s segment, mark Mark, at step) (_ *segment, err error) {
	header := encodeHeader(mark, s.number, s.first, s.size)
	for _, do := range []struct {
		name string
		run  func() error
	}{
		{"header", func() error { _, err := file.WriteAt(header, 0); return err }},
		{"flush", file.Sync},
		{"rename", func() error {
			return os.Rename(file.Name(), filepath.Join(directory.Name(), segmentName(s.number)))
		}},
		{"flush directory", func() error { return flushDir(directory) }},
	} {
		err := at.do(do.name)
		if err == nil {
			err = do.run()
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("create %s: %w", segmentName(s.number), err), file.Close())
		}
	}
	s.file, s.seed = file, seedOf(header)
	return &s, nil
}

// readSegment reads of the segment with that number, which must be mark's, what it
// says of itself. The segment is closed.
func readSegment(dir string, mark Mark, number uint64) (*segment, error) {
	name := segmentName(number)
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, damagedf("%s is no file", name)
	}
	header := make([]byte, segmentHeader)
	if _, err := file.ReadAt(header, 0); err != nil {
		return nil, damagedf("%s has no header: %v", name, err)
	}
	if string(header[:8]) != segmentMagic || binary.LittleEndian.Uint32(header[8:]) != crc32.Checksum(header[12:], castagnoli) {
		return nil, damagedf("%s has no valid header", name)
	}
	if v := binary.LittleEndian.Uint32(header[12:]); v != segmentVersion {
		return nil, fmt.Errorf("%s has version %d, this program knows %d", name, v, segmentVersion)
	}
	if !bytes.Equal(header[32:48], mark[:]) {
		return nil, fmt.Errorf("%s is another directory's (of instance %x, not %x)", name, header[32:48], mark[:])
	}
	if n := binary.LittleEndian.Uint64(header[16:]); n != number {
		return nil, damagedf("%s says that it is %s", name, segmentName(n))
	}
	size := binary.LittleEndian.Uint64(header[48:])
	if size < segmentHeader || size > segmentSizeMax || uint64(info.Size()) < size {
		return nil, damagedf("%s has %d bytes, %d are its size", name, info.Size(), size)
	}
	return &segment{number: number, first: binary.LittleEndian.Uint64(header[24:]), seed: seedOf(header), size: int64(size)}, nil
}

// seedOf begins the checksums of a segment's records, so that none is valid in
// another.
func seedOf(header []byte) uint32 { return crc32.Checksum(header, castagnoli) }

// unlink removes a segment from the log.
func unlink(dir string, number uint64) error {
	err := os.Remove(filepath.Join(dir, segmentName(number)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return flushDir(d)
}

func flushDir(directory *os.File) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be flushed there
	}
	return directory.Sync()
}

// A step is called before each step that a crash may come before; a test
// crashes there. nil does nothing.
type step func(name string) error

func (s step) do(name string) error {
	if s == nil {
		return nil
	}
	return s(name)
}
