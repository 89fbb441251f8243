package transport

import "time"

// Every bound of what a stranger can make this package hold, and why it is as
// it is. What exceeds one is closed or refused; nothing is allocated before.
const (
	// SniffSizeMax bytes tell the protocol: the preface of HTTP/2 is the longest.
	SniffSizeMax = 24
	// SniffTimeout is how long a connection may take to say what it speaks. A
	// client sends its first bytes at once; five seconds are several lost packets.
	SniffTimeout = 5 * time.Second
	// ProbationMax connections may be unknown at a time: accepted, but neither
	// handed to a client protocol nor through the handshake of a node. Beyond it
	// the oldest is closed, so that a flood of silent connections costs the
	// silent ones and not a newcomer that speaks.
	ProbationMax = 512
	// ClientsMax connections of clients (gRPC, HTTP and RESP together) may be
	// open at a time. Those of nodes are not counted: a crowd of clients must
	// not stop the cluster.
	ClientsMax = 16384
	// DescriptorsOwn descriptors are not for connections: a node that cannot open a
	// file of its own stops, and a connection that is refused comes again. It opens
	// two segments of its log, a snapshot that it takes and one that it sends or is
	// sent, and its identity.
	DescriptorsOwn = 16
	// DescriptorsNodes more, at most a quarter of the process's limit, are for
	// streams of nodes: half a dozen to each of the others.
	DescriptorsNodes = 48
	// What is open is counted again when an eighth (roomPart) of what is left may be
	// gone; when nothing is, at every connection, or every one in a 64th
	// (countedPart) of what is open; where it cannot be counted, never (uncounted:
	// once in so many).
	roomPart    = 8
	countedPart = 64
	uncounted   = 1 << 16
	// crowdedTold is how often it is told that connections are refused for want of
	// descriptors.
	crowdedTold = time.Minute
	// pairTries: a port that is free by chance has a free one above it nearly
	// always.
	pairTries = 16
	// FaceBacklog connections wait in a face to be accepted, as in a kernel.
	FaceBacklog = 128

	// HandshakeTimeout is for the whole handshake of a node, and for Dial with
	// the connecting too.
	HandshakeTimeout = 5 * time.Second
	// HandshakeSizeMax is one message of the handshake, which is all that a
	// stranger can make a node allocate.
	HandshakeSizeMax = 1024
	// ReasonSizeMax is the text of a refusal: a log line.
	ReasonSizeMax = 512

	// FrameSizeMax is the payload of a frame between nodes, which have proved
	// themselves. Entries are at most 256 KiB, so that a batch fits.
	FrameSizeMax = 1 << 20

	// lingerTimeout and lingerSizeMax bound what is still read from a
	// connection that was refused: closing with bytes unread would reset the
	// connection and take the refusal away from the peer.
	lingerTimeout = time.Second
	lingerSizeMax = 64 << 10

	// acceptPauseMin..acceptPauseMax is the wait after a failed accept (out of
	// file descriptors), doubling.
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second

	// keepAliveIdle, keepAliveInterval and keepAliveCount find a peer that
	// vanished without a word within about fifteen seconds.
	keepAliveIdle     = 6 * time.Second
	keepAliveInterval = 3 * time.Second
	keepAliveCount    = 3
)
