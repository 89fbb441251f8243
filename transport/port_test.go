package transport

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func open(t *testing.T, o Options) *Port {
	t.Helper()
	p, err := Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// say connects and sends text, without waiting.
func say(t *testing.T, p *Port, text string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := io.WriteString(nc, text); err != nil {
		t.Fatal(err)
	}
	return nc
}

// TestRouting: every protocol comes to its face with all of its bytes, however
// they were cut.
func TestRouting(t *testing.T) {
	p := open(t, Options{})
	faces := map[Protocol]net.Listener{Node: p.Node(), GRPC: p.GRPC(), HTTP: p.HTTP(), RESP: p.RESP()}
	for _, c := range []struct {
		text string
		want Protocol
	}{
		{"LKD1R and a handshake longer than what is peeked", Node},
		{preface + "frames", GRPC},
		{"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", HTTP},
		{"POST / HTTP/1.1\r\nHost: a\r\n\r\n*1\r\n$4\r\nPING\r\n", HTTP},
		{"*1\r\n$4\r\nPING\r\n", RESP},
		{"*", RESP},
	} {
		for _, cut := range []int{0, 1, len(c.text) / 2} {
			nc := say(t, p, c.text[:cut])
			if _, err := io.WriteString(nc, c.text[cut:]); err != nil {
				t.Fatal(err)
			}
			got, err := faces[c.want].Accept()
			if err != nil {
				t.Fatal(err)
			}
			all := make([]byte, len(c.text))
			if _, err := io.ReadFull(got, all); err != nil || string(all) != c.text {
				t.Errorf("%v got %q, %v; want %q", c.want, all, err, c.text)
			}
			if _, err := io.WriteString(got, "answer"); err != nil {
				t.Fatal(err)
			}
			_ = got.Close()
			if answer, err := io.ReadAll(nc); string(answer) != "answer" {
				t.Errorf("%v answered %q, %v", c.want, answer, err)
			}
		}
	}
	if s := p.Stats(); s.Clients != 0 || s.Accepted != 18 || s.Refused != 0 || s.Unknown != 0 {
		t.Errorf("%+v", s)
	}
}

// TestPostNeverReachesRESP: only RESP is served, and a browser is told so in
// HTTP; the command in its body is not executed by anybody.
func TestPostNeverReachesRESP(t *testing.T) {
	p := open(t, Options{})
	resp := p.RESP()
	nc := say(t, p, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n*1\r\n$4\r\nPING\r\n")
	response, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%v, %v", response, err)
	}
	_ = response.Body.Close()
	_ = p.Close()
	if _, err := resp.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error("something came to RESP", err)
	}
}

