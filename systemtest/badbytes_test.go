//go:build system

package systemtest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// throw sends bytes to an address, and tells how the connection ends.
func throw(address string, b []byte) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) {
		t.Helper()
		return thrown(t, address, b, false)
	}
}

// cut is throw for bytes after which the sender goes away.
func cut(address string, b []byte) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) {
		t.Helper()
		return thrown(t, address, b, true)
	}
}

func thrown(t *testing.T, address string, b []byte, ends bool) (string, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Write(b) // it may be closed meanwhile
	if ends {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	answer, err := io.ReadAll(conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return "open", "the node waits for ever"
	}
	if len(answer) == 0 {
		return "closed", "without a word"
	}
	return "closed", readable(answer)
}

// readable is an answer as a person would tell it.
func readable(answer []byte) string {
	text := string(answer)
	switch {
	case text == "\x15\x03\x01\x00\x02\x02\x46":
		return "TLS alert: protocol version"
	case strings.HasPrefix(text, "HTTP/1.1 "):
		head, body, _ := strings.Cut(text, "\r\n\r\n")
		line, _, _ := strings.Cut(head, "\r\n")
		return line + ": " + body
	case len(answer) > 9 && answer[3] == 4:
		return "HTTP/2 SETTINGS, and the end"
	}
	return text
}

// Bytes that no client of ours sends. The node closes the connection, and tells who
// speaks HTTP why; strangers who speak nothing known are told nothing.
func badBytes(t *testing.T, c *cluster) []refusal {
	n := c.leader()
	noise := make([]byte, 1<<20)
	_, _ = rand.Read(noise)
	noise[0] = 0xff
	const (
		preface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
		request  = "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
		silent   = "without a word"
	)
	host, port, err := net.SplitHostPort(n.listen)
	if err != nil {
		t.Fatal(err)
	}
	gossip := net.JoinHostPort(host, fmt.Sprint(number(t, port)+1))
	return []refusal{
		{"random bytes", throw(n.listen, noise), "closed", silent},
		{"nothing", cut(n.listen, nil), "closed", silent},
		{"TLS, which is not spoken", throw(n.listen, []byte("\x16\x03\x01\x00\x05hello")), "closed", "protocol version"},
		{"the Redis protocol, which is not spoken", throw(n.listen, []byte("*1\r\n$4\r\nPING\r\n")), "closed", "lockd does not serve the Redis protocol"},
		{"HTTP/1 that is none", throw(n.listen, []byte("GET / HTTP/9\r\n\r\n")), "closed", "400 Bad Request"},
		{"HTTP/1 that ends", cut(n.listen, []byte("GET /v1/sta")), "closed", "400 Bad Request"},
		{"HTTP/1 and random bytes", throw(n.listen, append([]byte("GET "), noise...)), "closed", "HTTP/1.1 4"},
		{"JSON that is none", throw(n.listen, []byte(request+"Content-Length: 4\r\n\r\n{\"a\"")), "closed", `400 Bad Request: {"error":"the body is not as it should be`},
		{"a long HTTP header", throw(n.listen, []byte("GET / HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("a", 1<<20)+"\r\n\r\n")), "closed", "431"},
		{"a long HTTP body", throw(n.listen, []byte(request+"Content-Length: 1000000\r\n\r\n"+strings.Repeat("a", 1_000_000))), "closed", `413 Request Entity Too Large: {"error":`},
		{"HTTP/2 with a frame of 16 MiB", throw(n.listen, []byte(preface+"\xff\xff\xff\x00\x00\x00\x00\x00\x01")), "closed", "SETTINGS"},
		{"HTTP/2 that ends in a frame", cut(n.listen, []byte(preface+settings+"\x00\x10\x00\x01\x04")), "closed", "SETTINGS"},
		{"HTTP/2 and random bytes", throw(n.listen, append([]byte(preface), noise...)), "closed", "SETTINGS"},
		{"a node's stream and random bytes", throw(n.listen, append([]byte("LKD1F"), noise...)), "closed", silent},
		{"a node's stream that ends", cut(n.listen, []byte("LKD1R\x00\x04abc")), "closed", silent},
		{"a node's stream of no kind", throw(n.listen, []byte("LKD1X")), "closed", silent},
		{"random bytes for gossip", throw(gossip, noise), "closed", silent},
		{"a node with another key", c.stranger("another cluster's, 0123456789"), "not admitted", "give both the same key"},
		{"a node without a key", c.stranger(""), "not admitted", "give both the same key"},
	}
}

// stranger is a node that would like to join with another key, or none.
func (c *cluster) stranger(key string) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) {
		args := []string{"serve", "--node-id", "stranger", "--data-dir", t.TempDir(), "--log-level", "info",
			"--listen", fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]), "--join", c.endpoints()}
		if key != "" {
			file := filepath.Join(t.TempDir(), "secret")
			writeFile(t, file, key)
			if err := os.Chmod(file, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--gossip-key-file", file)
		}
		p := start(t, exec.Command(binary, args...))
		line := said(t, p, "not a member yet", "the peer has another cluster key")
		var s status
		eventually(t, "the cluster's status", func() bool { return query(&s, "status", "--endpoints", c.endpoints()) == nil })
		if len(s.Nodes) != 3 {
			t.Errorf("the cluster has now %+v", s.Nodes)
		}
		p.kill()
		return "not admitted", line[strings.Index(line, "status="):]
	}
}

// said waits for a line of the process's log that has both texts, and is that.
func said(t *testing.T, p *process, one, two string) (found string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the log says %q and %q", one, two), func() bool {
		for line := range strings.Lines(p.log.String()) {
			if strings.Contains(line, one) && strings.Contains(line, two) {
				found = line
			}
		}
		return found != ""
	})
	return found
}
