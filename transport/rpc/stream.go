package rpc

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"google.golang.org/grpc"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// A stream is one client's, from its first frame to its end. The goroutine of
// its handler reads, one more writes, and one for each attached session waits
// for that session's events; commands have none if the backend takes them
// without.
type stream struct {
	server *Server
	rpc    grpc.ServerStream
	ctx    context.Context // ends with the stream
	cancel context.CancelFunc
	stop   func() bool // takes back what the server's end would do

	mu       sync.Mutex // guards the fields below; never held across I/O or the backend
	out      *Packer
	underway int           // commands that the backend has yet to answer
	opening  int           // of these, those that may bring a session more
	room     chan struct{} // closed when somebody who waits for room should look again
	sessions map[fsm.SessionID]*attached
	over     bool
}

func newStream(s *Server, rpc grpc.ServerStream) *stream {
	st := &stream{server: s, rpc: rpc, out: NewPacker(), sessions: make(map[fsm.SessionID]*attached)}
	st.ctx, st.cancel = context.WithCancel(rpc.Context())
	st.stop = context.AfterFunc(s.ctx, st.cancel)
	return st
}

// run serves until the client is done or the stream breaks.
func (s *stream) run() error {
	s.server.work.Go(s.write)
	defer s.end()
	var frame commandFrame
	var keep []kept
	for {
		err := s.rpc.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			if s.ctx.Err() == nil {
				s.server.log.Info("rpc: a stream ends", "error", err)
			}
			return err
		}
		if keep, err = s.admit(frame.commands, keep[:0]); err != nil {
			return err
		}
		for _, k := range keep {
			s.forward(&frame.commands[k.at], k.opens)
		}
	}
}

func (s *stream) end() {
	s.stop()
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.sessions = nil
}

// A kept is a command of a frame that may go on.
type kept struct {
	at    int  // in the frame
	opens bool // it may bring a session more
}

// admit waits until the commands of a frame may be under way, refuses those
// that may not go on, and tells which may. Not reading is how a node slows a
// client down.
func (s *stream) admit(commands []fsm.Command, keep []kept) ([]kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.underway > 0 && s.underway+len(commands) > UnderwayMax || s.out.Size() > backlogSizeMax {
		if err := s.wait(); err != nil {
			return nil, err
		}
	}
	for i := range commands {
		if o, ok := s.refusal(&commands[i]); !ok {
			s.out.outcome(&o)
			continue
		}
		c := &commands[i]
		k := kept{i, opens(c.Op) && s.sessions[c.Session] == nil}
		keep = append(keep, k)
		s.underway++
		s.server.underway.Add(1)
		if k.opens {
			s.opening++
		}
	}
	return keep, nil
}

// refusal is what the node itself says to c; ok is true if it says nothing.
func (s *stream) refusal(c *fsm.Command) (o Outcome, ok bool) {
	switch {
	case !Speakable(c.Op):
		// Also the commands that nodes send each other, which clients must not.
		return outcomeOf(c.Key(), fsm.Result{Status: fsm.StatusLevel}, nil), false
	case c.Op == fsm.OpOpen && c.Secret == fsm.Secret{}:
		// Left out: whoever saw the session's number could speak for it.
		return outcomeOf(c.Key(), fsm.Result{Status: fsm.StatusInvalid, Limit: fsm.LimitSecret}, nil), false
	}
	if crowd := s.server.crowded(c.Op); crowd != nil {
		return overloaded(c.Key(), crowd), false
	}
	switch {
	case opens(c.Op):
		if s.sessions[c.Session] == nil && len(s.sessions)+s.opening >= StreamSessionsMax {
			return overloaded(c.Key(), full("sessions of one stream", StreamSessionsMax)), false
		}
		return o, true
	case s.sessions[c.Session] == nil:
		return refused(c.Key(), lockdv1.Refusal_REFUSAL_NOT_ATTACHED), false
	default:
		return o, true
	}
}

// opens tells whether an op shows a session's secret, and lets its commands in.
func opens(op fsm.Op) bool { return op == fsm.OpOpen || op == fsm.OpAttach || op == fsm.OpResume }

// forward gives c to the backend. What c refers to may be kept, c may not.
func (s *stream) forward(c *fsm.Command, opens bool) {
	switch {
	case c.Op == fsm.OpAttach:
		command := *c
		s.server.work.Go(func() { s.attach(&command, opens) })
	case s.server.submit != nil:
		a := s.server.asks.Get().(*ask)
		a.stream, a.op, a.opens, a.key = s, c.Op, opens, c.Key()
		s.server.submit(*c, a.answer)
	default:
		command := *c
		s.server.work.Go(func() {
			r, err := s.server.backend.Do(s.ctx, command)
			s.answered(command.Op, opens, command.Key(), r, err)
		})
	}
}

// An ask is a command that the backend has taken and not yet answered. Asks
// are used again, with their answer function, so that a command allocates
// nothing here.
type ask struct {
	stream *stream
	op     fsm.Op
	opens  bool
	key    fsm.Key
	answer func(fsm.Result, error)
}

func newAsk() *ask {
	a := &ask{}
	a.answer = func(r fsm.Result, err error) {
		s, op, opens, key := a.stream, a.op, a.opens, a.key
		a.stream = nil
		s.server.asks.Put(a)
		s.answered(op, opens, key, r, err)
	}
	return a
}

// answered takes the backend's answer to a command.
func (s *stream) answered(op fsm.Op, opens bool, k fsm.Key, r fsm.Result, err error) {
	o := outcomeOf(k, r, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done(opens)
	if s.over {
		return
	}
	if r.Status == fsm.StatusOK && err == nil {
		switch op {
		case fsm.OpOpen, fsm.OpResume:
			if s.sessions[r.Session] == nil {
				s.sessions[r.Session] = &attached{}
			}
		case fsm.OpClose:
			if now := s.sessions[k.Session]; now != nil && now.cancel == nil {
				delete(s.sessions, k.Session) // no event will tell its end
			}
		}
	}
	s.out.outcome(&o)
}

// done counts a command as not under way any more.
func (s *stream) done(opens bool) {
	s.underway--
	s.server.underway.Add(-1)
	if opens {
		s.opening--
	}
	s.free()
}

// tell sends a new hello.
func (s *stream) tell(h *lockdv1.Hello) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.out.hello(h)
	}
}

// wait gives up the lock until there may be room again.
func (s *stream) wait() error {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	room := s.room
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-room:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *stream) free() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// write sends what is waiting, until the stream ends.
func (s *stream) write() {
	var frames []Packed
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.out.Wake():
		}
		runtime.Gosched() // who is about to add to the frame gets in
		s.mu.Lock()
		frames = s.out.Take(frames[:0])
		s.free()
		s.mu.Unlock()
		for i := range frames {
			if err := s.rpc.SendMsg(&frames[i]); err != nil {
				s.cancel()
				return
			}
		}
	}
}
