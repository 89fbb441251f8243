package transport

import (
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"io"
	"net"
)

// Roles in a proof: see Key.prove.
const (
	roleDialler  = "dialler"
	roleAcceptor = "acceptor"
)

// dialled is the dialler's half. It returns who answered, after that peer's
// proof and consent.
func dialled(nc net.Conn, kind Kind, me Identity, key Key) (peer Identity, err error) {
	if err := key.allowedOn(nc); err != nil {
		return peer, err
	}
	if err := me.validate(); err != nil {
		return peer, err
	}
	if !kind.known() {
		return peer, fmt.Errorf("no such stream: %s", kind)
	}
	opening := nodeMagic + string([]byte{byte(kind)})
	h := hello{identity: me, random: fresh()}
	helloBytes := appendHello(nil, &h)
	if err := writeMessage(nc, opening, helloBytes); err != nil {
		return peer, err
	}
	challengeBytes, err := readMessage(nc)
	if err != nil {
		return peer, err
	}
	if _, err := decodeChallenge(challengeBytes); err != nil {
		return peer, err
	}
	proof := key.prove(roleDialler, []byte(opening), helloBytes, challengeBytes)
	if err := writeMessage(nc, "", proof); err != nil {
		return peer, err
	}
	verdictBytes, err := readMessage(nc)
	if err != nil {
		return peer, err
	}
	v, proved, err := decodeVerdict(verdictBytes)
	if err != nil {
		return peer, err
	}
	// The proof comes before all that the verdict says.
	expected := key.prove(roleAcceptor, []byte(opening), helloBytes, challengeBytes, proof, proved)
	switch {
	case v.code == verdictWrongKey, !hmac.Equal(expected, v.proof[:]):
		return peer, ErrKey
	case v.identity.same(me):
		return peer, ErrSelf
	case v.code == verdictRefused:
		return peer, &RefusedError{Peer: v.identity, Reason: v.reason}
	}
	return v.identity, sameCluster(me, v.identity)
}

// accepted is the acceptor's half. The peer learns of a refusal here, with the
// reason if it has proved itself.
func accepted(nc net.Conn, identity func() Identity, key Key, admit func(Kind, Identity) error) (kind Kind, peer Identity, err error) {
	if err := key.allowedOn(nc); err != nil {
		return 0, peer, err
	}
	opening := make([]byte, len(nodeMagic)+1)
	if _, err := io.ReadFull(nc, opening); err != nil {
		return 0, peer, err
	}
	kind = Kind(opening[len(nodeMagic)])
	if string(opening[:len(nodeMagic)]) != nodeMagic || !kind.known() {
		return 0, peer, fmt.Errorf("%w: it begins with %q", ErrHandshake, opening)
	}
	helloBytes, err := readMessage(nc)
	if err != nil {
		return kind, peer, err
	}
	// The challenge goes out even to a hello of another version, so that its
	// sender sees ours.
	challengeBytes := appendChallenge(nil, &challenge{random: fresh()})
	h, bad := decodeHello(helloBytes)
	if err := writeMessage(nc, "", challengeBytes); err != nil {
		return kind, peer, err
	}
	if bad != nil {
		return kind, peer, bad
	}
	proof, err := readMessage(nc)
	if err != nil {
		return kind, peer, err
	}
	if !hmac.Equal(proof, key.prove(roleDialler, opening, helloBytes, challengeBytes)) {
		_ = writeMessage(nc, "", appendVerdict(nil, &verdict{code: verdictWrongKey}))
		return kind, peer, ErrKey
	}
	peer = h.identity // what it claims; see Accept
	me := identity()
	if err := me.validate(); err != nil {
		return kind, peer, err
	}
	v := verdict{code: verdictAdmitted, identity: me}
	refusal := judge(me, kind, peer, admit)
	if refusal != nil {
		v.code, v.reason = verdictRefused, reasonText(refusal.Error())
		refusal = fmt.Errorf("node %q was refused: %w", peer.ID, refusal)
	}
	verdictBytes := appendVerdict(nil, &v)
	verdictBytes = append(verdictBytes, key.prove(roleAcceptor, opening, helloBytes, challengeBytes, proof, verdictBytes)...)
	if err := writeMessage(nc, "", verdictBytes); err != nil && refusal == nil {
		return kind, peer, err
	}
	return kind, peer, refusal
}

// judge says why a peer that has proved itself is not let in, or nil.
func judge(me Identity, kind Kind, peer Identity, admit func(Kind, Identity) error) error {
	if peer.same(me) {
		return ErrSelf
	}
	if err := sameCluster(me, peer); err != nil {
		return err
	}
	if admit == nil {
		return nil
	}
	return admit(kind, peer)
}

// sameCluster refuses two nodes of two clusters. One that is of none yet may
// speak with any; what they may say then is the caller's.
func sameCluster(a, b Identity) error {
	none := [16]byte{}
	if a.Cluster != b.Cluster && a.Cluster != none && b.Cluster != none {
		return fmt.Errorf("%w: %x and %x", ErrCluster, a.Cluster, b.Cluster)
	}
	return nil
}

// same tells whether both are one data directory of one node.
func (id Identity) same(other Identity) bool {
	return id.ID == other.ID && id.Instance == other.Instance
}

// fresh is a random that no handshake had before. It is what makes a recorded
// handshake worthless.
func fresh() (r random) {
	_, _ = rand.Read(r[:]) // never fails: it ends the process instead
	return r
}
