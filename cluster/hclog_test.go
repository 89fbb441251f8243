package cluster

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

func TestHCLogger(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	var l hclog.Logger = newHCLogger(to)
	want := func(line string) {
		t.Helper()
		if got := strings.TrimSuffix(out.String(), "\n"); got != line {
			t.Errorf("%s\nwant %s", got, line)
		}
		out.Reset()
	}

	level.Set(slog.LevelDebug)
	l.Info("hello", "n", 1, "f", hclog.Fmt("%d/%d", 1, 2), "empty", hclog.Format{}, "h", hclog.Hex(255), "o", hclog.Octal(8), "b", hclog.Binary(5), "q", hclog.Quote("x"))
	want(`level=DEBUG msg=hello n=1 f=1/2 empty="" h=0xff o=010 b=0b101 q="\"x\""`)
	l.Warn("w")
	want(`level=DEBUG msg=w`)
	l.Error("e")
	want(`level=ERROR msg=e`)
	l.Debug("d")
	want(`level=DEBUG msg=d`)
	l.Trace("t")
	l.Log(hclog.NoLevel, "n")
	want(`level=DEBUG msg=n`)

	named := l.Named("raft").Named("net").With("node", "n1")
	named.Info("m", "k", "v")
	want(`level=DEBUG msg="raft.net: m" node=n1 k=v`)
	named.With("term", 2).ResetNamed("x").Info("m")
	want(`level=DEBUG msg="x: m" node=n1 term=2`)
	if named.Name() != "raft.net" || len(named.ImpliedArgs()) != 2 {
		t.Error(named.Name(), named.ImpliedArgs())
	}

	level.Set(slog.LevelInfo)
	named.Warn("below Error")
	named.SetLevel(hclog.Info) // the handler decides
	if named.GetLevel() != hclog.Error || named.IsTrace() || named.IsDebug() || named.IsInfo() || named.IsWarn() || !named.IsError() {
		t.Error(named.GetLevel())
	}
	level.Set(levelTrace)
	if named.GetLevel() != hclog.Trace || !named.IsTrace() {
		t.Error(named.GetLevel())
	}
	l.Trace("t")
	want(`level=DEBUG-4 msg=t`)
	level.Set(slog.LevelError + 1)
	if named.GetLevel() != hclog.Off {
		t.Error(named.GetLevel())
	}

	level.Set(slog.LevelDebug)
	l.StandardLogger(nil).Print("line\n")
	want(`level=DEBUG msg=line`)
}

// TestHCLoggerRepeats: a lost peer is one line a minute, and how a stream ends
// is none.
func TestHCLoggerRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newHCLogger(slog.New(slog.NewTextHandler(&out, nil)).With("node", "n1"))
		lines := func(want int, contain ...string) {
			t.Helper()
			if got := strings.Count(out.String(), "\n"); got != want {
				t.Errorf("%d lines, want %d:\n%s", got, want, out.String())
			}
			for _, text := range contain {
				if strings.Count(out.String(), text) != want {
					t.Errorf("not in each line: %s\n%s", text, out.String())
				}
			}
			out.Reset()
		}
		n2 := raft.Server{ID: "n2", Address: "127.0.0.1:2"}
		refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		lost := func() {
			l.Error("failed to appendEntries to", "peer", n2, "error", refused)
			l.Error("failed to pipeline appendEntries", "peer", n2, "error", io.EOF)
			l.Named("raft").Error("failed to heartbeat to", "peer", n2.Address, "backoff time", time.Second, "error", refused)
			l.With("a", 1).Error("failed to make requestVote RPC", "target", n2, "error", refused)
		}
		lost()
		lines(1, "level=WARN", "node=n1", "n2 at 127.0.0.1:2")
		time.Sleep(repeatAfter - time.Second)
		lost()
		lines(0)
		time.Sleep(2 * time.Second)
		lost()
		lines(1)

		l.Error("failed to heartbeat to", "peer", raft.ServerAddress("127.0.0.1:3"), "error", refused)
		l.Error("failed to append to logs", "error", errors.New("disk"))
		l.Error("failed to append to logs", "error", errors.New("disk"))
		l.Error("got unexpected command", "command", hclog.Fmt("%#v", n2))
		if strings.Contains(out.String(), "{") || strings.Count(out.String(), "level=ERROR") != 2 {
			t.Error(out.String())
		}
		lines(3, "node=n1")

		l.Error("failed to decode incoming command", "error", raft.ErrTransportShutdown)
		l.Error("failed to decode incoming command", "error", errors.New("read: use of closed network connection"))
		l.Error("failed to appendEntries to", "peer", n2, "error", net.ErrClosed)
		l.Error("peer has newer term, stopping replication", "peer", n2)
		l.Warn("heartbeat timeout reached, starting election", "last-leader-addr", "")
		l.Info("election won", "term", 2)
		lines(0)

		for i := range 10 * repeatsMax {
			l.Error("failed to heartbeat to", "peer", raft.ServerAddress(strconv.Itoa(i)), "error", refused)
		}
		lines(10 * repeatsMax)
		if n := len(l.said.last); n > repeatsMax {
			t.Errorf("%d remembered", n)
		}
	})
}
