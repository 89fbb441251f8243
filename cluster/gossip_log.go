package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
)

// gossipLog takes the lines of the gossip library. It says much of what passes
// by itself, and nothing that a node decides upon: all of it is for debugging,
// but for a peer with another key, which an operator must hear of, once a
// minute.
type gossipLog struct {
	to   *slog.Logger
	said *repeats
}

// Write implements io.Writer: one line, with its level in brackets.
func (l *gossipLog) Write(line []byte) (int, error) {
	level, text := levelTrace, strings.TrimSpace(string(line))
	if rest, found := strings.CutPrefix(text, "["); found {
		name, message, _ := strings.Cut(rest, "] ")
		if name == "ERR" || name == "WARN" {
			level = slog.LevelDebug
		}
		text = strings.TrimPrefix(message, "memberlist: ")
	}
	l.to.Log(context.Background(), level, "gossip", "said", text)
	return len(line), nil
}

// refused is told of what the filter kept out.
func (l *gossipLog) refused(from net.Addr, why error) {
	host, _, _ := net.SplitHostPort(from.String())
	if !errors.Is(why, errNoLabel) && l.said.due(host+"\x00"+why.Error()) {
		l.to.Warn("gossip refused", "from", host, "why", why)
	}
}

// say logs an error that is not repeated within a minute.
func (l *gossipLog) say(level slog.Level, what string, err error) {
	if l.said.due(what + "\x00" + err.Error()) {
		l.to.Log(context.Background(), level, what, "error", err)
	}
}
