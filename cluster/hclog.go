package cluster

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// levelTrace is below slog's lowest named level, as hclog's is below Debug.
const levelTrace = slog.LevelDebug - 4

// hcLogger lets HashiCorp's libraries log to a slog.Logger. Its level is the
// handler's and cannot be set from here. Messages below Error are logged as
// Debug, and an Error is not repeated within a minute: see judge.
type hcLogger struct {
	to   *slog.Logger // with args
	bare *slog.Logger // without
	name string
	args []any
	said *repeats // shared with what is derived from it
}

var _ hclog.Logger = (*hcLogger)(nil)

func newHCLogger(to *slog.Logger) *hcLogger { return &hcLogger{to: to, bare: to, said: newRepeats()} }

func (l *hcLogger) Log(level hclog.Level, msg string, args ...any) {
	to, same := judge(level, msg, args)
	if !l.enabled(to) || same != "" && !l.said.due(same) {
		return
	}
	if l.name != "" {
		msg = l.name + ": " + msg
	}
	l.to.Log(context.Background(), to, msg, attributes(args)...)
}

func (l *hcLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *hcLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *hcLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *hcLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *hcLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *hcLogger) enabled(level slog.Level) bool { return l.to.Enabled(context.Background(), level) }

func (l *hcLogger) IsTrace() bool { return l.enabled(levelTrace) }
func (l *hcLogger) IsDebug() bool { return l.enabled(slogLevel(hclog.Debug)) }
func (l *hcLogger) IsInfo() bool  { return l.enabled(slogLevel(hclog.Info)) }
func (l *hcLogger) IsWarn() bool  { return l.enabled(slogLevel(hclog.Warn)) }
func (l *hcLogger) IsError() bool { return l.enabled(slogLevel(hclog.Error)) }

func (l *hcLogger) ImpliedArgs() []any { return l.args }

func (l *hcLogger) With(args ...any) hclog.Logger {
	all := append(append([]any(nil), l.args...), args...)
	return &hcLogger{to: l.bare.With(attributes(all)...), bare: l.bare, name: l.name, args: all, said: l.said}
}

func (l *hcLogger) Name() string { return l.name }

func (l *hcLogger) Named(name string) hclog.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return l.ResetNamed(name)
}

func (l *hcLogger) ResetNamed(name string) hclog.Logger {
	named := *l
	named.name = name
	return &named
}

func (l *hcLogger) SetLevel(hclog.Level) {}

func (l *hcLogger) GetLevel() hclog.Level {
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		if l.enabled(slogLevel(level)) {
			return level
		}
	}
	return hclog.Off
}

func (l *hcLogger) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(o), "", 0)
}

func (l *hcLogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return lineWriter{l} }

// lineWriter logs each write as one message.
type lineWriter struct{ to *hcLogger }

func (w lineWriter) Write(line []byte) (int, error) {
	n := len(line)
	for n > 0 && (line[n-1] == '\n' || line[n-1] == '\r') {
		n--
	}
	w.to.Info(string(line[:n]))
	return len(line), nil
}

func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Trace:
		return levelTrace
	case hclog.Error:
		return slog.LevelError
	default:
		return slog.LevelDebug
	}
}

// attributes are hclog's pairs with the values that it formats by type
// formatted, and no value as the source text of its Go type.
func attributes(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case hclog.Format:
			out[i] = ""
			if len(v) > 0 {
				out[i] = fmt.Sprintf(strings.ReplaceAll(fmt.Sprint(v[0]), "%#v", "%T"), v[1:]...)
			}
		case hclog.Hex:
			out[i] = fmt.Sprintf("%#x", int(v))
		case hclog.Octal:
			out[i] = fmt.Sprintf("%#o", int(v))
		case hclog.Binary:
			out[i] = fmt.Sprintf("%#b", int(v))
		case hclog.Quote:
			out[i] = fmt.Sprintf("%q", string(v))
		case raft.Server:
			out[i] = fmt.Sprintf("%s at %s", v.ID, placeOf(v.Address).address)
		default:
			out[i] = arg
		}
	}
	return out
}
