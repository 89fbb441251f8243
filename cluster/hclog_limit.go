package cluster

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

const (
	// repeatAfter is how long an error of the library's that was logged is not
	// logged again for the same peer.
	repeatAfter = time.Minute
	// repeatsMax bounds what is remembered of them.
	repeatsMax = 256
)

// unreachable tells whether a message is one of those that all say the same of a
// peer. Several come for each heartbeat; they are one line.
func unreachable(msg string) bool {
	switch msg {
	case "failed to heartbeat to", "failed to appendEntries to", "failed to pipeline appendEntries",
		"failed to start pipeline replication to", "failed to make requestVote RPC", "failed to send snapshot to",
		"failed to install snapshot", "failed to decode incoming command", "failed to flush response":
		return true
	}
	return false
}

// judge says at which level a message of the library's is worth logging, and
// what counts as the same message. The library reports each step of an election
// and each attempt to reach a node; a node says itself what came of them, so
// that only errors are left, of which those about connections are warnings.
func judge(level hclog.Level, msg string, args []any) (to slog.Level, same string) {
	to = slogLevel(level)
	if to < slog.LevelError {
		return to, ""
	}
	peer, err := subject(args)
	if expected(msg, err) {
		return slog.LevelDebug, ""
	}
	if unreachable(msg) {
		if peer != "" {
			return slog.LevelWarn, "peer\x00" + peer
		}
		if errors.As(err, new(net.Error)) {
			return slog.LevelWarn, msg
		}
	}
	return to, msg + "\x00" + peer
}

// expected tells whether an error is how something ends that is well.
func expected(msg string, err error) bool {
	switch {
	case msg == "peer has newer term, stopping replication":
		return true // an election
	case err == nil:
		return false
	case errors.Is(err, raft.ErrTransportShutdown), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return true // this node is about to stop, or has ended the stream
	case errors.Is(err, raft.ErrLogNotFound), errors.Is(err, raft.ErrNothingNewToSnapshot):
		return true // the follower gets a snapshot instead; there is nothing to do
	case errors.Is(err, io.EOF):
		return msg == "failed to decode incoming command"
	}
	return strings.Contains(err.Error(), net.ErrClosed.Error()) // where the codec hides it
}

// subject is the address of the peer that a message is about, and its error.
func subject(args []any) (peer string, err error) {
	for i := 1; i < len(args); i += 2 {
		switch v := args[i].(type) {
		case raft.Server:
			peer = string(v.Address)
		case raft.ServerAddress:
			peer = string(v)
		case raft.ServerID:
			if peer == "" {
				peer = string(v)
			}
		case error:
			err = v
		}
	}
	return peer, err
}

// repeats remembers what was logged lately.
type repeats struct {
	mu   sync.Mutex // guards the field below
	last map[string]time.Time
}

func newRepeats() *repeats { return &repeats{last: make(map[string]time.Time)} }

// due tells whether a message is to be logged now. All that is remembered is
// forgotten when it is too much: a line too many does less harm than one too few.
func (r *repeats) due(same string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if at, known := r.last[same]; known && now.Sub(at) < repeatAfter {
		return false
	}
	if len(r.last) >= repeatsMax {
		clear(r.last)
	}
	r.last[same] = now
	return true
}
