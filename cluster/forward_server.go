package cluster

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// A forwardServer takes the commands of other nodes while this one leads. The
// streams stay open when it does not: what comes on them then is refused, and
// the other end moves on.
type forwardServer struct {
	self     string
	now      func() time.Duration
	patience time.Duration
	reign    func() *reign    // nil while another node leads
	level    func() fsm.Level // commands above it are not proposed

	mu      sync.Mutex // guards the fields below; never held across I/O
	streams map[*stream]struct{}
	heard   map[string]sign // the last of each node, by id
	closed  bool
}

func newForwardServer(self string, now func() time.Duration, patience time.Duration,
	reign func() *reign, level func() fsm.Level) *forwardServer {
	return &forwardServer{
		self: self, now: now, patience: patience, reign: reign, level: level,
		streams: make(map[*stream]struct{}), heard: make(map[string]sign),
	}
}

// serve takes frames from another node until the connection breaks.
func (f *forwardServer) serve(conn *transport.Conn) error {
	s := newStream(conn, f.now)
	if !f.open(s) {
		s.close()
		return errFailed
	}
	var writer sync.WaitGroup
	writer.Go(s.write)
	defer writer.Wait()
	defer f.forget(s)
	defer s.close()
	var commands []fsm.Command
	return s.read(func(kind transport.FrameType, body []byte) (err error) {
		f.hear(conn.Peer.ID, 0)
		switch kind {
		case framePing:
			applied, err := decodeApplied(body)
			if err != nil {
				return err
			}
			f.hear(conn.Peer.ID, applied)
			s.putFrame(framePong, appendAlive(nil, append(f.lively(), f.self)))
			return nil
		case frameCommands:
			if commands, err = fsm.DecodeCommands(body, commands[:0]); err != nil {
				return fmt.Errorf("commands of node %s: %w", conn.Peer.ID, err)
			}
			f.take(s, commands)
			return nil
		default:
			return fmt.Errorf("node %s sent a frame of kind %d, which is not for a leader", conn.Peer.ID, kind)
		}
	})
}

// take hands commands to the reign. The leader checks each of them before it
// proposes it, whatever the other node has checked: one that decodes nowhere
// would stop every node.
func (f *forwardServer) take(s *stream, commands []fsm.Command) {
	r := f.reign()
	if r == nil {
		s.putFrame(frameRefused, nil)
		return
	}
	if !r.inbox.putAll(s, f.valid(s, commands)) {
		s.putFrame(frameRefused, nil)
	}
}

// valid answers the malformed ones of the commands, and keeps the rest.
func (f *forwardServer) valid(s *stream, commands []fsm.Command) []fsm.Command {
	level := f.level()
	return slices.DeleteFunc(commands, func(c fsm.Command) bool {
		refusal := c.Validate(level)
		if refusal.Status == 0 {
			return false
		}
		s.putOutcome(&fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: c.Key(), Result: refusal}, tag{sum: sumOf(&c)})
		s.ring()
		return true
	})
}

// refuse tells all nodes that what they sent is answered or lost.
func (f *forwardServer) refuse() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		s.putFrame(frameRefused, nil)
	}
}

// count is how many streams of other nodes there are.
func (f *forwardServer) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams)
}

func (f *forwardServer) open(s *stream) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.streams[s] = struct{}{}
	return true
}

func (f *forwardServer) forget(s *stream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, s)
}

// close closes every stream and takes no more.
func (f *forwardServer) close() {
	f.mu.Lock()
	f.closed = true
	all := make([]*stream, 0, len(f.streams))
	for s := range f.streams {
		all = append(all, s)
	}
	f.mu.Unlock()
	for _, s := range all {
		s.close()
	}
}
