package cluster

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/lockd-io/lockd/fsm"
)

// A clusterID is minted once, by the node that founds the cluster. Zero is
// none: the node is not a member yet.
type clusterID [16]byte

func (c clusterID) known() bool { return c != clusterID{} }

// String is hexadecimal, and "" for none.
func (c clusterID) String() string {
	if !c.known() {
		return ""
	}
	return hex.EncodeToString(c[:])
}

// MarshalText is String, for JSON.
func (c clusterID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *clusterID) UnmarshalText(text []byte) error {
	*c = clusterID{}
	if len(text) == 0 {
		return nil
	}
	return decodeHex(c[:], text)
}

// An instance is a data directory's own random number: two directories with
// one node id are told apart by it, and a copy of a directory has it too.
type instance fsm.Nonce

// String is 32 hexadecimal digits.
func (i instance) String() string { return fmt.Sprintf("%016x%016x", i.Hi, i.Lo) }

// MarshalText is String, for JSON.
func (i instance) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (i *instance) UnmarshalText(text []byte) error {
	var b [16]byte
	if err := decodeHex(b[:], text); err != nil {
		return err
	}
	i.Hi, i.Lo = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	return nil
}

func decodeHex(dst, text []byte) error {
	if hex.DecodedLen(len(text)) != len(dst) {
		return fmt.Errorf("%d hexadecimal digits, want %d", len(text), hex.EncodedLen(len(dst)))
	}
	_, err := hex.Decode(dst, text)
	return err
}

// randomNonce is 128 bits that nobody else has.
func randomNonce() fsm.Nonce {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fsm.Nonce{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}
