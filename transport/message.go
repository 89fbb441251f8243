package transport

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/lockd-io/lockd/fsm"
)

// The messages of the handshake, each a length u16 and that many bytes,
// little-endian; see doc.go for their order. A message begins with the version,
// which is checked before anything else of it is understood.

const (
	handshakeVersion = 1
	randomSize       = 32
	proofSize        = sha256.Size
)

type random [randomSize]byte

// hello is the dialler's: who it is.
type hello struct {
	identity Identity
	random   random
}

// challenge is the acceptor's. It says nothing of who it is: that is for those
// who have proved themselves.
type challenge struct{ random random }

// verdict is the acceptor's decision. With verdictWrongKey nothing else is in
// it, for there is no key to prove it with.
type verdict struct {
	code     verdictCode
	identity Identity
	reason   string // of a refusal
	proof    [proofSize]byte
}

type verdictCode uint8

const (
	_ verdictCode = iota
	verdictAdmitted
	verdictRefused
	verdictWrongKey
	verdictEnd
)

func appendIdentity(b []byte, id Identity) []byte {
	b = append(b, id.Cluster[:]...)
	b = binary.LittleEndian.AppendUint64(b, id.Instance.Hi)
	b = binary.LittleEndian.AppendUint64(b, id.Instance.Lo)
	b = append(b, byte(len(id.ID)))
	return append(b, id.ID...)
}

func appendHello(b []byte, h *hello) []byte {
	b = append(b, handshakeVersion)
	b = append(b, h.random[:]...)
	return appendIdentity(b, h.identity)
}

func appendChallenge(b []byte, c *challenge) []byte {
	b = append(b, handshakeVersion)
	return append(b, c.random[:]...)
}

// appendVerdict leaves out the proof, which is made of these bytes.
func appendVerdict(b []byte, v *verdict) []byte {
	b = append(b, handshakeVersion, byte(v.code))
	if v.code == verdictWrongKey {
		return b
	}
	b = appendIdentity(b, v.identity)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(v.reason)))
	return append(b, v.reason...)
}

func decodeHello(b []byte) (h hello, err error) {
	d := decoder{rest: b}
	d.version()
	d.copy(h.random[:])
	h.identity = d.identity()
	return h, d.end("hello")
}

func decodeChallenge(b []byte) (c challenge, err error) {
	d := decoder{rest: b}
	d.version()
	d.copy(c.random[:])
	return c, d.end("challenge")
}

// decodeVerdict returns the bytes that the proof is of as well.
func decodeVerdict(b []byte) (v verdict, proved []byte, err error) {
	d := decoder{rest: b}
	d.version()
	v.code = verdictCode(d.byte())
	if v.code == verdictWrongKey {
		return v, nil, d.end("verdict")
	}
	if v.code == 0 || v.code >= verdictEnd {
		d.fail("unknown code")
	}
	v.identity = d.identity()
	v.reason = d.text(int(binary.LittleEndian.Uint16(d.take(2))), ReasonSizeMax)
	proved = b[:len(b)-len(d.rest)]
	d.copy(v.proof[:])
	return v, proved, d.end("verdict")
}

// decoder reads a message; its first failure stays and all after it is zero.
type decoder struct {
	rest []byte
	why  string
}

func (d *decoder) fail(why string) {
	if d.why == "" {
		d.why = why
	}
	d.rest = nil
}

// take returns the next n <= HandshakeSizeMax bytes, or as many zeros.
func (d *decoder) take(n int) []byte {
	if len(d.rest) < n {
		d.fail("too short")
		return make([]byte, n)
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte    { return d.take(1)[0] }
func (d *decoder) copy(b []byte) { copy(b, d.take(len(b))) }

func (d *decoder) version() {
	if v := d.byte(); d.why == "" && v != handshakeVersion {
		d.fail(fmt.Sprintf("the peer speaks version %d of it, this node version %d", v, handshakeVersion))
	}
}

func (d *decoder) identity() (id Identity) {
	d.copy(id.Cluster[:])
	id.Instance.Hi = binary.LittleEndian.Uint64(d.take(8))
	id.Instance.Lo = binary.LittleEndian.Uint64(d.take(8))
	id.ID = d.text(int(d.byte()), fsm.MemberSizeMax)
	if d.why == "" && id.ID == "" {
		d.fail("no node id")
	}
	return id
}

func (d *decoder) text(size, limit int) string {
	if size > limit {
		d.fail("text too long")
		return ""
	}
	text := string(d.take(size))
	if d.why == "" && !fsm.ValidText(text, limit) {
		d.fail("text is not UTF-8")
	}
	return text
}

func (d *decoder) end(message string) error {
	if d.why == "" && len(d.rest) > 0 {
		d.fail("too long")
	}
	if d.why != "" {
		return fmt.Errorf("%w: %s: %s", ErrHandshake, message, d.why)
	}
	return nil
}

// reasonText makes any text fit a verdict.
func reasonText(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
	if len(s) > ReasonSizeMax {
		s = strings.ToValidUTF8(s[:ReasonSizeMax], "")
	}
	return s
}

// writeMessage sends one message, after first if that is not empty.
func writeMessage(w io.Writer, first string, body []byte) error {
	b := make([]byte, 0, len(first)+2+len(body))
	b = append(b, first...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(body)))
	_, err := w.Write(append(b, body...))
	return err
}

// readMessage reads one message and not a byte more: what follows a handshake
// is another's to read.
func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint16(size[:])
	if n > HandshakeSizeMax {
		return nil, fmt.Errorf("%w: a message of %d bytes, at most %d are allowed", ErrHandshake, n, HandshakeSizeMax)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return body, nil
}
