//go:build unix

package transport

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limitDescriptors leaves this process as many more descriptors, until the test is
// over, and returns the limit.
func limitDescriptors(t *testing.T, more int) (limit int) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	open, known := openDescriptors()
	if !known {
		t.Fatal("what is open cannot be counted")
	}
	low := before
	low.Cur = uint64(open + more)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	return open + more
}

func TestRoom(t *testing.T) {
	for _, c := range []struct {
		limit, open int
		want        room
	}{
		{64, 10, ample}, {64, 32, ample}, {64, 33, nodesOnly}, {64, 48, nodesOnly}, {64, 49, filesOnly}, {64, 64, filesOnly},
		{1024, 960, ample}, {1024, 961, nodesOnly}, {1024, 1009, filesOnly}, {10, 3, filesOnly}, {1 << 30, 1 << 20, ample},
	} {
		if got := roomOf(c.limit, c.open); got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.open, c.limit, got, c.want)
		}
	}
}

// A crowd that says nothing leaves descriptors for nodes: the oldest of those that
// nobody knows goes first, and whoever speaks comes in for one of them.
func TestCrowdLeavesDescriptors(t *testing.T) {
	var log bytes.Buffer
	_ = limitDescriptors(t, 150)
	p := open(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), SniffTimeout: time.Hour})
	nodes, clients := p.Node(), p.RESP()
	first := say(t, p, "")
	// Each takes two, its other end being here too, until it is evicted: no number of
	// them takes what is left for nodes.
	for i := 0; p.Stats().Evicted < 20; i++ {
		if i > 200 {
			t.Fatalf("%d are let in: %+v", i, p.Stats())
		}
		nc := say(t, p, "")
		go func() {
			_, _ = io.Copy(io.Discard, nc)
			_ = nc.Close()
		}()
	}
	if _, err := io.ReadAll(first); err != nil {
		t.Error("the oldest is not closed:", err)
	}
	for protocol, face := range map[string]net.Listener{nodeMagic + "R": nodes, "*1": clients} {
		_ = say(t, p, protocol)
		if nc, err := face.Accept(); err != nil {
			t.Error(err)
		} else {
			t.Cleanup(func() { _ = nc.Close() })
		}
	}
	if s := p.Stats(); s.Refused != 0 || s.Clients != 1 {
		t.Errorf("%+v", s)
	}
	_ = p.Close()
	for _, said := range []string{"the limit of open files is low", "near its limit of open files"} {
		if strings.Count(log.String(), said) != 1 {
			t.Errorf("%q is not said once:\n%s", said, &log)
		}
	}
}

// A crowd of clients leaves some for nodes too: the next client is refused in its own
// words, a node comes in.
func TestClientsLeaveDescriptors(t *testing.T) {
	_ = limitDescriptors(t, 150)
	p := open(t, Options{})
	nodes, clients := p.Node(), p.RESP()
	for refused := false; !refused; refused = p.Stats().Refused > 0 {
		nc := say(t, p, "*1")
		answer := make(chan string, 1)
		go func() {
			text, _ := io.ReadAll(nc)
			answer <- string(text)
		}()
		if p.Stats().Clients > 100 {
			t.Fatalf("all are let in: %+v", p.Stats())
		}
		in := make(chan net.Conn, 1)
		go func() {
			if nc, err := clients.Accept(); err == nil {
				in <- nc
			}
		}()
		select {
		case nc := <-in:
			t.Cleanup(func() { _ = nc.Close() })
		case text := <-answer:
			if !strings.HasPrefix(text, "-ERR") {
				t.Fatalf("a client is told %q", text)
			}
		}
	}
	_ = say(t, p, nodeMagic+"R")
	if _, err := nodes.Accept(); err != nil {
		t.Error(err)
	}
	_ = p.Close()
}

// Where there are descriptors for files alone, whoever comes is closed.
func TestFilesKeepTheirDescriptors(t *testing.T) {
	limit := limitDescriptors(t, 50)
	p := open(t, Options{SniffTimeout: time.Hour})
	for open := 0; open+DescriptorsOwn/2 < limit; open, _ = openDescriptors() {
		file, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
	}
	nc := say(t, p, "")
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(nc); err != nil {
		t.Error(err)
	}
	if s := p.Stats(); s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}
