// Package rpc speaks lockd.v1, the gRPC protocol of clients: the messages, their
// encoding, and the server over any lockapi.Backend. The client is package
// lockapi/remote; other languages start from proto/lockd/v1/lockd.proto.
//
//	server := rpc.New(node, rpc.Options{})
//	go server.Serve(port.GRPC())
//	...
//	server.Shutdown(ctx)
//
// # A stream
//
// A client process opens one stream, to one node, and sends all its commands on
// it: those of many goroutines, of many sessions, many in a frame. The node
// answers each when it knows, in any order. The client library and the node
// pack whatever is waiting into one frame while the frame before is under way;
// nobody waits for company.
//
//	client                               node
//	------                               ----
//	                                     Hello node=n1 leader=n2 at 10.0.0.2:7600
//	Open nonce=.. secret=..
//	                                     Answer nonce=.. OK session=7
//	Attach nonce=.. session=7 secret=..
//	                                     Answer nonce=.. OK
//	7#1 Acquire "x", 7#2 Acquire "y"
//	                                     Answer 7#1 OK grant=31 token=31
//	                                     Answer 7#2 QUEUED place=1
//	                                     Granted 7#2 event=1 grant=32 token=32
//	7#3 Release grant=31, seen=1
//	                                     Answer 7#3 OK
//
// # Who may speak
//
// A stream speaks for a session once an Open, Attach or Resume of it, which carry
// its secret, was answered OK there. Until then its other commands are answered
// REFUSAL_NOT_ATTACHED by the node and go nowhere: whoever knows a session's
// number, which lists show, can do nothing with it. Events are told to the
// stream that attached last.
//
// # When a stream breaks
//
// Nothing is lost and nothing happens twice: open another, to any node, attach
// the sessions that live, and send every unanswered command again as it was.
// Refusals that the machine did not make say whether the command went anywhere.
//
// # When there is too much to do
//
// A stream with UnderwayMax commands under way is not read until some are answered.
// A node with too many of all streams refuses acquires and new sessions with
// REFUSAL_OVERLOADED, which is definite, and says when to come again; what renews,
// releases or withdraws passes twice as far.
//
// # What it never does
//
// It never answers for the machine, never reorders what a backend told it
// about one session, and never writes a secret to a log.
package rpc

//go:generate go tool -modfile=../../tools/go.mod buf lint
//go:generate go tool -modfile=../../tools/go.mod buf generate
