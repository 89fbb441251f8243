package workload

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/lockapi"
)

// live does one thing after the other until the session is over, or its client
// does not know what became of the last one, or goes away without a word.
func (s *session) live(ctx context.Context) {
	c := s.client
	for ctx.Err() == nil {
		c.roam()
		goesOn := true
		switch n := c.rng.IntN(100); {
		case n < 40 || n < 70 && len(s.held) == 0:
			goesOn = s.acquire(ctx)
		case n < 70:
			goesOn = s.release(ctx)
		case n < 85:
			goesOn = s.inspect(ctx)
		case n < 93:
			goesOn = s.renew(ctx)
		case n < 95: // forgets the time
			pause(ctx, time.Duration(s.ttl)*time.Duration(c.rng.IntN(150))/100)
		case n < 97: // a crash
			return
		case n < 98:
			s.close(ctx)
			return
		case n < 99:
			goesOn = s.meddle(ctx)
		default:
			pause(ctx, time.Duration(c.rng.IntN(20))*time.Millisecond)
		}
		if !goesOn {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// wants is what is asked for this time.
func (s *session) wants() (wants []fsm.Want, said []history.Want) {
	l, rng := s.client.load, s.client.rng
	round := ""
	if l.Renamed > 0 {
		round = fmt.Sprintf("/%d", l.record.Now()/int64(l.Renamed))
	}
	name := l.Names[rng.IntN(len(l.Names))]
	all := []string{name.Name}
	if len(name.With) > 0 && rng.IntN(3) == 0 {
		all = append(all, name.With[rng.IntN(len(name.With))])
	}
	for _, one := range all {
		what := l.Names[slices.IndexFunc(l.Names, func(n Name) bool { return n.Name == one })]
		var want fsm.Want
		mode := history.Exclusive
		switch {
		case what.Limit > 0:
			want, mode = lockapi.Permits(one+round, 1+rng.IntN(what.Limit), what.Limit), history.Permits
		case what.Shared && rng.IntN(2) == 0:
			want, mode = lockapi.Shared(one+round), history.Shared
		default:
			want = lockapi.Exclusive(one + round)
		}
		wants = append(wants, want)
		said = append(said, history.Want{Name: want.Name, Mode: mode, Permits: uint32(want.Permits), Limit: uint32(want.Limit)})
	}
	return wants, said
}

func (s *session) acquire(ctx context.Context) (goesOn bool) {
	c := s.client
	wants, said := s.wants()
	cmd := s.numbered(fsm.Command{Op: fsm.OpAcquire, Wants: wants, Owner: fmt.Sprintf("o%d", c.rng.IntN(2))})
	op := history.Op{Kind: history.Acquire, Session: uint64(s.id), Owner: cmd.Owner, Wants: said}
	if c.rng.IntN(2) == 0 {
		cmd.Wait = fsm.Duration(c.load.Wait)
		op.Wait = int64(c.load.Wait)
	}
	under := c.call(op)
	patient, cancel := ctx, func() {}
	if cmd.Wait > 0 && c.rng.IntN(8) == 0 { // else it loses its patience, maybe before the acquire has come anywhere
		patient, cancel = context.WithTimeout(ctx, time.Duration(c.rng.Int64N(int64(cmd.Wait))>>c.rng.IntN(12)))
	}
	defer cancel()
	r, err := c.do(patient, s, cmd)
	if err == nil && r.Status == fsm.StatusQueued {
		if r.Order > 0 { // else it is the answer to a repeat, which tells of now
			under.Queued = at(r)
		}
		r, err = s.awaits(patient, cmd.Seq)
	}
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return s.abandon(ctx, under, cmd.Seq)
	}
	if err == nil && r.Status == fsm.StatusOK {
		under.Grant, under.Count = uint64(r.Grant), r.Count
		under.Tokens = []uint64{uint64(r.Token)}
		for _, token := range r.Rest.All() {
			under.Tokens = append(under.Tokens, uint64(token))
		}
		s.held = append(s.held, held{r.Grant, said})
		c.load.given.Store(uint64(r.Grant))
	}
	return c.returned(under, r, err) && r.Status != fsm.StatusSessionGone
}

// abandon withdraws the acquire with that number, which may not have arrived yet.
func (s *session) abandon(ctx context.Context, acquire *history.Op, seq fsm.Seq) (goesOn bool) {
	c := s.client
	c.roam()
	cmd := s.numbered(fsm.Command{Op: fsm.OpAbandon, Target: seq})
	cmd.Mark = seq // the one that is withdrawn was not answered
	r, err := c.do(ctx, s, cmd)
	acquire.Queued = nil // it was not granted, or not for long
	if err != nil {
		c.load.record.Return(acquire, history.Unknown, history.Abandoned)
		return false
	}
	if r.Status == fsm.StatusOK {
		r.Status = fsm.StatusAbandoned
	}
	return c.returned(acquire, r, err) && r.Status != fsm.StatusSessionGone
}

func (s *session) release(ctx context.Context) (goesOn bool) {
	c := s.client
	at := c.rng.IntN(len(s.held))
	h := s.held[at]
	if c.rng.IntN(6) > 0 { // else it releases it once more, some time
		s.held = slices.Delete(s.held, at, at+1)
	}
	op := c.call(history.Op{Kind: history.Release, Session: uint64(s.id), Grant: uint64(h.grant), Wants: h.wants})
	r, err := c.do(ctx, s, s.numbered(fsm.Command{Op: fsm.OpRelease, Grant: h.grant}))
	return c.returned(op, r, err) && r.Status != fsm.StatusSessionGone
}

// meddle tries to release what was given last, to whomever. It is not held by this
// session, unless it was given to this one.
func (s *session) meddle(ctx context.Context) (goesOn bool) {
	grant := fsm.GrantID(s.client.load.given.Load())
	if grant == 0 || slices.ContainsFunc(s.held, func(h held) bool { return h.grant == grant }) {
		return true
	}
	op := s.client.call(history.Op{Kind: history.Release, Session: uint64(s.id), Grant: uint64(grant)})
	r, err := s.client.do(ctx, s, s.numbered(fsm.Command{Op: fsm.OpRelease, Grant: grant}))
	return s.client.returned(op, r, err) && r.Status != fsm.StatusSessionGone
}

func (s *session) renew(ctx context.Context) (goesOn bool) {
	s.renewal++
	op := s.client.call(history.Op{Kind: history.Renew, Session: uint64(s.id)})
	r, err := s.client.do(ctx, s, fsm.Command{Op: fsm.OpRenew, Session: s.id, Incarnation: 1, Seq: s.renewal, Seen: s.seen})
	return s.client.returned(op, r, err) && r.Status != fsm.StatusSessionGone
}

func (s *session) close(ctx context.Context) {
	op := s.client.call(history.Op{Kind: history.Close, Session: uint64(s.id)})
	r, err := s.client.do(ctx, s, s.numbered(fsm.Command{Op: fsm.OpClose}))
	s.client.returned(op, r, err)
}

var modesSeen = map[fsm.Mode]history.Mode{fsm.Exclusive: history.Exclusive, fsm.Shared: history.Shared, fsm.Counted: history.Permits}

// inspect looks at a name, and records who holds it.
func (s *session) inspect(ctx context.Context) (goesOn bool) {
	c := s.client
	_, said := s.wants()
	op := c.call(history.Op{Kind: history.Inspect, Name: said[0].Name})
	ctx, cancel := context.WithTimeout(ctx, c.load.Patience)
	defer cancel()
	view, err := c.backend().Inspect(ctx, lockapi.Query{Name: op.Name})
	if err != nil { // a read has no effect, whatever became of it
		c.load.record.Return(op, history.Fail, history.Unavailable)
		return true
	}
	var holders []fsm.HolderView
	if len(view.Locks) > 0 { // else the service shows only what is held
		holders = view.Locks[0].Holders
	}
	for _, h := range holders {
		op.Holders = append(op.Holders, history.Holder{
			Session: uint64(h.Session), Owner: h.Owner, Mode: modesSeen[h.Mode], Permits: uint32(h.Permits), Token: uint64(h.Token)})
	}
	if view.Index != 0 {
		op.At = &history.Position{Index: uint64(view.Index)}
	}
	c.load.record.Return(op, history.OK, "")
	return true
}
