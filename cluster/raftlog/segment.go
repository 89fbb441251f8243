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
	// segmentSizeMax bounds what a damaged size can make Open read.
	segmentSizeMax = 256 << 20
)

// A Mark says whose log it is: the instance of the data directory.
type Mark [16]byte

// A segment is one file of the log.
type segment struct {
	file   *os.File
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

// createSegment makes an empty segment, published whole: after a crash at any
// point it is not there, or it is as it should be.
func createSegment(dir string, mark Mark, number, first uint64, size int64, at step) (_ *segment, err error) {
	path := filepath.Join(dir, segmentName(number))
	file, err := os.OpenFile(path+temporary, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	header := encodeHeader(mark, number, first, size)
	for _, do := range []struct {
		name string
		run  func() error
	}{
		{"allocate", func() error { return allocate(file, size) }},
		{"header", func() error { _, err := file.WriteAt(header, 0); return err }},
		{"flush", file.Sync},
		{"rename", func() error { return os.Rename(path+temporary, path) }},
		{"flush directory", func() error { return SyncDir(dir) }},
	} {
		if err := at.do(do.name); err != nil {
			return nil, err
		}
		if err := do.run(); err != nil {
			return nil, fmt.Errorf("create %s: %w", segmentName(number), err)
		}
	}
	return &segment{file: file, number: number, first: first, seed: seedOf(header), size: size}, nil
}

// openSegment opens the segment with that number, which must be mark's.
func openSegment(dir string, mark Mark, number uint64) (_ *segment, err error) {
	name := segmentName(number)
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
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
	return &segment{
		file: file, number: number, first: binary.LittleEndian.Uint64(header[24:]), seed: seedOf(header), size: int64(size),
	}, nil
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
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be flushed there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
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
