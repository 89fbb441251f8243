package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrFrame: what came is not a frame, is too large, or is damaged. Nothing more
// can be read from that stream: close it and send again on a new one.
var ErrFrame = errors.New("bad frame")

// FrameType says what a frame holds; the package that speaks over the stream
// gives the numbers their meaning.
type FrameType uint8

const (
	frameHeaderSize  = 5 // length u32, type u8
	frameTrailerSize = 4 // CRC-32C of all before
	// frameGrowth is how much of a frame is believed before it has come: a
	// peer that only claims a large frame costs this much.
	frameGrowth = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A FrameReader reads frames from a stream: length u32 (of the payload), type u8,
// payload, CRC-32C of all of them; little-endian. It reads ahead, so that nobody
// else can read from the stream any more. Not for two goroutines at once.
type FrameReader struct {
	in     *bufio.Reader
	header [frameHeaderSize]byte
	buffer []byte // of the frame before, used again
}

// NewFrameReader reads frames from r, which has proved itself: see Accept.
func NewFrameReader(r io.Reader) *FrameReader {
	return &FrameReader{in: bufio.NewReaderSize(r, frameGrowth)}
}

// Read returns the next frame. The payload may be changed and is valid until
// the next Read. The error is io.EOF when the stream ended between two frames,
// io.ErrUnexpectedEOF within one, ErrFrame for what is no frame, or the
// stream's own.
func (r *FrameReader) Read() (FrameType, []byte, error) {
	if _, err := io.ReadFull(r.in, r.header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.LittleEndian.Uint32(r.header[:])
	if size > FrameSizeMax {
		return 0, nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrFrame, size, FrameSizeMax)
	}
	if err := r.fill(int(size) + frameTrailerSize); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	payload, trailer := r.buffer[:size], r.buffer[size:]
	sum := crc32.Update(crc32.Checksum(r.header[:], castagnoli), castagnoli, payload)
	if sum != binary.LittleEndian.Uint32(trailer) {
		return 0, nil, fmt.Errorf("%w: checksum differs", ErrFrame)
	}
	return FrameType(r.header[4]), payload, nil
}

// fill reads size bytes into the buffer, which grows only as they come.
func (r *FrameReader) fill(size int) error {
	r.buffer = r.buffer[:0]
	for len(r.buffer) < size {
		had := len(r.buffer)
		if had == cap(r.buffer) {
			r.buffer = append(make([]byte, 0, min(size, max(2*had, frameGrowth))), r.buffer...)
		}
		r.buffer = r.buffer[:min(size, cap(r.buffer))]
		if _, err := io.ReadFull(r.in, r.buffer[had:]); err != nil {
			return err
		}
	}
	return nil
}

// A FrameWriter writes frames to a stream. Not for two goroutines at once.
type FrameWriter struct {
	out    io.Writer
	buffer []byte // of the frame before, used again
}

// NewFrameWriter writes frames to w.
func NewFrameWriter(w io.Writer) *FrameWriter { return &FrameWriter{out: w} }

// Write sends one frame whose payload is the parts, one after the other, with a
// single Write to the stream. The parts are not kept. ErrFrame: they are more
// than FrameSizeMax together and nothing was sent. After any other error part of
// the frame may have been sent, and the stream is of no more use.
func (w *FrameWriter) Write(t FrameType, parts ...[]byte) error {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size > FrameSizeMax {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrFrame, size, FrameSizeMax)
	}
	b := binary.LittleEndian.AppendUint32(w.buffer[:0], uint32(size))
	b = append(b, byte(t))
	for _, part := range parts {
		b = append(b, part...)
	}
	w.buffer = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err := w.out.Write(w.buffer)
	return err
}
