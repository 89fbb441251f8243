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
	stop    context.CancelFunc
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
// the client lost patience.
func (c *client) do(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.load.Patience)
	defer cancel()
	sent := false
	for {
		r, err := c.once(ctx, cmd)
		if err == nil {
			return r, nil
		}
		sent = sent || errors.Is(err, lockapi.ErrUnknown)
		c.roam()
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
	case err != nil && o.err == nil:
		return o.r, nil
	case err != nil && errors.Is(o.err, lockapi.ErrUnknown):
		return r, o.err
	}
	return r, err
}

// final tells whether an answer is the only one that the command may ever have.
// Whoever opens, renews or still waits is told so anew each time.
func final(op fsm.Op, r fsm.Result) bool {
	switch op {
	case fsm.OpAcquire, fsm.OpRelease:
		return r.Status != fsm.StatusQueued && r.Status != fsm.StatusSessionGone
	default:
		return false
	}
}

// open begins a session. It is nil if that came to nothing.
func (c *client) open(ctx context.Context) *session {
	s := &session{client: c, ttl: fsm.Duration(c.load.TTL), events: make(chan fsm.Outcome, 64)}
	_, _ = rand.Read(s.secret[:])
	cmd := fsm.Command{Op: fsm.OpOpen, Nonce: randomNonce(), Secret: s.secret, TTL: s.ttl, Label: fmt.Sprintf("client %d", c.number)}
	op := c.call(history.Op{Kind: history.Open, TTL: int64(s.ttl)})
	r, err := c.do(ctx, cmd)
	if err != nil || r.Status != fsm.StatusOK {
		c.returned(op, r, err)
		return nil
	}
	s.id = r.Session
	op.Session = uint64(s.id)
	c.returned(op, r, err)
	ctx, s.stop = context.WithCancel(ctx)
	c.load.running.Go(func() { s.listen(ctx) })
	return s
}

// listen brings what befalls the session, through every change of backend.
func (s *session) listen(ctx context.Context) {
	attempt := fsm.Seq(0)
	for ctx.Err() == nil {
		attempt++
		b := s.client.backends[int(attempt)%len(s.client.backends)]
		outcomes, err := b.Attach(ctx, lockapi.Attachment{Session: s.id, Incarnation: 1, Renewal: 1<<32 + attempt, Secret: s.secret})
		if errors.Is(err, lockapi.ErrSessionGone) {
			return
		}
		for err == nil {
			o, open := <-outcomes
			if !open {
				break
			}
			select {
			case s.events <- o:
			case <-ctx.Done():
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
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
		case <-renew.C: // a waiter renews, or its wait would end with its session
			s.renewal++
			_, _ = s.client.once(ctx, fsm.Command{Op: fsm.OpRenew, Session: s.id, Incarnation: 1, Seq: s.renewal, Seen: s.seen})
		case <-ctx.Done():
			return fsm.Result{}, fmt.Errorf("%w: the wait has no end", lockapi.ErrUnknown)
		}
	}
}
