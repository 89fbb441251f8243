package cluster

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// A frame decodes as a whole at the other end, however small what is in it.
func TestFramesHoldWhatTheOtherEndTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		s := newStream(&transport.Conn{Conn: here}, since())
		n := fsm.CommandsMax + 100
		for i := range n {
			c := renewal(1, fsm.Seq(i+1))
			s.put(c.Op, c.Session, fsm.AppendCommand(nil, c))
		}
		s.putFrame(framePing, appendApplied(nil, 7))
		s.putFrame(framePing, appendApplied(nil, 7))
		go s.write()
		r := transport.NewFrameReader(there)
		next := fsm.Seq(1)
		for next <= fsm.Seq(n) {
			kind, body, err := r.Read()
			if err != nil || kind != frameCommands {
				t.Fatalf("kind %d, %v", kind, err)
			}
			commands, err := fsm.DecodeCommands(body, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range commands {
				if commands[i].Seq != next {
					t.Fatalf("seq %d, want %d", commands[i].Seq, next)
				}
				next++
			}
		}
		for range 2 {
			if kind, _, err := r.Read(); err != nil || kind != framePing {
				t.Errorf("kind %d, %v", kind, err)
			}
		}
		s.close()
		if s.put(fsm.OpRenew, 1, nil) {
			t.Error("a closed stream took a command")
		}
		if _, _, err := r.Read(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

// A node that does not read loses the stream, not our memory.
func TestStreamToWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		s := newStream(&transport.Conn{Conn: here}, since())
		go s.write()
		raw := make([]byte, 64<<10)
		for i := 0; s.put(fsm.OpRelease, 1, raw); i++ {
			if i > 3*streamBytesMax/len(raw) {
				t.Fatal("takes without end")
			}
		}
		<-s.over
	})
}

// A serving is a forward server with one stream from another node.
func serving(t *testing.T, reign func() *reign) (f *forwardServer, send *transport.FrameWriter, receive *transport.FrameReader, end func() error) {
	f = newForwardServer("self", since(), time.Second, reign, func() fsm.Level { return 1 })
	here, there := net.Pipe()
	over := make(chan error, 1)
	go func() {
		over <- f.serve(&transport.Conn{Conn: here, Peer: transport.Identity{ID: "peer"}})
	}()
	return f, transport.NewFrameWriter(there), transport.NewFrameReader(there), func() error {
		there.Close()
		return <-over
	}
}

func TestServerWithoutReignRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, send, receive, end := serving(t, func() *reign { return nil })
		send.Write(frameCommands, fsm.AppendCommand(nil, release(1, 1)))
		if kind, _, err := receive.Read(); err != nil || kind != frameRefused {
			t.Errorf("kind %d, %v", kind, err)
		}
		send.Write(framePing, appendApplied(nil, 7))
		kind, body, err := receive.Read()
		alive, bad := decodeAlive(body)
		if err != nil || kind != framePong || bad != nil || len(alive) != 2 || alive[0] != "peer" || alive[1] != "self" {
			t.Errorf("kind %d, %q, %v", kind, alive, err)
		}
		if got := f.applied(); len(got) != 1 || got["peer"] != 7 {
			t.Errorf("who has applied what: %v", got)
		}
		f.refuse()
		if kind, _, err := receive.Read(); err != nil || kind != frameRefused {
			t.Errorf("kind %d, %v", kind, err)
		}
		time.Sleep(2 * time.Second)
		if got := f.applied(); len(got) != 0 {
			t.Errorf("%v after two patiences of silence", got)
		}
		if got := f.lively(); len(got) != 0 {
			t.Errorf("%q alive after two patiences of silence", got)
		}
		time.Sleep(forgetAfter * time.Second)
		if f.lively(); len(f.heard) != 0 {
			t.Error("remembered for ever")
		}
		end()
		f.close()
		if err := f.serve(&transport.Conn{Conn: func() net.Conn { c, _ := net.Pipe(); return c }()}); err == nil {
			t.Error("serves after the close")
		}
	})
}

func TestServerEndsStreamsThatMakeNoSense(t *testing.T) {
	for name, frame := range map[string]struct {
		kind transport.FrameType
		body []byte
	}{
		"commands that do not decode": {frameCommands, []byte{1, 2, 3}},
		"a frame of a leader":         {frameOutcomes, nil},
		"an unknown frame":            {99, nil},
		"a ping without an index":     {framePing, nil},
		"a ping with more":            {framePing, []byte{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, send, receive, end := serving(t, func() *reign { return nil })
				send.Write(frame.kind, frame.body)
				if _, _, err := receive.Read(); !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				if err := end(); err == nil {
					t.Error("ended without a reason")
				}
			})
		})
	}
}

// The leader answers what is malformed, and proposes the rest.
func TestServerChecksWhatItProposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		_, send, receive, end := serving(t, func() *reign { return r.reign })
		bad := &fsm.Command{Op: fsm.OpExtend, Session: 1, Incarnation: 1, Seq: 1}
		send.Write(frameCommands, fsm.AppendCommand(fsm.AppendCommand(nil, bad), release(1, 2)))
		kind, body, err := receive.Read()
		if err != nil || kind != frameOutcomes {
			t.Fatalf("kind %d, %v", kind, err)
		}
		var o fsm.Outcome
		if rest, at, err := takeOutcome(body, &o); err != nil || len(rest) != 0 || at != (tag{sum: sumOf(bad)}) || o.Key != bad.Key() || o.Result.Status != fsm.StatusInvalid {
			t.Errorf("%+v, %v", o, err)
		}
		synctest.Wait() // the answer leaves before the rest is in
		if n := len(r.inbox.batch.items); n != 1 {
			t.Errorf("%d commands in the inbox, want 1", n)
		}
		r.inbox.close()
		send.Write(frameCommands, fsm.AppendCommand(nil, release(1, 3)))
		if kind, _, err := receive.Read(); err != nil || kind != frameRefused {
			t.Errorf("kind %d, %v", kind, err)
		}
		end()
	})
}

func TestAliveDecodes(t *testing.T) {
	for _, bad := range [][]byte{{0}, {2, 'a'}, {1, 'a', 9}, make([]byte, 300)} {
		if got, err := decodeAlive(bad); err == nil {
			t.Errorf("%v is %q", bad, got)
		}
	}
	got, err := decodeAlive(appendAlive(nil, []string{"a", "node-2"}))
	if err != nil || len(got) != 2 || got[1] != "node-2" {
		t.Errorf("%q, %v", got, err)
	}
}
