package rpc

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// TestCrowd: when too many commands are under way, acquires and new sessions are
// refused with what is full and when to come again; renewals and releases are not.
// What was refused did not reach the machine.
func TestCrowd(t *testing.T) {
	m := newMachine()
	s, conn := serve(t, fast{m}, Options{})
	s.commandsMax = 2
	c := dial(t, conn)
	id := c.open(1)
	granted := c.ask(acquire(id, 1, "x"))
	m.hold()
	c.send(acquire(id, 2, "y"), acquire(id, 3, "z"), acquire(id, 4, "late"),
		fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 7}, Secret: secretOf(7), TTL: fsm.Hour},
		fsm.Command{Op: fsm.OpRenew, Session: id, Incarnation: 1, Seq: 1},
		fsm.Command{Op: fsm.OpRelease, Session: id, Incarnation: 1, Seq: 5, Mark: 2, Grant: granted.Result.Grant},
		fsm.Command{Op: fsm.OpRenew, Session: id, Incarnation: 1, Seq: 2})
	for _, key := range []fsm.Key{
		{Class: fsm.ClassSeq, Session: id, Incarnation: 1, Seq: 4}, {Class: fsm.ClassNonce, Session: 7},
		{Class: fsm.ClassRenewal, Session: id, Incarnation: 1, Seq: 2},
	} {
		o := c.next()
		if o.Key != key || o.Refusal != lockdv1.Refusal_REFUSAL_OVERLOADED || o.Full == nil || o.Full.RetryAfter != retryAfter ||
			o.Full.What != "commands under way at one node: 2" {
			t.Errorf("%+v, want a refusal of %+v", o, key)
		}
	}
	m.release()
	for range 4 {
		if o := c.next(); o.Refusal != 0 || o.Result.Status != fsm.StatusOK {
			t.Errorf("%+v", o)
		}
	}
	if m.reached(fsm.OpAcquire) != 3 || m.reached(fsm.OpRenew) != 1 || !frees(fsm.OpResume) {
		t.Errorf("a refused command reached the machine: %v", m.seen)
	}
	if o := c.ask(acquire(id, 4, "late")); o.Result.Status != fsm.StatusOK {
		t.Errorf("when the crowd is through: %+v", o)
	}
	if n := s.underway.Load(); n != 0 {
		t.Errorf("%d commands are under way for ever", n)
	}
}

// TestOverloadOfTheBackend: what a backend has no room for keeps its detail, in
// answers to commands and in those to calls.
func TestOverloadOfTheBackend(t *testing.T) {
	m := newMachine()
	_, conn := serve(t, m, Options{})
	c := dial(t, conn)
	id := c.open(1)
	want := lockapi.OverloadError{What: "a queue: 7", RetryAfter: 2 * retryAfter}
	m.mu.Lock()
	m.fault = func(*fsm.Command) error { return &want }
	m.mu.Unlock()
	for _, command := range []fsm.Command{acquire(id, 1, "x"), attach(id, 3, secretOf(1))} {
		if o := c.ask(command); o.Refusal != lockdv1.Refusal_REFUSAL_OVERLOADED || o.Full == nil || *o.Full != want {
			t.Errorf("%+v", o)
		}
	}
	_, err := lockdv1.NewLockdClient(conn).Inspect(context.Background(), &lockdv1.InspectRequest{})
	full := new(lockapi.OverloadError)
	if status.Code(err) != codes.ResourceExhausted || !errors.As(ErrorOf(err), &full) || *full != want {
		t.Errorf("%v, %+v", err, full)
	}
}

// TestStreamsAreCounted: the streams of a node are counted.
func TestStreamsAreCounted(t *testing.T) {
	s, conn := serve(t, newMachine(), Options{})
	s.mu.Lock()
	s.streamsMax = 0
	s.mu.Unlock()
	stream, err := lockdv1.NewLockdClient(conn).Stream(context.Background())
	if err == nil {
		err = stream.RecvMsg(&Frame{})
	}
	full := new(lockapi.OverloadError)
	if status.Code(err) != codes.ResourceExhausted || !errors.As(ErrorOf(err), &full) || !strings.Contains(full.What, "streams of one node: 0") {
		t.Error(err)
	}
}

// TestResume: a resume needs the secret, and lets the session's commands in on the
// stream; and no client speaks on anybody's behalf.
func TestResume(t *testing.T) {
	both(t, func(t *testing.T, m *machine, b lockapi.Backend) {
		_, conn := serve(t, b, Options{})
		old := dial(t, conn)
		id := old.open(1)
		old.ask(acquire(id, 1, "x"))
		c := dial(t, conn)
		resume := fsm.Command{Op: fsm.OpResume, Session: id, Secret: secretOf(2), Nonce: fsm.Nonce{Hi: 5}}
		if o := c.ask(resume); o.Result.Status != fsm.StatusBadSecret {
			t.Errorf("the wrong secret: %+v", o)
		}
		next := fsm.Command{Op: fsm.OpRenew, Session: id, Incarnation: 2, Seq: 1}
		if o := c.ask(next); o.Refusal != lockdv1.Refusal_REFUSAL_NOT_ATTACHED {
			t.Errorf("let in without the secret: %+v", o)
		}
		resume.Secret = secretOf(1)
		o := c.ask(resume)
		if r := o.Result; r.Status != fsm.StatusOK || r.Session != id || r.Incarnation != 2 || r.Value != 2 {
			t.Errorf("%+v", o)
		}
		if o := c.ask(next); o.Result.Status != fsm.StatusOK {
			t.Errorf("not let in: %+v", o)
		}
		if o := old.ask(acquire(id, 2, "y")); o.Result.Status != fsm.StatusFenced {
			t.Errorf("the incarnation before: %+v", o)
		}
		behalf := acquire(id, 2, "z")
		behalf.Incarnation, behalf.Behalf, behalf.For, behalf.MaxHold = 2, fsm.BehalfNobody, 0, fsm.Hour
		if o := c.ask(behalf); o.Result.Session != 0 || o.Result.Status != fsm.StatusOK {
			t.Errorf("%+v", o)
		}
		v := m.state.View()
		if page, _, _ := v.Session(id, 0, 0, 10); len(page.Grants) != 2 {
			t.Errorf("an acquire was on somebody's behalf: %+v", page)
		}
	})
}
