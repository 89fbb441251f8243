package rpc

import "time"

// Every bound of this protocol. What exceeds one is refused with its name.
const (
	// FrameSizeMax: a message of a stream. It bounds what one recv allocates.
	FrameSizeMax = 1 << 20
	// FrameCommandsMax: commands of one frame; all of them may be under way at
	// once.
	FrameCommandsMax = 8192
	// CommandSizeMax: one encoded command; 64 names of 512 bytes and an owner
	// fit, and a frame takes several.
	CommandSizeMax = 64 << 10
	// packSize: a frame that has grown to this leaves room for others to be
	// written while it is read. With one command it stays under FrameSizeMax.
	packSize = 64 << 10

	// UnderwayMax: commands of one stream that wait for their answers. The
	// node reads no further then, and the sender's flow control does the rest.
	UnderwayMax = 8192
	// commandsMax: commands of all streams of one node that wait for their answers:
	// what a cluster does in one to three seconds. Beyond it acquires and sessions
	// that would begin are refused; twice as many may be under way if they renew,
	// release or withdraw, for what frees must get through a crowd.
	commandsMax = 1 << 17
	// retryAfter: when who was refused may try again; by then the crowd is through.
	retryAfter = time.Second
	// backlogSizeMax: outcomes that wait to be sent on one stream, beyond which
	// the node reads no commands from it and keeps events back.
	backlogSizeMax = 256 << 10
	// StreamSessionsMax: sessions that one stream may speak for; each costs the
	// node a goroutine.
	StreamSessionsMax = 1 << 15
	// StreamsMax: streams of one node.
	StreamsMax = 4096
	// callsPerConnectionMax: streams and calls under way on one connection.
	callsPerConnectionMax = 128
	// headerSizeMax: names of methods and little else.
	headerSizeMax = 16 << 10

	// InspectSizeMax: what a page of locks may come to when it is decoded: a
	// page stops growing at pageSizeSoft, and its last lock may have 65,536
	// waiters.
	InspectSizeMax = 64 << 20
	pageSizeSoft   = 4 << 20

	// windowSize: bytes that either side may send ahead on a stream. A fixed
	// window spares gRPC the pings by which it would estimate one.
	windowSize = 1 << 20

	// handshakeTimeout: from the first byte of a connection to its settings.
	handshakeTimeout = 5 * time.Second
	// keepaliveAfter, keepaliveTimeout: a peer that is gone without a word holds
	// its streams no longer than their sum.
	keepaliveAfter   = 20 * time.Second
	keepaliveTimeout = 10 * time.Second
	// pingsApart: clients that ping more often than this are disconnected.
	pingsApart = 5 * time.Second
	// leaderLook: how often a node asks itself who leads, to tell its streams.
	leaderLook = 200 * time.Millisecond
)
