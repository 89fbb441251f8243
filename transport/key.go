package transport

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
)

// A Key proves that a node belongs to a cluster. It is derived from the cluster
// key, which it does not hold, and prints as nothing. The zero Key belongs to
// an empty cluster key: it proves nothing and is good for loopback only, which
// Dial and Accept see to.
type Key struct {
	given bool
	bytes [sha256.Size]byte
}

// NewKey derives a Key from the cluster key, which should be 16 random bytes or
// more: who hears a handshake can try guesses against it. An empty one gives
// the zero Key.
func NewKey(clusterKey []byte) Key {
	if len(clusterKey) == 0 {
		return Key{}
	}
	derived, err := hkdf.Key(sha256.New, clusterKey, nil, "lockd node handshake 1", sha256.Size)
	if err != nil {
		panic("transport: " + err.Error()) // only for lengths that are not ours
	}
	k := Key{given: true}
	copy(k.bytes[:], derived)
	return k
}

// String tells only whether there is a key.
func (k Key) String() string {
	if k.given {
		return "key"
	}
	return "no key"
}

// GoString keeps %#v from printing the key.
func (k Key) GoString() string { return k.String() }

// prove makes the proof that one side, named by its role, knows the key and saw
// these bytes. The role is part of it, so that a side's own proof thrown back at
// it proves nothing.
func (k Key) prove(role string, seen ...[]byte) []byte {
	mac := hmac.New(sha256.New, k.bytes[:])
	mac.Write([]byte(role))
	mac.Write([]byte{0})
	for _, part := range seen {
		size := len(part)
		mac.Write([]byte{byte(size), byte(size >> 8)}) // of at most HandshakeSizeMax
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// errNoKey: see Key.
var errNoKey = errors.New("without a cluster key nodes speak over loopback only")

// allowedOn refuses to go without a key where strangers can reach.
func (k Key) allowedOn(nc net.Conn) error {
	if k.given {
		return nil
	}
	for _, address := range []net.Addr{nc.LocalAddr(), nc.RemoteAddr()} {
		if tcp, ok := address.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			return fmt.Errorf("%w: %s is not", errNoKey, tcp)
		}
	}
	return nil
}
