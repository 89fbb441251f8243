package verdict

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/jepsen/history"
)

// A world is the lock machine and clients that use it at once: each has an
// operation under way that was called, then executed, then answered, and which of
// them comes next is a matter of chance. Its history is right by construction.
type world struct {
	rng     *rand.Rand
	state   *fsm.State
	index   fsm.Index
	now     int64 // one clock for machine and clients
	clients []*client
	number  int // of clients so far
	history history.History
}

// A client is one session; whoever has had no answer is replaced by another.
type client struct {
	w       *world
	number  int
	session fsm.SessionID
	ttl     fsm.Duration
	seq     fsm.Seq
	renewal fsm.Seq
	grants  []fsm.GrantID
	over    bool
	asleep  int64 // until then

	op       *history.Op // under way
	command  fsm.Command
	executed bool
	answer   *fsm.Result
	gaveUp   bool // it withdraws the acquire that is under way
}

func newWorld(seed uint64, clients int) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), state: fsm.New(), now: 1}
	for range clients {
		w.clients = append(w.clients, w.join())
	}
	return w
}

func (w *world) tick() int64 {
	w.now += (1 + w.rng.Int64N(3)) * int64(time.Millisecond)
	return w.now
}

func (w *world) apply(c fsm.Command) fsm.Result {
	w.index++
	entry := fsm.Entry{Term: 1, Now: fsm.Instant(w.tick()), Commands: []fsm.Command{c}}
	var answer fsm.Result
	for _, o := range w.state.Apply(w.index, 1, &entry) {
		if o.Kind == fsm.OutcomeAnswer {
			answer = o.Result
			continue
		}
		for _, other := range w.clients {
			if other.session == o.Key.Session {
				other.hear(o)
			}
		}
	}
	return answer
}

func (w *world) join() *client {
	w.number++
	c := &client{w: w, number: w.number, ttl: fsm.TTLMin + fsm.Duration(w.rng.Int64N(int64(fsm.TTLMin)))}
	call := w.tick()
	r := w.apply(fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: uint64(w.number)}, Secret: fsm.Secret{1}, TTL: c.ttl})
	if r.Status != fsm.StatusOK {
		panic(fmt.Sprintf("open: %+v", r))
	}
	c.session = r.Session
	w.record(&history.Op{Client: c.number, Kind: history.Open, Session: uint64(r.Session), TTL: int64(c.ttl), Call: call}, history.OK, "")
	return c
}

// record puts an operation that was answered now into the history.
func (w *world) record(o *history.Op, status history.Status, code string) {
	o.ID, o.Status, o.Code = len(w.history)+1, status, code
	if status != history.Unknown {
		o.Return = w.tick()
	}
	w.history = append(w.history, *o)
}

// hear takes an event: the end of a wait, or of the session.
func (c *client) hear(o fsm.Outcome) {
	switch o.Kind {
	case fsm.OutcomeEnded:
		c.over = true
	case fsm.OutcomeGranted:
		if c.op != nil && c.executed && o.Key.Seq == c.command.Seq {
			c.answer = &o.Result
		}
	}
}

var machineWants = [][]fsm.Want{
	{{Name: "a", Kind: fsm.KindLock, Mode: fsm.Exclusive}},
	{{Name: "a", Kind: fsm.KindLock, Mode: fsm.Shared}},
	{{Name: "b", Kind: fsm.KindLock, Mode: fsm.Exclusive}},
	{{Name: "a", Kind: fsm.KindLock, Mode: fsm.Exclusive}, {Name: "b", Kind: fsm.KindLock, Mode: fsm.Shared}},
	{{Name: "s", Kind: fsm.KindSemaphore, Mode: fsm.Counted, Permits: 1, Limit: 3}},
	{{Name: "s", Kind: fsm.KindSemaphore, Mode: fsm.Counted, Permits: 2, Limit: 3}},
}

var modesOf = map[fsm.Mode]history.Mode{fsm.Exclusive: history.Exclusive, fsm.Shared: history.Shared, fsm.Counted: history.Permits}

