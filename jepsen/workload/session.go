package workload

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/lockapi"
)

// retryAfter is how long a client waits before it sends again what may have been
// lost.
const retryAfter = 20 * time.Millisecond

// A session is one life of a client: it speaks to a backend as the contract of
// lockapi.Backend says, with no engine in between that could hide anything.
type session struct {
	client  *client
	id      fsm.SessionID
	secret  fsm.Secret
	ttl     fsm.Duration
	seq     fsm.Seq
	renewal fsm.Seq
	seen    fsm.EventID
	held    []held
	events  chan fsm.Outcome
	ctx     context.Context
	stop    context.CancelFunc
	attempt fsm.Seq // of an attach
	leave   func()  // the way by which events come now
}

type held struct {
	grant fsm.GrantID
	wants []history.Want
}

func randomNonce() fsm.Nonce {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return fsm.Nonce{Hi: binary.LittleEndian.Uint64(b[:]), Lo: binary.LittleEndian.Uint64(b[8:])}
}

// do sends a command until it is answered, by way of one backend after the other
// if the client roams, and by two at once if it is impatient. It is ErrUnknown if
// the client lost patience. s is the session that speaks; nil if none does yet.
func (c *client) do(ctx context.Context, s *session, cmd fsm.Command) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.load.Patience)
	defer cancel()
	sent := false
	for {
		r, err := c.once(ctx, cmd)
		switch {
		case err == nil && r.Status == fsm.StatusBadSecret && s != nil: // this way has not seen it
			err = s.attach(ctx, c.way)
		case err == nil:
			return r, nil
		default:
			sent = sent || errors.Is(err, lockapi.ErrUnknown)
			c.roam()
		}
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			if sent {
				return fsm.Result{}, fmt.Errorf("%w: %w", lockapi.ErrUnknown, err)
			}
			return fsm.Result{}, err
		case <-time.After(retryAfter):
		}
	}
}

// once sends a command one time, or two: the answers must be one.
func (c *client) once(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	if !c.impatient() {
		return c.backend().Do(ctx, cmd)
	}
	type answer struct {
		r   fsm.Result
		err error
	}
	other := make(chan answer, 1)
	b := c.backends[c.rng.IntN(len(c.backends))]
	go func() {
		r, err := b.Do(ctx, cmd)
		other <- answer{r, err}
	}()
	r, err := c.backend().Do(ctx, cmd)
	o := <-other
	switch {
	case err == nil && o.err == nil && r != o.r && final(cmd.Op, r) && final(cmd.Op, o.r):
		c.complain("one command was answered twice, and not alike: %+v and %+v to %+v", r, o.r, cmd)
	case o.err == nil && o.r.Status != fsm.StatusBadSecret && (err != nil || !final(cmd.Op, r)):
		return o.r, nil
	case errors.Is(o.err, lockapi.ErrUnknown) && (err != nil || r.Status == fsm.StatusBadSecret):
		return fsm.Result{}, o.err
	}
	return r, err
}

// final tells whether an answer is the only one that the command may ever have.
// Whoever opens, renews or still waits is told so anew each time.
func final(op fsm.Op, r fsm.Result) bool {
	switch op {
	case fsm.OpAcquire, fsm.OpRelease:
		return r.Status != fsm.StatusQueued && r.Status != fsm.StatusSessionGone && r.Status != fsm.StatusBadSecret
	default:
		return false
	}
}

// open begins a session. It is nil if that came to nothing.
func (c *client) open(ctx context.Context) *session {
	ttl := c.load.TTL/2 + time.Duration(c.rng.Int64N(int64(c.load.TTL)*3/2+1))
	s := &session{client: c, ttl: max(fsm.Duration(ttl), fsm.TTLMin), events: make(chan fsm.Outcome, 64)}
	_, _ = rand.Read(s.secret[:])
	cmd := fsm.Command{Op: fsm.OpOpen, Nonce: randomNonce(), Secret: s.secret, TTL: s.ttl, Label: fmt.Sprintf("client %d", c.number)}
	op := c.call(history.Op{Kind: history.Open, TTL: int64(s.ttl)})
	r, err := c.do(ctx, nil, cmd)
	if err != nil || r.Status != fsm.StatusOK {
		c.returned(op, r, err)
		return nil
	}
	s.id = r.Session
	op.Session = uint64(s.id)
	c.returned(op, r, err)
	s.ctx, s.stop = context.WithCancel(ctx)
	attached, done := context.WithTimeout(ctx, c.load.Patience)
	defer done()
	_ = s.attach(attached, c.way) // if it fails, the first command attaches
	return s
}

// attach has the session's events come by a way, which may speak for the session
// from then on; they come no longer by the one before.
func (s *session) attach(ctx context.Context, way int) error {
	s.attempt++
	listening, leave := context.WithCancel(s.ctx)
	outcomes, err := s.client.backends[way].Attach(listening, lockapi.Attachment{
		Session: s.id, Incarnation: 1, Renewal: 1<<32 + s.attempt, Seen: s.seen, Secret: s.secret,
	})
	if err != nil {
		leave()
		if ctx.Err() != nil || errors.Is(err, lockapi.ErrSessionGone) {
			return err
		}
		return fmt.Errorf("attach: %w", err)
	}
	if s.leave != nil {
		s.leave()
	}
	s.leave = leave
	s.client.load.running.Go(func() {
		for o := range outcomes {
			select {
			case s.events <- o:
			case <-s.ctx.Done():
				return
			}
		}
	})
	return nil
}

// numbered completes a command under the session's next number.
func (s *session) numbered(cmd fsm.Command) fsm.Command {
	s.seq++
	cmd.Session, cmd.Incarnation, cmd.Seq, cmd.Mark, cmd.Seen = s.id, 1, s.seq, s.seq, s.seen
	return cmd
}

// awaits waits for the end of the acquire with that number.
func (s *session) awaits(ctx context.Context, seq fsm.Seq) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.load.Wait+s.client.load.Patience)
	defer cancel()
	renew := time.NewTicker(time.Duration(s.ttl) / 3)
	defer renew.Stop()
	for {
		select {
		case o := <-s.events:
			if o.Event == s.seen+1 {
				s.seen = o.Event
			}
			switch {
			case o.Kind == fsm.OutcomeEnded:
				return fsm.Result{Status: fsm.StatusSessionGone}, nil
			case o.Kind == fsm.OutcomeGranted && o.Key.Seq == seq:
				return o.Result, nil
			}
		case <-renew.C: // a waiter renews, or its wait would end with its session; and it listens where it still can
			s.client.roam()
			if err := s.attach(ctx, s.client.way); errors.Is(err, lockapi.ErrSessionGone) {
				return fsm.Result{Status: fsm.StatusSessionGone}, nil
			}
		case <-ctx.Done():
			return fsm.Result{}, fmt.Errorf("%w: the wait has no end", lockapi.ErrUnknown)
		}
	}
}
