package cluster

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport"
)

// A far is the leader's end of a link's streams.
type far struct {
	*link
	mu    sync.Mutex
	at    *office
	dials []string
	ends  []*farEnd
	err   error  // of the next dials
	peer  string // who answers
}

type farEnd struct {
	conn     net.Conn
	commands []fsm.Command
	pings    int
}

func newFar(patience time.Duration) *far {
	f := &far{at: &office{id: "l", address: "l:1", changed: make(chan struct{})}, peer: "l"}
	now := since()
	f.link = &link{
		pendings: newPendings(now), subs: newSubscriptions(), current: f.office, dial: f.answer,
		log: func(string, ...any) {}, now: now, patience: patience,
		applied: func() fsm.Index { return 7 },
	}
	return f
}

func (f *far) office() *office {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

func (f *far) elect(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.at
	f.peer = id
	f.at = &office{id: id, address: id + ":1", changed: make(chan struct{})}
	close(old.changed)
}

func (f *far) answer(_ context.Context, address string) (*transport.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials = append(f.dials, address)
	if f.err != nil {
		return nil, f.err
	}
	here, there := net.Pipe()
	end := &farEnd{conn: there}
	f.ends = append(f.ends, end)
	go func() {
		r := transport.NewFrameReader(there)
		for {
			kind, body, err := r.Read()
			if err != nil {
				return
			}
			f.mu.Lock()
			switch kind {
			case frameCommands:
				end.commands, _ = fsm.DecodeCommands(body, end.commands)
			case framePing:
				end.pings++
			}
			f.mu.Unlock()
		}
	}()
	return &transport.Conn{Conn: here, Peer: transport.Identity{ID: f.peer}}, nil
}

// last is the newest stream, and what came on it.
func (f *far) last() (n int, end farEnd) {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ends) == 0 {
		return 0, farEnd{}
	}
	return len(f.ends), *f.ends[len(f.ends)-1]
}

// start runs the link and returns what ends it.
func (f *far) start() func() {
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { f.run(ctx) })
	parts.Go(func() { f.tend(ctx) })
	synctest.Wait() // the stream is there, or cannot be had
	return func() {
		cancel()
		parts.Wait()
		for _, end := range f.ends {
			end.conn.Close()
		}
		synctest.Wait()
	}
}

func (f *far) submitted(c *fsm.Command) *listener {
	l := &listener{}
	if _, err := f.pendings.submit(c, nil, l.answer); err != nil {
		panic(err)
	}
	return l
}

// What a leader refuses comes again soon, and not only when patience ends.
func TestLinkSendsAgainWhatWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(300 * time.Millisecond)
		defer f.start()()
		f.submitted(release(1, 1))
		_, end := f.last()
		if len(end.commands) != 1 {
			t.Fatalf("%d commands sent", len(end.commands))
		}
		transport.NewFrameWriter(end.conn).Write(frameRefused)
		time.Sleep(resendAfter / 2)
		if _, end = f.last(); len(end.commands) != 2 {
			t.Errorf("%d commands sent after a refusal, want it twice", len(end.commands))
		}
	})
}

// Without a word from the leader or about it, after a second.
func TestLinkSendsAgainWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(10 * time.Second)
		defer f.start()()
		f.submitted(release(1, 1))
		time.Sleep(resendAfter + f.patience/pingParts)
		if n, end := f.last(); n != 1 || len(end.commands) != 2 {
			t.Errorf("%d streams, %d commands", n, len(end.commands))
		}
	})
}

// Everything that waits goes to the next leader, and on a new stream.
func TestLinkFollowsTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Second)
		defer f.start()()
		f.submitted(release(1, 1))
		n, end := f.last()
		end.conn.Close() // the stream breaks, the leader is the same
		time.Sleep(redialMin)
		if m, end := f.last(); m != n+1 || len(end.commands) != 1 {
			t.Fatalf("%d streams, %d commands on the new one", m, len(end.commands))
		}
		f.elect("m")
		time.Sleep(redialMin)
		if m, end := f.last(); m != n+2 || len(end.commands) != 1 || f.dials[len(f.dials)-1] != "m:1" {
			t.Fatalf("%d streams, %d commands on the new one, dialled %v", m, len(end.commands), f.dials)
		}
		f.elect("")
		synctest.Wait()
		if f.pendings.route.Load().to != nil {
			t.Error("a route though nobody leads")
		}
	})
}

