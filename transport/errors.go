package transport

import (
	"errors"
	"fmt"
)

// The errors of a handshake. After any of them the connection is closed.
var (
	// ErrHandshake: what came is no handshake of this version. The peer is not a
	// node, or one of another release; dialling again will not help.
	ErrHandshake = errors.New("bad handshake")
	// ErrKey: the peer has another cluster key, or none. The two nodes are of
	// different clusters, or one of their key files is wrong.
	ErrKey = errors.New("the peer has another cluster key: give both the same key")
	// ErrCluster: the peer has the key but is a member of another cluster.
	ErrCluster = errors.New("the peer belongs to another cluster")
	// ErrSelf: the peer has this node's own identity. It is this node, or it runs
	// on a copy of its data directory.
	ErrSelf = errors.New("the peer is this node itself, or a copy of its data directory")
)

// A RefusedError is what a dialler gets when the peer has proved itself and will
// not have the stream. It was not forged: the peer's proof covers it.
type RefusedError struct {
	Peer   Identity // who refused
	Reason string   // its words, at most ReasonSizeMax bytes
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused by node %q: %s", e.Peer.ID, e.Reason)
}