// TestRefusals: what nobody serves is told so in its own words.
func TestRefusals(t *testing.T) {
	p := open(t, Options{})

	t.Run("http", func(t *testing.T) {
		response, err := http.Get("http://" + p.Addr().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusServiceUnavailable || !response.Close || !bytes.Contains(body, []byte("HTTP")) {
			t.Errorf("%+v %q %v", response, body, err)
		}
	})
	t.Run("grpc", func(t *testing.T) {
		answer, err := io.ReadAll(say(t, p, preface))
		if err != nil {
			t.Fatal(err)
		}
		var types []byte
		for len(answer) > 0 {
			size := int(binary.BigEndian.Uint32(append([]byte{0}, answer[:3]...)))
			types = append(types, answer[3])
			answer = answer[9+size:]
		}
		if !bytes.Equal(types, []byte{4, 7}) {
			t.Errorf("frames %v, want SETTINGS and GOAWAY", types)
		}
	})
	t.Run("resp", func(t *testing.T) {
		answer, err := io.ReadAll(say(t, p, "*1\r\n$4\r\nPING\r\n"))
		if !strings.HasPrefix(string(answer), "-ERR ") || !strings.HasSuffix(string(answer), "\r\n") || err != nil {
			t.Errorf("%q, %v", answer, err)
		}
	})
	t.Run("tls", func(t *testing.T) {
		_, err := tls.Dial("tcp", p.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Error(err)
		}
	})
	t.Run("node", func(t *testing.T) {
		if answer, err := io.ReadAll(say(t, p, "LKD1R")); len(answer) > 0 || err != nil {
			t.Errorf("%q, %v", answer, err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		if answer, _ := io.ReadAll(say(t, p, "\x00\x01\x02")); len(answer) > 0 {
			t.Errorf("%q", answer)
		}
	})
	if s := p.Stats(); s.Refused != 5 || s.Unknown != 1 || s.Clients != 0 {
		t.Errorf("%+v", s)
	}
}

// bubble runs f over a port in memory, in virtual time.
func bubble(t *testing.T, o Options, f func(*testing.T, *Port, *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		p, err := NewPort(l, o)
		if err != nil {
			t.Fatal(err)
		}
		f(t, p, l)
		_ = p.Close()
	})
}

// closedAfter is how long the other end keeps nc open.
func closedAfter(nc net.Conn) time.Duration {
	start := time.Now()
	_, _ = io.Copy(io.Discard, nc)
	return time.Since(start)
}

// TestSlowLoris: silence and drips end with the sniffing deadline.
func TestSlowLoris(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, p *Port, l *pipes) {
		p.HTTP()
		if d := closedAfter(l.dial()); d != SniffTimeout {
			t.Errorf("a silent connection lived for %v", d)
		}
		drip := l.dial()
		var dripping sync.WaitGroup
		dripping.Go(func() {
			for _, b := range []byte(preface) {
				time.Sleep(time.Second)
				if _, err := drip.Write([]byte{b}); err != nil {
					return
				}
			}
		})
		defer dripping.Wait()
		if d := closedAfter(drip); d != SniffTimeout {
			t.Errorf("a dripping connection lived for %v", d)
		}
		synctest.Wait()
		if s := p.Stats(); s.Unknown != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestEviction: in a flood of silent connections the oldest go, and one that
// speaks is served.
func TestEviction(t *testing.T) {
	bubble(t, Options{ProbationMax: 3}, func(t *testing.T, p *Port, l *pipes) {
		served := p.RESP()
		var silent []net.Conn
		for range 5 {
			silent = append(silent, l.dial())
			synctest.Wait()
		}
		speaker := l.dial()
		if _, err := io.WriteString(speaker, "*1\r\n"); err != nil {
			t.Fatal(err)
		}
		got, err := served.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for i, nc := range silent {
			if d := closedAfter(nc); (d == 0) != (i < 3 || i == 4) {
				t.Errorf("silent connection %d lived for %v", i, d)
			}
		}
		if s := p.Stats(); s.Evicted != 3 || s.Clients != 1 {
			t.Errorf("%+v", s)
		}
		_, _ = speaker.Close(), got.Close()
		if again := got.Close(); !errors.Is(again, net.ErrClosed) || p.Stats().Clients != 0 {
			t.Errorf("closed again: %v, %+v", again, p.Stats())
		}
	})
}

// TestNodesOnProbation: node connections that do not get through the handshake
// are as bounded as silent ones.
func TestNodesOnProbation(t *testing.T) {
	bubble(t, Options{ProbationMax: 2}, func(t *testing.T, p *Port, l *pipes) {
		nodes := p.Node()
		var peers, ours []net.Conn
		for range 3 {
			peer := l.dial()
			if _, err := io.WriteString(peer, "LKD1R"); err != nil {
				t.Fatal(err)
			}
			nc, err := nodes.Accept()
			if err != nil {
				t.Fatal(err)
			}
			peers, ours = append(peers, peer), append(ours, nc)
		}
		if d := closedAfter(peers[0]); d != 0 || p.Stats().Evicted != 1 {
			t.Errorf("the oldest lived for %v; %+v", d, p.Stats())
		}
		for i := range peers {
			_, _ = peers[i].Close(), ours[i].Close()
		}
	})
}

// TestClientsMax: clients over the limit are refused, nodes are not counted.
func TestClientsMax(t *testing.T) {
	bubble(t, Options{ClientsMax: 1}, func(t *testing.T, p *Port, l *pipes) {
		resp, nodes := p.RESP(), p.Node()
		send := func(text string) net.Conn {
			nc := l.dial()
			if _, err := io.WriteString(nc, text); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return nc
		}
		first := send("*1\r\n")
		second := send("*1\r\n")
		if text, _ := io.ReadAll(second); !strings.HasPrefix(string(text), "-ERR") {
			t.Errorf("%q", text)
		}
		node := send("LKD1R")
		if _, err := nodes.Accept(); err != nil {
			t.Error(err)
		}
		served, _ := resp.Accept()
		_ = served.Close()
		third := send("*1\r\n")
		if _, err := resp.Accept(); err != nil || p.Stats().Clients != 1 {
			t.Errorf("%v, %+v", err, p.Stats())
		}
		for _, nc := range []net.Conn{first, second, third, node} {
			_ = nc.Close()
		}
	})
}

// TestBacklog: what nobody accepts is refused, and closed with its face.
func TestBacklog(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, p *Port, l *pipes) {
		resp := p.RESP()
		var waiting []net.Conn
		for range FaceBacklog {
			nc := l.dial()
			_, _ = io.WriteString(nc, "*1\r\n")
			waiting = append(waiting, nc)
		}
		synctest.Wait()
		over := l.dial()
		_, _ = io.WriteString(over, "*1\r\n")
		if text, _ := io.ReadAll(over); !strings.HasPrefix(string(text), "-ERR") {
			t.Errorf("%q", text)
		}
		if s := p.Stats(); s.Clients != FaceBacklog {
			t.Errorf("%+v", s)
		}
		if err := resp.Close(); err != nil {
			t.Error(err)
		}
		if err := resp.Close(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		for _, nc := range waiting {
			if d := closedAfter(nc); d != 0 {
				t.Errorf("closed after %v", d)
			}
		}
		late := l.dial()
		_, _ = io.WriteString(late, "*1\r\n")
		if text, _ := io.ReadAll(late); !strings.HasPrefix(string(text), "-ERR") {
			t.Errorf("%q", text)
		}
		if s := p.Stats(); s.Clients != 0 || s.Refused != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestClose ends everything that is the port's, at once, and nothing else.
func TestClose(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, p *Port, l *pipes) {
		resp, nodes := p.RESP(), p.Node()
		silent, served, node := l.dial(), l.dial(), l.dial()
		_, _ = io.WriteString(served, "*1\r\n")
		_, _ = io.WriteString(node, "LKD1R")
		mine, err := resp.Accept()
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := nodes.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepting := make(chan error)
		go func() { _, err := resp.Accept(); accepting <- err }()
		synctest.Wait()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := <-accepting; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if closedAfter(silent) != 0 || closedAfter(node) != 0 {
			t.Error("a connection on probation outlived the port")
		}
		go func() { _, _ = io.WriteString(mine, "still here"); _ = mine.Close() }()
		if text, _ := io.ReadAll(io.LimitReader(served, 100)); !strings.Contains(string(text), "still here") {
			t.Errorf("%q", text)
		}
		_, _, _ = silent.Close(), served.Close(), stranger.Close()
		_ = node.Close()
		_ = p.Close() // again does nothing
	})
}

// TestAcceptFailures: no file descriptors, for a while, ends nothing.
func TestAcceptFailures(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	bubble(t, Options{Logger: logger}, func(t *testing.T, p *Port, l *pipes) {
		resp := p.RESP()
		for range 12 {
			l.failures <- errors.New("too many open files")
		}
		nc := l.dial()
		_, _ = io.WriteString(nc, "*1\r\n")
		got, err := resp.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Close(), got.Close()
		l.failures <- errors.New("once more") // and Close must not wait for the pause
		synctest.Wait()
	})
	if n := strings.Count(log.String(), "too many open files"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, &log)
	}
}

// TestEvictionRace: a client that is evicted while it is handed over is counted
// once or not at all, and never left open.
func TestEvictionRace(t *testing.T) {
	p := open(t, Options{ProbationMax: 1})
	resp := p.RESP()
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			nc, err := resp.Accept()
			if err != nil {
				return
			}
			_ = nc.Close()
		}
	})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 50 {
				nc, err := net.Dial("tcp", p.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(nc, "*1\r\n")
				_, _ = io.Copy(io.Discard, nc)
				_ = nc.Close()
			}
		})
	}
	clients.Wait()
	_ = p.Close()
	accepting.Wait()
	if s := p.Stats(); s.Clients != 0 || s.Accepted != 400 {
		t.Errorf("%+v", s)
	}
}

func TestOptions(t *testing.T) {
	l := newPipes()
	_, err := NewPort(l, Options{SniffTimeout: -1, ProbationMax: -1, ClientsMax: -1})
	for _, field := range []string{"SniffTimeout", "ProbationMax", "ClientsMax"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if _, err := Listen("127.0.0.1:0", Options{ClientsMax: -1}); err == nil {
		t.Error("bad options were taken")
	}
	if _, err := Listen("no such address", Options{}); err == nil {
		t.Error("a bad address was taken")
	}
}