// A leader that says nothing, and whose connection nobody closes, is given up.
func TestLinkGivesUpASilentLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Second)
		defer f.start()()
		time.Sleep(silenceMax*f.patience - time.Millisecond)
		n, end := f.last()
		if n != 1 || end.pings < silenceMax*pingParts-1 {
			t.Fatalf("%d streams, %d pings", n, end.pings)
		}
		pong := appendAlive(nil, []string{"x"})
		transport.NewFrameWriter(end.conn).Write(framePong, pong)
		synctest.Wait()
		if alive := f.alive.Load(); alive == nil || len(*alive) != 1 {
			t.Errorf("alive: %v", alive)
		}
		time.Sleep(f.patience)
		if n, _ := f.last(); n != 1 {
			t.Error("given up though it spoke")
		}
		time.Sleep(silenceMax * f.patience)
		if n, _ := f.last(); n != 2 {
			t.Errorf("%d streams after long silence, want a second", n)
		}
	})
}

func TestLinkDialsWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Second)
		f.err = errors.New("no route to host")
		defer f.start()()
		time.Sleep(time.Minute)
		synctest.Wait()
		f.mu.Lock()
		n := len(f.dials)
		f.err = nil
		f.peer = "impostor"
		f.mu.Unlock()
		if n < 50 || n > 80 {
			t.Errorf("%d dials in a minute, want about one a second", n)
		}
		time.Sleep(redialMax)
		synctest.Wait()
		if f.stream.Load() != nil {
			t.Error("speaks with another node than the leader")
		}
		f.mu.Lock()
		f.peer = "l"
		f.mu.Unlock()
		time.Sleep(2 * redialMax)
		synctest.Wait()
		if f.stream.Load() == nil {
			t.Error("no stream to the leader")
		}
	})
}

func TestLinkClosesAStreamThatMakesNoSense(t *testing.T) {
	for name, frame := range map[string]struct {
		kind transport.FrameType
		body []byte
	}{
		"outcomes that do not decode": {frameOutcomes, []byte{9, 9}},
		"a pong that does not":        {framePong, []byte{0}},
		"a frame for a leader":        {frameCommands, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFar(time.Second)
				defer f.start()()
				n, end := f.last()
				transport.NewFrameWriter(end.conn).Write(frame.kind, frame.body)
				time.Sleep(redialMin)
				if m, _ := f.last(); m != n+1 {
					t.Errorf("%d streams, want a new one", m)
				}
			})
		})
	}
}

func outcomeBytes(o *fsm.Outcome, sum uint32) []byte {
	s := &stream{}
	s.putOutcome(o, tag{sum, o.Result.Index})
	return s.queue[0].body
}

func TestLinkTakesOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(time.Second)
		defer f.start()()
		sub, _ := f.subs.add(&lockapi.Attachment{Session: 1, Incarnation: 1}, attachKey)
		f.subs.deliver(attachAnswer, fromLeader)
		c := release(1, 1)
		l := f.submitted(c)
		_, end := f.last()
		answer := answerTo(c, fsm.Result{Status: fsm.StatusOK, Index: 3, Order: 1})
		event := fsm.Outcome{
			Kind: fsm.OutcomeLoss, Pos: -1, Event: 1, Key: fsm.Key{Class: fsm.ClassSeq, Session: 1, Incarnation: 1},
			Result: fsm.Result{Status: fsm.StatusMaxHold, Index: 3, Order: 2},
		}
		other := answer
		other.Result.Status = fsm.StatusNotHeld // of another command
		body := slices.Concat(outcomeBytes(&other, 1), outcomeBytes(&answer, sumOf(c)), outcomeBytes(&event, 0))
		transport.NewFrameWriter(end.conn).Write(frameOutcomes, body)
		synctest.Wait()
		if len(l.all) != 1 || l.all[0].result != answer.Result {
			t.Errorf("%+v", l.all)
		}
		if len(sub.events) != 1 || <-sub.events != event {
			t.Error("the event did not come")
		}
	})
}
