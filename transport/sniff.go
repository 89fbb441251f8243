package transport

import (
	"bytes"
	"fmt"
)

// Protocol is what a connection speaks, by its first bytes.
type Protocol uint8

const (
	// Unknown: none that this port has heard of.
	Unknown Protocol = iota
	// Node: raft, forwarding and control between nodes.
	Node
	// GRPC: HTTP/2 without TLS, from its preface on.
	GRPC
	// HTTP is HTTP/1.
	HTTP
	// RESP is the Redis protocol.
	RESP
	// TLS is not spoken here; it is known so that it can be told so.
	TLS
	protocolEnd
)

var protocolNames = [protocolEnd]string{"unknown", "node", "grpc", "http", "resp", "tls"}

// String is a word for logs.
func (p Protocol) String() string {
	if p < protocolEnd {
		return protocolNames[p]
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// nodeMagic begins every stream between nodes. No method of HTTP and no
// command of RESP begins with it.
const nodeMagic = "LKD1"

// signatures tell a protocol by how its connections begin. None is a prefix of
// another, so that the first that fits is the only one.
//
// RESP is taken only as an array, which is what every Redis client sends. Its
// inline form is left out on purpose: a web page can make a browser POST any
// text to any port, and with inline commands a line of that text would be one.
// As it is, what begins as POST goes to HTTP and can never come to RESP.
var signatures = []struct {
	first    string
	protocol Protocol
}{
	{nodeMagic, Node},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", GRPC},
	{"GET ", HTTP},
	{"HEAD ", HTTP},
	{"POST ", HTTP},
	{"PUT ", HTTP},
	{"PATCH ", HTTP},
	{"DELETE ", HTTP},
	{"OPTIONS ", HTTP},
	{"CONNECT ", HTTP},
	{"TRACE ", HTTP},
	{"*", RESP},
	{"\x16\x03", TLS},
}

// classify tells the protocol from the first bytes of a connection. decided is
// false while more bytes could still tell.
func classify(head []byte) (p Protocol, decided bool) {
	decided = true
	for _, s := range signatures {
		switch {
		case len(head) >= len(s.first) && string(head[:len(s.first)]) == s.first:
			return s.protocol, true
		case len(head) < len(s.first) && bytes.HasPrefix([]byte(s.first), head):
			decided = false
		}
	}
	return Unknown, decided
}