// ask begins an operation.
func (c *client) ask() {
	rng := c.w.rng
	c.command = fsm.Command{Session: c.session, Incarnation: 1}
	c.op = &history.Op{Client: c.number, Session: uint64(c.session)}
	c.executed, c.answer, c.gaveUp = false, nil, false
	numbered := true
	switch n := rng.IntN(10); {
	case n < 4 || len(c.grants) == 0 && n < 7:
		wants := machineWants[rng.IntN(len(machineWants))]
		c.op.Kind, c.command.Op, c.command.Wants = history.Acquire, fsm.OpAcquire, wants
		c.op.Owner = []string{"o", "p"}[rng.IntN(2)]
		c.command.Owner = c.op.Owner
		if rng.IntN(3) > 0 {
			c.command.Wait = fsm.Duration(1 + rng.Int64N(int64(100*time.Millisecond)))
			c.op.Wait = int64(c.command.Wait)
		}
		for _, want := range wants {
			c.op.Wants = append(c.op.Wants, history.Want{
				Name: want.Name, Mode: modesOf[want.Mode], Permits: uint32(want.Permits), Limit: uint32(want.Limit)})
		}
	case n < 7:
		at := rng.IntN(len(c.grants))
		c.op.Kind, c.command.Op, c.command.Grant = history.Release, fsm.OpRelease, c.grants[at]
		if rng.IntN(5) > 0 { // else it is released again later
			c.grants = append(c.grants[:at:at], c.grants[at+1:]...)
		}
		c.op.Grant = uint64(c.command.Grant)
	case n < 8:
		c.op.Kind, c.op.Name, numbered = history.Inspect, []string{"a", "b", "s"}[rng.IntN(3)], false
	default:
		c.renewal++
		c.op.Kind, c.command.Op, c.command.Seq, numbered = history.Renew, fsm.OpRenew, c.renewal, false
	}
	if numbered {
		c.seq++
		c.command.Seq, c.command.Mark = c.seq, c.seq
	}
	c.op.Call = c.w.tick()
}

// execute lets the machine do what is under way.
func (c *client) execute() {
	c.executed = true
	if c.op.Kind == history.Inspect {
		for _, h := range c.w.state.View().Lock(c.op.Name).Holders {
			c.op.Holders = append(c.op.Holders, history.Holder{
				Session: uint64(h.Session), Owner: h.Owner, Mode: modesOf[h.Mode], Permits: uint32(h.Permits), Token: uint64(h.Token)})
		}
		c.answer = &fsm.Result{Status: fsm.StatusOK, Index: c.w.index}
		return
	}
	if r := c.w.apply(c.command); r.Status != fsm.StatusQueued {
		c.answer = &r
	} else {
		c.op.Queued = &history.Position{Index: uint64(r.Index), Order: r.Order}
	}
}

var codesOf = map[fsm.Status]string{
	fsm.StatusBusy: history.Busy, fsm.StatusTimeout: history.Timeout, fsm.StatusNotHeld: history.NotHeld, fsm.StatusSessionGone: history.NoSession,
	fsm.StatusAbandoned: history.Abandoned,
}

// giveUp withdraws the acquire that is under way, granted or not; it may not have
// come yet, and then comes later.
func (c *client) giveUp() {
	late := c.command
	c.seq++
	c.command = fsm.Command{
		Session: c.session, Incarnation: 1, Op: fsm.OpAbandon, Target: late.Seq, Seq: c.seq, Mark: late.Seq,
	}
	came := c.executed
	c.gaveUp, c.answer, c.op.Queued = true, nil, nil
	c.execute()
	if c.answer != nil && c.answer.Status == fsm.StatusOK {
		c.answer.Status = fsm.StatusAbandoned
	}
	if !came && c.w.rng.IntN(2) == 0 {
		c.w.apply(late)
	}
}

