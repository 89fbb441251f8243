//go:build system

package systemtest

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
)

// throw sends bytes to a node's port, and tells how the node ends the connection.
func throw(n *node, b []byte) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) {
		t.Helper()
		conn, err := net.Dial("tcp", n.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write(b) // it may be closed meanwhile
		answer, err := io.ReadAll(conn)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return "open", "the node waits for ever"
		}
		return "closed", fmt.Sprintf("%q", string(answer[:min(len(answer), 60)]))
	}
}

// Bytes that no client of ours sends: the node closes the connection, and serves on.
func TestBadInputToAPort(t *testing.T) {
	c := startCluster(t)
	n := c.leader()
	noise := make([]byte, 1<<20)
	_, _ = rand.Read(noise)
	noise[0] = 0xff
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	key := filepath.Join(t.TempDir(), "key")
	writeFile(t, key, "a key that the others do not have")
	ports := freePorts(t, 1)
	refusing(t, c, []refusal{
		{"random bytes", throw(n, noise), "closed", ""},
		{"HTTP/1 that is none", throw(n, []byte("GET / HTTP/9\r\n\r\n")), "closed", "HTTP/1.1"},
		{"a long HTTP header", throw(n, []byte("GET / HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("a", 1<<20)+"\r\n\r\n")), "closed", "431"},
		{"a long HTTP body", throw(n, []byte("POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("a", 1_000_000))), "closed", "413"},
		{"HTTP/2 with a frame of 16 MiB", throw(n, []byte(preface+"\xff\xff\xff\x00\x00\x00\x00\x00\x01")), "closed", ""},
		{"HTTP/2 and random bytes", throw(n, append([]byte(preface), noise...)), "closed", ""},
		{"a node's stream and random bytes", throw(n, append([]byte("LKD1F"), noise...)), "closed", ""},
		{"a node's stream that ends", throw(n, []byte("LKD1R\x00\x04abc")), "closed", ""},
		{"a node's stream of no kind", throw(n, []byte("LKD1X")), "closed", ""},
		{"a node with another key", func(t *testing.T) (string, string) {
			p := start(t, exec.Command(binary, "serve", "--node-id", "stranger", "--data-dir", t.TempDir(), "--log-level", "info",
				"--listen", fmt.Sprintf("127.0.0.1:%d", ports[0]), "--join", c.endpoints(), "--gossip-key-file", key))
			eventually(t, "it is told", func() bool { return strings.Contains(p.log.String(), "key") })
			said := p.log.String()
			p.kill()
			return "not admitted", said[strings.LastIndex(said[:strings.Index(said, "key")], "\n")+1:]
		}, "not admitted", "key"},
	})
}

// Who knows nothing of us finds the service on the port.
func TestForeignGRPCClientFindsTheService(t *testing.T) {
	c := startCluster(t)
	conn, err := grpc.NewClient(c.nodes[1].listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := &reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(ask); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	t.Logf("found %v", names)
	if !strings.Contains(strings.Join(names, " "), "lockd.v1.") {
		t.Errorf("no service of lockd.v1 among %v", names)
	}
}
