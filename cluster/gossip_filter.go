package cluster

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// What the library would do with bytes that nobody honest sends is decided
// before it sees them. It decompresses without bound (a packet of 64 KiB becomes
// gigabytes), takes 20 MiB from a stream before it looks, and recurses into what
// is packed in a pack. No node of ours compresses or packs twice, so both are
// refused, and a stream has a bound of its own. For that the filter reads along:
// it knows the key.

// gossipLabel is before every packet and stream, and authenticated with it: two
// programs that use this library on one network do not meet.
const gossipLabel = "lockd"

const (
	// gossipStreamMax is a whole exchange over a stream: every member with its
	// meta, several times over.
	gossipStreamMax = 1 << 20
	// gossipCipher is the library's version of its encryption: AES-GCM with
	// version u8 and nonce before.
	gossipCipher = 1
	nonceSize    = 12
)

// Kinds of messages in the library's protocol that matter here.
const (
	gossipCompound   = 7
	gossipCompressed = 9
	gossipEncrypted  = 10
	gossipChecksum   = 12
	gossipLabelled   = 244
)

var (
	errGossip = errors.New("refused")
	// errNoLabel: somebody speaks another protocol, as a node does that was told
	// this address for the service's.
	errNoLabel = fmt.Errorf("%w: without this program's label", errGossip)
)

// gossipKey derives the key of gossip from the cluster key; nil from an empty
// one.
func gossipKey(clusterKey []byte) []byte {
	if len(clusterKey) == 0 {
		return nil
	}
	key, err := hkdf.Key(sha256.New, clusterKey, nil, "lockd gossip 1", 32)
	if err != nil {
		panic("cluster: " + err.Error()) // only for lengths that are not ours
	}
	return key
}

// A gossipFilter tells what may reach the library. Without a key it is for
// loopback only, and lets plain text pass that is not compressed.
type gossipFilter struct {
	aead   cipher.AEAD // nil without a key
	prefix []byte      // the label with its header
}

func newGossipFilter(key []byte) (*gossipFilter, error) {
	f := &gossipFilter{prefix: append([]byte{gossipLabelled, byte(len(gossipLabel))}, gossipLabel...)}
	if key == nil {
		return f, nil
	}
	block, err := aes.NewCipher(key)
	if err == nil {
		f.aead, err = cipher.NewGCM(block)
	}
	return f, err
}

// open decrypts without changing sealed. extra is authenticated with it.
func (f *gossipFilter) open(sealed, extra []byte) ([]byte, error) {
	if len(sealed) < 1+nonceSize || sealed[0] != gossipCipher {
		return nil, fmt.Errorf("%w: not encrypted as it should be", errGossip)
	}
	plain, err := f.aead.Open(nil, sealed[1:1+nonceSize], sealed[1+nonceSize:], extra)
	if err != nil {
		return nil, fmt.Errorf("%w: encrypted with another key", errGossip)
	}
	return plain, nil
}

// packet tells what is wrong with a packet.
func (f *gossipFilter) packet(b []byte) (err error) {
	rest, labelled := bytes.CutPrefix(b, f.prefix)
	if !labelled {
		return errNoLabel
	}
	if f.aead != nil {
		if rest, err = f.open(rest, []byte(gossipLabel)); err != nil {
			return err
		}
	}
	if len(rest) >= 5 && rest[0] == gossipChecksum {
		rest = rest[5:]
	}
	if len(rest) == 0 || rest[0] != gossipCompound {
		return message(rest)
	}
	return compound(rest[1:])
}

// compound looks at messages that are packed into one: their number, their
// lengths, themselves.
func compound(b []byte) error {
	if len(b) == 0 || len(b) < 1+2*int(b[0]) {
		return fmt.Errorf("%w: a pack that does not decode", errGossip)
	}
	lengths, rest := b[1:1+2*int(b[0])], b[1+2*int(b[0]):]
	for ; len(lengths) > 0; lengths = lengths[2:] {
		size := int(binary.BigEndian.Uint16(lengths))
		if size > len(rest) {
			return fmt.Errorf("%w: a pack that does not decode", errGossip)
		}
		if err := message(rest[:size]); err != nil {
			return err
		}
		rest = rest[size:]
	}
	return nil
}

// message tells what is wrong with a message that stands for itself.
func message(b []byte) error {
	switch {
	case len(b) == 0:
		return fmt.Errorf("%w: an empty message", errGossip)
	case b[0] == gossipCompressed:
		return fmt.Errorf("%w: compressed", errGossip)
	case b[0] == gossipCompound:
		return fmt.Errorf("%w: a pack within a pack", errGossip)
	}
	return nil
}

// stream reads what one end says on a stream, which is one message, and returns
// a reader of the same bytes for the library. labelled: the label comes first.
func (f *gossipFilter) stream(c net.Conn, labelled bool) (io.Reader, error) {
	var said []byte
	if labelled {
		said = make([]byte, len(f.prefix))
		if _, err := io.ReadFull(c, said); err != nil {
			return nil, err
		}
		if !bytes.Equal(said, f.prefix) {
			return nil, errNoLabel
		}
	}
	if f.aead == nil {
		var kind [1]byte
		if _, err := io.ReadFull(c, kind[:]); err != nil {
			return nil, err
		}
		if err := message(kind[:]); err != nil {
			return nil, err
		}
		return io.MultiReader(bytes.NewReader(append(said, kind[0])), io.LimitReader(c, gossipStreamMax)), nil
	}
	var header [5]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[1:])
	if header[0] != gossipEncrypted || size > gossipStreamMax {
		return nil, fmt.Errorf("%w: not encrypted, or longer than %d bytes", errGossip, gossipStreamMax)
	}
	// It grows as bytes come, and not because somebody says that they will.
	var body bytes.Buffer
	if _, err := io.CopyN(&body, c, int64(size)); err != nil {
		return nil, err
	}
	plain, err := f.open(body.Bytes(), append(header[:], gossipLabel...))
	if err == nil {
		err = message(plain)
	}
	if err != nil {
		return nil, err
	}
	return io.MultiReader(bytes.NewReader(append(said, header[:]...)), &body), nil
}