// unheard ends what is under way without an answer.
func (c *client) unheard() {
	code := ""
	if c.gaveUp {
		code = history.Abandoned
	}
	c.w.record(c.op, history.Unknown, code)
}

// hearAnswer ends what is under way.
func (c *client) hearAnswer() {
	r, o := c.answer, c.op
	c.op = nil
	if r.Index > 0 {
		o.At = &history.Position{Index: uint64(r.Index), Order: r.Order}
	}
	if r.Status != fsm.StatusOK {
		code := codesOf[r.Status]
		if code == "" {
			code = r.Status.String()
		}
		c.w.record(o, history.Fail, code)
		return
	}
	if o.Kind == history.Acquire {
		o.Grant, o.Count = uint64(r.Grant), r.Count
		o.Tokens = []uint64{uint64(r.Token)}
		for _, token := range r.Rest.All() {
			o.Tokens = append(o.Tokens, uint64(token))
		}
		c.grants = append(c.grants, r.Grant)
	}
	c.w.record(o, history.OK, "")
}

// step lets one client come a step farther, or leave for ever.
func (w *world) step() {
	at := w.rng.IntN(len(w.clients))
	c := w.clients[at]
	switch {
	case c.op == nil && w.now < c.asleep:
		w.pass()
	case c.op == nil && w.rng.IntN(30) == 0:
		c.asleep = w.now + int64(c.ttl)/2 + w.rng.Int64N(int64(c.ttl))
	case c.op == nil && c.over && w.rng.IntN(2) == 0: // or it finds out by asking
		w.clients[at] = w.join()
	case c.op == nil:
		c.ask()
	case w.rng.IntN(60) == 0 && c.op.Kind != history.Inspect: // nobody hears the answer, if there is one
		if !c.executed && w.rng.IntN(2) == 0 {
			c.execute()
		}
		c.unheard()
		w.clients[at] = w.join()
	case c.op.Kind == history.Acquire && !c.gaveUp && w.rng.IntN(12) == 0:
		c.giveUp()
	case !c.executed:
		c.execute()
	case c.answer != nil:
		c.hearAnswer()
	case c.over: // it waits for what will not come
		c.unheard()
		w.clients[at] = w.join()
	default:
		w.pass()
	}
}

// pass lets time go on.
func (w *world) pass() {
	w.apply(fsm.Command{Op: fsm.OpRead, Nonce: fsm.Nonce{Hi: 2, Lo: uint64(w.index)}})
}

// finish answers what is under way, as far as it has been executed.
func (w *world) finish() history.History {
	for _, c := range w.clients {
		if c.op != nil && c.op.Kind != history.Inspect {
			c.unheard()
		}
	}
	return w.history
}

// Whatever the lock machine does to clients that use it at once is explained.
func TestHistoriesOfTheMachine(t *testing.T) {
	const seeds = 200
	seen := map[string]int{}
	for seed := range uint64(seeds) {
		w := newWorld(seed, 2+int(seed%5))
		for range 1000 {
			w.step()
		}
		h := w.finish()
		for i := range h {
			seen[fmt.Sprintf("%s %s %s", h[i].Kind, h[i].Status, h[i].Code)]++
		}
		got := Linearizable(h, 20*time.Second)
		if got.Verdict != Pass {
			t.Fatalf("seed %d: %v: %v", seed, got.Verdict, got.Findings)
		}
		if got := Witnessed(h); got.Verdict != Pass || got.Ops < len(h)/2 {
			t.Fatalf("seed %d: the witness of %d of %d: %v", seed, got.Ops, len(h), got.Findings)
		}
	}
	for _, what := range []string{"acquire ok ", "acquire fail busy", "acquire fail timeout", "acquire fail abandoned", "acquire unknown ", "acquire fail no_session",
		"release ok ", "release fail not_held", "release unknown ", "inspect ok ", "renew ok "} {
		if seen[what] < 100 {
			t.Errorf("%q: only %d in %d histories", what, seen[what], seeds)
		}
	}
	t.Log(seen)
}
