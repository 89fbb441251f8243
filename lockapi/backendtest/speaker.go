package backendtest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// patience is when a part of the suite gives up. It bounds a hang; no part
// comes near it.
const patience = time.Minute

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A speaker is a session without an engine: it says what a part tells it to.
type speaker struct {
	t       *testing.T
	b       lockapi.Backend
	ctx     context.Context
	open    fsm.Command
	id      fsm.SessionID
	born    fsm.Incarnation
	secret  fsm.Secret
	seq     fsm.Seq
	renewal fsm.Seq
	seen    fsm.EventID
}

// speak opens a session.
func speak(t *testing.T, b lockapi.Backend, ttl fsm.Duration) *speaker {
	t.Helper()
	s := &speaker{t: t, b: b, ctx: limited(t), born: 1}
	_, _ = rand.Read(s.secret[:])
	s.open = fsm.Command{Op: fsm.OpOpen, Nonce: nonce(), Secret: s.secret, TTL: ttl, Label: "backendtest"}
	r := s.do(s.open)
	if r.Status != fsm.StatusOK || r.Session == 0 {
		t.Fatalf("open: %+v", r)
	}
	s.id = r.Session
	return s
}

func nonce() fsm.Nonce {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return fsm.Nonce{Hi: binary.LittleEndian.Uint64(b[:8]), Lo: binary.LittleEndian.Uint64(b[8:])}
}

// name is a name that nobody else uses.
func name(prefix string) string { return fmt.Sprintf("%s/%x", prefix, nonce()) }

// do gets a command answered as a client must: unknown means again.
func (s *speaker) do(c fsm.Command) fsm.Result {
	s.t.Helper()
	for {
		r, err := s.b.Do(s.ctx, c)
		switch {
		case err == nil:
			return r
		case !errors.Is(err, lockapi.ErrUnknown) && !errors.Is(err, lockapi.ErrUnavailable), s.ctx.Err() != nil:
			s.t.Fatalf("%+v: %v", c, err)
		}
		time.Sleep(10 * time.Millisecond) // between tries of a busy backend
	}
}

// numbered completes a command under the session's next number.
func (s *speaker) numbered(c fsm.Command) fsm.Command {
	s.seq++
	c.Session, c.Incarnation, c.Seq, c.Mark, c.Seen = s.id, s.born, s.seq, s.seq, s.seen
	return c
}

func (s *speaker) acquire(name string, wait, maxHold fsm.Duration) fsm.Command {
	c := s.acquireAs("o", wait, lockapi.Exclusive(name))
	c.MaxHold = maxHold
	return c
}

func (s *speaker) acquireAs(owner string, wait fsm.Duration, wants ...fsm.Want) fsm.Command {
	return s.numbered(fsm.Command{Op: fsm.OpAcquire, Wants: wants, Owner: owner, Wait: wait})
}

func (s *speaker) release(g fsm.GrantID) fsm.Command {
	return s.numbered(fsm.Command{Op: fsm.OpRelease, Grant: g})
}

func (s *speaker) abandon(target fsm.Seq) fsm.Command {
	return s.numbered(fsm.Command{Op: fsm.OpAbandon, Target: target})
}

func (s *speaker) renew() fsm.Command {
	s.renewal++
	return fsm.Command{Op: fsm.OpRenew, Session: s.id, Incarnation: s.born, Seq: s.renewal, Seen: s.seen}
}

// hold acquires a free name.
func (s *speaker) hold(name string) fsm.Result {
	s.t.Helper()
	return s.want(s.do(s.acquire(name, 0, 0)), fsm.StatusOK)
}

// want fails unless the answer has the status.
func (s *speaker) want(r fsm.Result, status fsm.Status) fsm.Result {
	s.t.Helper()
	if r.Status != status {
		s.t.Fatalf("status %d, want %d: %+v", r.Status, status, r)
	}
	return r
}

func (s *speaker) attachment() lockapi.Attachment {
	s.renewal++
	return lockapi.Attachment{Session: s.id, Incarnation: s.born, Renewal: s.renewal, Seen: s.seen, Secret: s.secret}
}

// attach listens to the session's events.
func (s *speaker) attach(ctx context.Context) <-chan fsm.Outcome {
	s.t.Helper()
	events, err := s.b.Attach(ctx, s.attachment())
	if err != nil {
		s.t.Fatalf("attach: %v", err)
	}
	return events
}

// next is the next event that was not acknowledged; repeats of others are
// skipped.
func (s *speaker) next(events <-chan fsm.Outcome) fsm.Outcome {
	s.t.Helper()
	for {
		select {
		case o, open := <-events:
			if !open {
				s.t.Fatal("the channel closed instead of an event")
			}
			if o.Event > s.seen || o.Event == 0 {
				return o
			}
		case <-s.ctx.Done():
			s.t.Fatal("no event came")
		}
	}
}

// nextIs is next with its kind and status.
func (s *speaker) nextIs(events <-chan fsm.Outcome, kind fsm.OutcomeKind, status fsm.Status) fsm.Outcome {
	s.t.Helper()
	o := s.next(events)
	if o.Kind != kind || o.Result.Status != status || o.Key.Session != s.id {
		s.t.Fatalf("event %+v, want kind %d with status %d", o, kind, status)
	}
	if o.Event > 0 && o.Event != s.seen+1 {
		s.t.Fatalf("event %d after %d", o.Event, s.seen)
	}
	return o
}

// wantEnd drains the channel until it closes.
func (s *speaker) wantEnd(events <-chan fsm.Outcome) {
	s.t.Helper()
	for {
		select {
		case _, open := <-events:
			if !open {
				return
			}
		case <-s.ctx.Done():
			s.t.Fatal("the channel stayed open")
		}
	}
}

// show reads one name.
func (s *speaker) show(name string) fsm.LockView {
	s.t.Helper()
	v, err := s.b.Inspect(s.ctx, lockapi.Query{Name: name})
	if err != nil {
		s.t.Fatalf("inspect: %v", err)
	}
	if len(v.Locks) != 1 || v.Locks[0].Name != name {
		s.t.Fatalf("inspect of %q: %+v", name, v)
	}
	return v.Locks[0]
}
