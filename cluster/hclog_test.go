package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
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

	l.Info("hello", "n", 1, "f", hclog.Fmt("%d/%d", 1, 2), "empty", hclog.Format{}, "h", hclog.Hex(255), "o", hclog.Octal(8), "b", hclog.Binary(5), "q", hclog.Quote("x"))
	want(`level=INFO msg=hello n=1 f=1/2 empty="" h=0xff o=010 b=0b101 q="\"x\""`)
	l.Warn("w")
	want(`level=WARN msg=w`)
	l.Error("e")
	want(`level=ERROR msg=e`)
	l.Debug("d")
	l.Trace("t")
	l.Log(hclog.NoLevel, "n")
	want(`level=INFO msg=n`)

	named := l.Named("raft").Named("net").With("node", "n1")
	named.Info("m", "k", "v")
	want(`level=INFO msg="raft.net: m" node=n1 k=v`)
	named.With("term", 2).ResetNamed("x").Info("m")
	want(`level=INFO msg="x: m" node=n1 term=2`)
	if named.Name() != "raft.net" || len(named.ImpliedArgs()) != 2 {
		t.Error(named.Name(), named.ImpliedArgs())
	}

	named.SetLevel(hclog.Error) // the handler decides
	if named.GetLevel() != hclog.Info || named.IsTrace() || named.IsDebug() || !named.IsInfo() || !named.IsWarn() || !named.IsError() {
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

	level.Set(slog.LevelInfo)
	l.StandardLogger(nil).Print("line\n")
	want(`level=INFO msg=line`)
}
