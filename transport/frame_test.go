package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func frames(t *testing.T, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := NewFrameWriter(&out).Write(7, parts...); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFrames(t *testing.T) {
	sizes := []int{0, 1, 100, frameGrowth - 1, frameGrowth, 3*frameGrowth + 5, FrameSizeMax, 3, 0}
	var wire bytes.Buffer
	w := NewFrameWriter(&wire)
	for i, size := range sizes {
		payload := bytes.Repeat([]byte{byte(i + 1)}, size)
		if err := w.Write(FrameType(i), payload[:size/3], payload[size/3:]); err != nil {
			t.Fatal(err)
		}
	}
	for name, in := range map[string]io.Reader{
		"whole": bytes.NewReader(wire.Bytes()),
		"drips": iotest.OneByteReader(bytes.NewReader(wire.Bytes())),
	} {
		r := NewFrameReader(in)
		for i, size := range sizes {
			typ, payload, err := r.Read()
			if err != nil || typ != FrameType(i) || !bytes.Equal(payload, bytes.Repeat([]byte{byte(i + 1)}, size)) {
				t.Fatalf("%s: frame %d: type %d, %d bytes, %v", name, i, typ, len(payload), err)
			}
		}
		if _, _, err := r.Read(); err != io.EOF {
			t.Fatalf("%s: at the end: %v", name, err)
		}
	}
}

func TestFrameTooLarge(t *testing.T) {
	var out bytes.Buffer
	err := NewFrameWriter(&out).Write(1, make([]byte, FrameSizeMax), []byte{1})
	if !errors.Is(err, ErrFrame) || out.Len() != 0 {
		t.Errorf("%v, %d bytes sent", err, out.Len())
	}
	claim := binary.LittleEndian.AppendUint32(nil, FrameSizeMax+1)
	if _, _, err := NewFrameReader(bytes.NewReader(append(claim, 1))).Read(); !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
}

// TestFrameClaim: who claims a large frame and sends nothing costs little.
func TestFrameClaim(t *testing.T) {
	r := NewFrameReader(bytes.NewReader(append(binary.LittleEndian.AppendUint32(nil, FrameSizeMax), 1, 2, 3)))
	if _, _, err := r.Read(); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
	if cap(r.buffer) > frameGrowth {
		t.Errorf("%d bytes allocated for a claim", cap(r.buffer))
	}
}

// TestFrameDamage: no single byte can change, and no tail be missing, unseen.
func TestFrameDamage(t *testing.T) {
	good := frames(t, []byte("payload"))
	for i := range good {
		for _, flip := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if _, _, err := NewFrameReader(bytes.NewReader(bad)).Read(); err == nil {
				t.Errorf("byte %d changed by %#x was not noticed", i, flip)
			}
		}
		want := io.ErrUnexpectedEOF
		if i == 0 {
			want = io.EOF
		}
		if _, _, err := NewFrameReader(bytes.NewReader(good[:i])).Read(); err != want {
			t.Errorf("cut after %d bytes: %v", i, err)
		}
	}
}

// TestFrameWriterReuse: the steady state allocates nothing, on either side.
func TestFrameReuse(t *testing.T) {
	payload := make([]byte, 1000)
	w := NewFrameWriter(io.Discard)
	endless := &again{text: frames(t, payload)}
	r := NewFrameReader(endless)
	got := testing.AllocsPerRun(100, func() {
		if w.Write(1, payload, payload) != nil {
			t.Fatal("write")
		}
		if _, _, err := r.Read(); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations per frame", got)
	}
}

// again reads the same text for ever.
type again struct {
	text []byte
	at   int
}

func (a *again) Read(b []byte) (int, error) {
	n := copy(b, a.text[a.at:])
	a.at = (a.at + n) % len(a.text)
	return n, nil
}

// FuzzFrameReader: any bytes are frames or an error, and what is read as a frame
// is what a writer would have written.
func FuzzFrameReader(f *testing.F) {
	var b bytes.Buffer
	w := NewFrameWriter(&b)
	_ = w.Write(1, []byte("one"))
	_ = w.Write(2)
	f.Add(b.Bytes())
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 16, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := NewFrameReader(bytes.NewReader(wire))
		var back bytes.Buffer
		w := NewFrameWriter(&back)
		for {
			typ, payload, err := r.Read()
			if err != nil {
				break
			}
			if err := w.Write(typ, payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(wire, back.Bytes()) {
			t.Fatalf("%x was read as %x", wire, back.Bytes())
		}
	})
}
