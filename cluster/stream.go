package cluster

import (
	"encoding/binary"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// What two nodes say to each other on a forward stream. The node that dialled
// sends commands and pings, the one that accepted sends the rest.
const (
	_ transport.FrameType = iota
	// frameCommands: commands, back to back.
	frameCommands
	// frameOutcomes: outcomes, back to back: the answers to commands that came
	// on this stream and the events of sessions that were last heard on it, each
	// after its tag.
	frameOutcomes
	// frameRefused: what came on this stream and is not answered will perhaps
	// not be proposed. Send it again, later or elsewhere.
	frameRefused
	// framePing: this node lives, and has applied so much (a uvarint). Answered by
	// framePong.
	framePing
	// framePong: the ids of the nodes that the leader heard from lately, each
	// with its length before it.
	framePong
)

const (
	// chunkMax: bytes of commands or outcomes in one frame, and chunkItemsMax of
	// them, since a renewal is but a few bytes and a frame is decoded as a whole.
	chunkMax      = 256 << 10
	chunkItemsMax = fsm.CommandsMax / 2
	// streamBytesMax: what may wait to be written. A node that does not read
	// this much has lost it: the stream is given up, and a new one starts afresh.
	streamBytesMax = 64 << 20
)

// A chunk is one frame to be.
type chunk struct {
	kind  transport.FrameType
	body  []byte
	items int
}

// takes tells whether one more of a kind fits.
func (c *chunk) takes(kind transport.FrameType) bool {
	return c.kind == kind && kind <= frameOutcomes && len(c.body) < chunkMax && c.items < chunkItemsMax
}

// A stream is a forward connection between two nodes, seen from either end.
// Everybody puts, one goroutine writes: it gives way to the scheduler once, so
// that who is about to put does so, takes all there is, and writes it at once.
type stream struct {
	conn *transport.Conn
	now  func() time.Duration

	mu     sync.Mutex // guards the fields below; never held across I/O
	queue  []chunk
	size   int
	spare  []byte // a written chunk's memory, for the next
	closed bool

	wake  chan struct{} // capacity 1
	over  chan struct{} // closed with the stream
	heard atomic.Int64  // when the last frame came
}

func newStream(conn *transport.Conn, now func() time.Duration) *stream {
	s := &stream{conn: conn, now: now, wake: make(chan struct{}, 1), over: make(chan struct{})}
	s.heard.Store(int64(now()))
	return s
}

// put implements sender: a command for the leader at the other end.
func (s *stream) put(_ fsm.Op, _ fsm.SessionID, raw []byte) bool {
	ok := s.append(frameCommands, func(b []byte) []byte { return append(b, raw...) })
	s.ring()
	return ok
}

// A tag tells which command an outcome answers, and in which entry.
type tag struct {
	sum uint32    // of the command; 0 for an event
	at  fsm.Index // 0: refused before the log
}

// putOutcome puts an outcome for the node at the other end; ring follows.
func (s *stream) putOutcome(o *fsm.Outcome, t tag) bool {
	return s.append(frameOutcomes, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint32(b, t.sum)
		return fsm.AppendOutcome(binary.AppendUvarint(b, uint64(t.at)), o)
	})
}

// takeOutcome takes what putOutcome put off the front of body.
func takeOutcome(body []byte, o *fsm.Outcome) (rest []byte, t tag, err error) {
	if len(body) < 4 {
		return nil, tag{}, io.ErrUnexpectedEOF
	}
	t.sum, rest = binary.LittleEndian.Uint32(body), body[4:]
	at, n := binary.Uvarint(rest)
	if n <= 0 {
		return nil, tag{}, io.ErrUnexpectedEOF
	}
	t.at, rest = fsm.Index(at), rest[n:]
	n, err = fsm.DecodeOutcome(rest, o)
	return rest[n:], t, err
}

// putFrame puts a frame of its own.
func (s *stream) putFrame(kind transport.FrameType, body []byte) {
	s.append(kind, func(b []byte) []byte { return append(b, body...) })
	s.ring()
}

// append adds to the last chunk of this kind if there is room.
func (s *stream) append(kind transport.FrameType, add func([]byte) []byte) bool {
	s.mu.Lock()
	if s.closed || s.size > streamBytesMax {
		s.mu.Unlock()
		s.close()
		return false
	}
	n := len(s.queue)
	if n == 0 || !s.queue[n-1].takes(kind) {
		s.queue = append(s.queue, chunk{kind: kind, body: s.spare})
		s.spare = nil
		n++
	}
	last := &s.queue[n-1]
	before := len(last.body)
	last.body = add(last.body)
	last.items++
	s.size += len(last.body) - before
	s.mu.Unlock()
	return true
}

// ring lets the writer know.
func (s *stream) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close may be called again, and by anybody.
func (s *stream) close() {
	s.mu.Lock()
	first := !s.closed
	s.closed, s.queue, s.size = true, nil, 0
	s.mu.Unlock()
	if first {
		close(s.over)
		s.conn.Close()
	}
}

// write writes until the stream is closed.
func (s *stream) write() {
	defer s.close()
	w := transport.NewFrameWriter(s.conn)
	var taken []chunk
	for {
		select {
		case <-s.wake:
		case <-s.over:
			return
		}
		runtime.Gosched()
		s.mu.Lock()
		taken, s.queue, s.size = s.queue, taken[:0], 0
		s.mu.Unlock()
		for i := range taken {
			if err := w.Write(taken[i].kind, taken[i].body); err != nil {
				return
			}
		}
		s.mu.Lock()
		if len(taken) > 0 && cap(taken[0].body) <= 2*chunkMax {
			s.spare = taken[0].body[:0]
		}
		s.mu.Unlock()
		clear(taken)
	}
}

// read hands every frame to take until the stream breaks or take refuses. The
// body is valid until take returns.
func (s *stream) read(take func(kind transport.FrameType, body []byte) error) error {
	defer s.close()
	r := transport.NewFrameReader(s.conn)
	for {
		kind, body, err := r.Read()
		if err != nil {
			return err
		}
		s.heard.Store(int64(s.now()))
		if err := take(kind, body); err != nil {
			return err
		}
	}
}

// silent is how long nothing was heard.
func (s *stream) silent() time.Duration {
	return s.now() - time.Duration(s.heard.Load())
}
