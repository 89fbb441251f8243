package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/transport"
)

// requestKind says what a control request asks for.
type requestKind string

const (
	requestProbe   requestKind = "probe"   // who are you?
	requestWho     requestKind = "who"     // the same, of one who judges the asker: nothing is judged in return
	requestPromise requestKind = "promise" // promise yourself to me
	requestAdmit   requestKind = "admit"   // you are a member of my cluster, if you are the one that I mean
	requestAdd     requestKind = "add"     // you lead: add this member
	requestMove    requestKind = "move"    // you lead: this is where I am now
)

// A request is all that a control stream carries in one direction.
type request struct {
	Kind   requestKind `json:"kind"`
	From   report      `json:"from"`
	Member *promiser   `json:"member,omitempty"` // of requestAdd and requestAdmit: who is meant
}

// A reply is all that it carries in the other.
type reply struct {
	From    report  `json:"from"`
	Refusal refusal `json:"refusal,omitzero"`
}

// refusalCode says what a refusal means for the one who is refused.
type refusalCode string

const (
	// refusedNow: not now, or not to this one. Ask again.
	refusedNow refusalCode = "now"
	// refusedNotLeader: another node leads.
	refusedNotLeader refusalCode = "not leader"
	// refusedReplaced: the cluster knows this id with another data directory.
	refusedReplaced refusalCode = "replaced"
	// refusedMoved: the cluster knows this node at another address.
	refusedMoved refusalCode = "moved"
	// refusedCopied: another process answers at this node's address.
	refusedCopied refusalCode = "copied"
)

// A refusal is an answer that says no, and why. Zero is consent.
type refusal struct {
	Code   refusalCode `json:"code"`
	Reason string      `json:"reason"` // completes "node X ..."
}

// final tells that the one who is refused must stop: only an operator can help.
func (r refusal) final() bool {
	return r.Code == refusedReplaced || r.Code == refusedMoved || r.Code == refusedCopied
}

// A refusedError is a refusal that came from a peer.
type refusedError struct {
	peer string
	refusal
}

func (e *refusedError) Error() string { return fmt.Sprintf("node %s %s", e.peer, e.Reason) }

// Frames of a control stream.
const (
	frameRequest transport.FrameType = 1
	frameReply   transport.FrameType = 2
)

const (
	// controlTimeout is for a control request with its reply, the connecting
	// included. The slowest is an fsync of the peer's.
	controlTimeout = 3 * time.Second
	// addMemberTimeout is for adding a member: two commits, the second with the
	// new member's consent.
	addMemberTimeout = 10 * time.Second
	// knownMax bounds the lists in a report.
	knownMax = 64
)

var errBadMessage = errors.New("bad control message")

// check says what is wrong with a report that came over c.
func (r *report) check(c *transport.Conn) error {
	switch peer := c.Peer; {
	case r.ID != peer.ID || r.Instance != instance(peer.Instance):
		return fmt.Errorf("%w: from %q, who showed itself as %q", errBadMessage, r.ID, peer.ID)
	case validID(r.ID) != nil || validAddress(r.Address, dialable) != nil:
		return fmt.Errorf("%w: id %q, address %q", errBadMessage, r.ID, r.Address)
	case len(r.Known) > knownMax || len(r.Chosen) > knownMax:
		return fmt.Errorf("%w: a list is too long", errBadMessage)
	}
	for _, address := range r.Known {
		if validAddress(address, dialable) != nil {
			return fmt.Errorf("%w: address %q", errBadMessage, address)
		}
	}
	return nil
}

// exchange sends q over c and returns what came back. It closes c.
func exchange(ctx context.Context, c *transport.Conn, q request) (r reply, err error) {
	defer c.Close()
	defer closeAtEnd(ctx, c)()
	if err := writeJSON(c, frameRequest, q); err != nil {
		return r, err
	}
	if err := readJSON(c, frameReply, &r); err != nil {
		return r, err
	}
	return r, r.From.check(c)
}

// answer reads one request from c and sends what handle makes of it. It closes c.
func answer(ctx context.Context, c *transport.Conn, handle func(request) reply) error {
	defer c.Close()
	defer closeAtEnd(ctx, c)()
	var q request
	if err := readJSON(c, frameRequest, &q); err != nil {
		return err
	}
	if err := q.From.check(c); err != nil {
		return err
	}
	return writeJSON(c, frameReply, handle(q))
}

// closeAtEnd closes c when ctx ends, until the returned function is called.
func closeAtEnd(ctx context.Context, c *transport.Conn) (stop func()) {
	after := context.AfterFunc(ctx, func() { c.Close() })
	return func() { after() }
}

func writeJSON(c *transport.Conn, t transport.FrameType, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return transport.NewFrameWriter(c).Write(t, data)
}

func readJSON(c *transport.Conn, t transport.FrameType, v any) error {
	got, data, err := transport.NewFrameReader(c).Read()
	if err != nil {
		return err
	}
	if got != t {
		return fmt.Errorf("%w: frame type %d, want %d", errBadMessage, got, t)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", errBadMessage, err)
	}
	return nil
}
