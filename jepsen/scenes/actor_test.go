package scenes

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/lockapi"
)

// An actor is a client that does what the scene says, with a session of its own. What
// it asks for is recorded; copies of what it asked before are not: they are nothing new.
type actor struct {
	s      *stage
	number int
	id     fsm.SessionID
	secret fsm.Secret
	ttl    time.Duration
	seq    fsm.Seq
	last   fsm.Seq       // of its renewals
	said   []fsm.Command // all of it, to be said again
}

func nonce() fsm.Nonce {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return fsm.Nonce{Hi: binary.LittleEndian.Uint64(b[:]), Lo: binary.LittleEndian.Uint64(b[8:])}
}

// enter opens a session.
func (s *stage) enter(at *node, ttl time.Duration) *actor {
	s.t.Helper()
	s.clients++
	a := &actor{s: s, number: s.clients, ttl: ttl}
	_, _ = rand.Read(a.secret[:])
	c := fsm.Command{Op: fsm.OpOpen, Nonce: nonce(), Secret: a.secret, TTL: fsm.Duration(ttl), Label: fmt.Sprint("actor ", a.number)}
	op := s.record.Call(history.Op{Client: a.number, Node: at.cfg.ID, Kind: history.Open, TTL: int64(ttl)})
	r := a.say(at, c)
	a.id = r.Session
	op.Session = uint64(a.id)
	a.returned(op, r)
	return a
}

// say sends a command until it is answered.
func (a *actor) say(at *node, c fsm.Command) fsm.Result {
	a.s.t.Helper()
	a.said = append(a.said, c)
	return a.s.say(at, c)
}

func (s *stage) say(at *node, c fsm.Command) fsm.Result {
	s.t.Helper()
	for {
		r, err := at.Do(s.ctx, c)
		if err == nil {
			return r
		}
		if s.ctx.Err() != nil {
			s.t.Fatalf("node %s: %v", at.cfg.ID, err)
		}
	}
}

func (a *actor) call(at *node, o history.Op) *history.Op {
	o.Client, o.Node, o.Session = a.number, at.cfg.ID, uint64(a.id)
	return a.s.record.Call(o)
}

// codes are what an answer that refuses says of who holds what.
var codes = map[fsm.Status]string{
	fsm.StatusBusy: history.Busy, fsm.StatusTimeout: history.Timeout, fsm.StatusNotHeld: history.NotHeld,
	fsm.StatusSessionGone: history.NoSession, fsm.StatusAbandoned: history.Abandoned,
}

func position(r fsm.Result) *history.Position {
	if r.Order == 0 {
		return nil
	}
	return &history.Position{Index: uint64(r.Index), Order: r.Order}
}

func (a *actor) returned(o *history.Op, r fsm.Result) {
	a.s.t.Helper()
	o.At = position(r)
	if r.Status == fsm.StatusOK {
		a.s.record.Return(o, history.OK, "")
		return
	}
	code, known := codes[r.Status]
	if !known {
		a.s.t.Fatalf("%s: %+v", o.Kind, r)
	}
	a.s.record.Return(o, history.Fail, code)
}

func (a *actor) numbered(c fsm.Command) fsm.Command {
	a.seq++
	c.Session, c.Incarnation, c.Seq, c.Mark = a.id, 1, a.seq, a.seq
	return c
}

func (a *actor) acquiring(name string, wait fsm.Duration) fsm.Command {
	return a.numbered(fsm.Command{Op: fsm.OpAcquire, Wait: wait, Owner: "o", Wants: []fsm.Want{lockapi.Exclusive(name)}})
}

func acquires(name string, wait fsm.Duration) history.Op {
	return history.Op{Kind: history.Acquire, Owner: "o", Wait: int64(wait), Wants: []history.Want{{Name: name, Mode: history.Exclusive}}}
}

// try acquires without waiting.
func (a *actor) try(at *node, name string) fsm.Result {
	a.s.t.Helper()
	op := a.call(at, acquires(name, 0))
	return a.granted(op, a.say(at, a.acquiring(name, 0)))
}

