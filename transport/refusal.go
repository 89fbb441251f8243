package transport

import (
	"io"
	"time"
)

// refusals are what a connection is told, in its own protocol, before it is
// closed because nobody serves that protocol here or all is full. A node is
// told nothing: what it would believe comes after a handshake.
var refusals = [protocolEnd]string{
	HTTP: "HTTP/1.1 503 Service Unavailable\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\n" +
		"Content-Length: 39\r\n" +
		"Connection: close\r\n\r\n" +
		"lockd: HTTP is not served at this time\n",

	// An empty SETTINGS, then a GOAWAY: last stream 0, NO_ERROR, and a text.
	GRPC: "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
		"\x00\x00\x2e\x07\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00" +
		"lockd: gRPC is not served at this time",

	RESP: "-ERR lockd does not serve the Redis protocol at this time\r\n",

	// A fatal alert: protocol_version. OpenSSL and Go print it as such.
	TLS: "\x15\x03\x01\x00\x02\x02\x46",
}

// refuse tells c why and closes it. It takes no longer than lingerTimeout.
func refuse(c *conn, protocol Protocol) {
	defer c.Close()
	text := refusals[protocol]
	if text == "" || c.SetDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	if _, err := io.WriteString(c, text); err != nil {
		return
	}
	if c.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c, lingerSizeMax)
	}
}
