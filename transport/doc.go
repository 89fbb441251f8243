// Package transport moves bytes between processes. It has one TCP port for every
// protocol, and the streams between nodes.
//
// # The port
//
// A [Port] reads the first bytes of a connection, never more than 24 and for
// no longer than five seconds, and hands it to the face of what it speaks:
//
//	LKD1                            a node
//	PRI * HTTP/2.0 ...              gRPC
//	GET, POST, ... and a space      HTTP/1
//	*                               RESP, the Redis protocol
//
// A face is a net.Listener; whoever takes one serves that protocol:
//
//	port, err := transport.Listen("127.0.0.1:7600", transport.Options{})
//	...
//	go grpcServer.Serve(port.GRPC())
//	go httpServer.Serve(port.HTTP())
//	for {
//		nc, err := port.Node().Accept()
//		...
//		go func() {
//			conn, err := transport.Accept(ctx, nc, me, key, admit)
//			...
//		}()
//	}
//
// What nobody serves is refused in words of its own protocol. What speaks none
// of them is closed. Since RESP begins with an asterisk, a web page that makes a
// browser POST to this port reaches HTTP, whatever the body says.
//
// The protocols on top are packages beneath this one, each a thin translation to
// lockapi.Backend.
//
// # Streams between nodes
//
// [Dial] and [Accept] open a stream for raft, for forwarded commands or for one
// control request. Both nodes prove that they know the cluster key, without
// sending it:
//
//	dialler  -> acceptor   LKD1, kind; hello: version, random, cluster id, instance, node id
//	acceptor -> dialler    challenge: version, random
//	dialler  -> acceptor   HMAC of all before, as dialler
//	acceptor -> dialler    verdict: admitted or refused, identity, reason; HMAC of all before, as acceptor
//
// The HMAC is SHA-256 with a key derived from the cluster key by HKDF. Each covers
// everything sent before it, so that no part can be exchanged: not the kind of
// stream, not an identity, not the version, not the reason of a refusal. Both
// randoms are in it, so that a recording is worthless; the role is in it, so
// that a node's own proof cannot be reflected to it. An acceptor names itself
// only to who has proved itself, and its [RefusedError] cannot be forged. Two
// nodes of two clusters refuse each other even with the same key.
//
// With an empty cluster key nothing is proved, and only loopback is served.
//
// # What this package does not do
//
// It does not encrypt. The handshake says who opened a stream; who can change
// packets on the way can take the stream over afterwards, and who can read them
// reads everything, and can try guesses at a weak cluster key. Off loopback use a
// network that you trust, or a tunnel.
//
// It does not authenticate clients, and it knows no commands: frames are types
// and bytes.
//
// # Frames
//
// [FrameReader] and [FrameWriter] cut a node stream into frames: length u32 of
// the payload, type u8, payload, CRC-32C of all of these; little-endian.
//
// # Bounds
//
// limits.go has every one. A connection is on probation until it is known to
// speak a client's protocol, or has proved to be a node; there are at most
// ProbationMax of those, and the oldest goes when one more comes. What a stranger
// sends is at most HandshakeSizeMax bytes in memory.
package transport