func (a *actor) granted(op *history.Op, r fsm.Result) fsm.Result {
	a.s.t.Helper()
	if r.Status == fsm.StatusOK {
		op.Grant, op.Count, op.Tokens = uint64(r.Grant), r.Count, []uint64{uint64(r.Token)}
	}
	a.returned(op, r)
	return r
}

// A waiting is an acquire that was queued.
type waiting struct {
	a   *actor
	op  *history.Op
	seq fsm.Seq
}

// wait acquires what somebody else holds.
func (a *actor) wait(at *node, name string) *waiting {
	a.s.t.Helper()
	w := &waiting{a: a, op: a.call(at, acquires(name, fsm.Forever))}
	c := a.acquiring(name, fsm.Forever)
	w.seq = c.Seq
	r := a.say(at, c)
	if r.Status != fsm.StatusQueued {
		a.s.t.Fatalf("%q: %+v; somebody was to hold it", name, r)
	}
	w.op.Queued = position(r)
	return w
}

// end attaches at a node and waits until the wait has ended.
func (w *waiting) end(at *node) fsm.Result {
	w.a.s.t.Helper()
	ctx, cancel := context.WithCancel(w.a.s.ctx)
	defer cancel()
	w.a.last++
	events, err := at.Attach(ctx, lockapi.Attachment{Session: w.a.id, Incarnation: 1, Renewal: w.a.last, Secret: w.a.secret})
	if err != nil {
		w.a.s.t.Fatal(err)
	}
	for o := range events {
		if o.Kind == fsm.OutcomeGranted && o.Key.Seq == w.seq {
			return w.a.granted(w.op, o.Result)
		}
	}
	w.a.s.t.Fatal("the session ended, or its time")
	return fsm.Result{}
}

// withdraw abandons an acquire, in whose place the history has it.
func (w *waiting) withdraw(at *node) {
	w.a.s.t.Helper()
	c := w.a.numbered(fsm.Command{Op: fsm.OpAbandon, Target: w.seq})
	c.Mark = w.seq
	r := w.a.say(at, c)
	if r.Status != fsm.StatusOK {
		w.a.s.t.Fatalf("%+v", r)
	}
	r.Status, w.op.Queued = fsm.StatusAbandoned, nil
	w.a.returned(w.op, r)
}

func (a *actor) release(at *node, name string, g fsm.GrantID) fsm.Result {
	a.s.t.Helper()
	op := a.call(at, history.Op{Kind: history.Release, Grant: uint64(g), Wants: []history.Want{{Name: name, Mode: history.Exclusive}}})
	r := a.say(at, a.numbered(fsm.Command{Op: fsm.OpRelease, Grant: g}))
	a.returned(op, r)
	return r
}

func (a *actor) renew(at *node) fsm.Result {
	a.s.t.Helper()
	a.last++
	op := a.call(at, history.Op{Kind: history.Renew})
	r := a.say(at, fsm.Command{Op: fsm.OpRenew, Session: a.id, Incarnation: 1, Seq: a.last})
	a.returned(op, r)
	return r
}

func (a *actor) leave(at *node) {
	a.s.t.Helper()
	op := a.call(at, history.Op{Kind: history.Close})
	a.returned(op, a.say(at, a.numbered(fsm.Command{Op: fsm.OpClose})))
}

// inspect looks at a name.
func (a *actor) inspect(at *node, name string) fsm.LockView {
	a.s.t.Helper()
	op := a.call(at, history.Op{Kind: history.Inspect, Name: name})
	v, err := at.Inspect(a.s.ctx, lockapi.Query{Name: name})
	if err != nil {
		a.s.t.Fatal(err)
	}
	for _, h := range v.Locks[0].Holders {
		op.Holders = append(op.Holders, history.Holder{Session: uint64(h.Session), Owner: h.Owner, Mode: history.Exclusive, Token: uint64(h.Token)})
	}
	op.At = &history.Position{Index: uint64(v.Index)}
	a.s.record.Return(op, history.OK, "")
	return v.Locks[0]
}
