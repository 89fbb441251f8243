package fsm

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// An oracle says what the machine must answer. It is written from the rules in
// the documentation, in the plainest way: lists that are walked, and a memory
// of every command that forgets nothing.
type oracle struct {
	now      Instant
	sessions map[SessionID]*client
	opened   SessionID
	granted  GrantID
	token    Token
	arrived  WaiterID
	grants   []*given // in the order of their numbers
	waits    []*wish  // in the order of arrival
	errands  []errand
	told     []Outcome
}

// client is a session as the oracle knows it.
type client struct {
	id          SessionID
	incarnation Incarnation
	nonce       Nonce
	resumes     []Nonce
	secret      Secret
	ttl         Duration
	deadline    Instant
	mark        Seq
	newest      Seq
	done        map[Seq]deed
	events      []Outcome // not acknowledged
	last        EventID
	seen        EventID
}

// deed is a command that was executed or burnt.
type deed struct {
	content string // "" matches any
	result  Result
}

// given is a grant.
type given struct {
	id      GrantID
	session SessionID
	owner   string
	seq     Seq // of the acquire, if it was the session's own
	key     Nonce
	until   Instant
	parts   []part // in the order in which they were asked for
}

// part is one name of a grant.
type part struct {
	Want
	token Token
}

// wish is an acquire that waits.
type wish struct {
	number   WaiterID
	speaker  SessionID
	seq      Seq
	content  string
	session  SessionID // whose the grant will be
	owner    string
	key      Nonce
	wants    []Want
	maxHold  Duration
	deadline Instant
}

func newOracle() *oracle {
	return &oracle{sessions: map[SessionID]*client{}, token: makeToken(1, 0)}
}

// foretold is an outcome without its time and place, of which the oracle says
// nothing.
func foretold(o Outcome) Outcome {
	o.Result.At, o.Result.Index, o.Result.Order = 0, 0, 0
	return o
}

// entry foretells the outcomes of an entry.
func (o *oracle) entry(term Term, e *Entry) []Outcome {
	o.told = nil
	if e.Term == term {
		o.now = max(o.now, e.Now)
	}
	for i := range e.Commands {
		if c := &e.Commands[i]; c.Op != OpOpen && o.refuses(c) == 0 {
			o.renew(o.sessions[c.Session])
		}
	}
	for range SweepMax {
		if !o.expireOne() {
			break
		}
	}
	for i := range e.Commands {
		o.command(&e.Commands[i], i)
		o.handOver()
	}
	return o.told
}

func (o *oracle) renew(cl *client) { cl.deadline = max(cl.deadline, o.now+Instant(cl.ttl)) }

// refuses says why c does not speak for a session.
func (o *oracle) refuses(c *Command) Status {
	switch cl := o.sessions[c.Session]; {
	case cl == nil:
		return StatusSessionGone
	case c.Op != OpResume && c.Incarnation != cl.incarnation:
		return StatusFenced
	case (c.Op == OpAttach || c.Op == OpResume) && c.Secret != cl.secret:
		return StatusBadSecret
	case c.Op == OpResume && slices.Contains(cl.resumes, c.Nonce) && cl.resumes[len(cl.resumes)-1] != c.Nonce:
		return StatusFenced
	}
	return 0
}

// expireOne ends the one thing that is due first, if anything is.
func (o *oracle) expireOne() bool {
	type due struct {
		at           Instant
		kind, number uint64
	}
	first := due{at: o.now + 1}
	end := func() {}
	offer := func(d due, f func()) {
		if d.at != 0 && cmp.Or(cmp.Compare(d.at, first.at), cmp.Compare(d.kind, first.kind), cmp.Compare(d.number, first.number)) < 0 {
			first, end = d, f
		}
	}
	for _, w := range o.waits {
		offer(due{w.deadline, 1, uint64(w.number)}, func() {
			o.withdraw(w)
			o.lookAt(w.wants)
			o.settle(w, Result{Status: StatusTimeout})
		})
	}
	for _, g := range o.grants {
		offer(due{g.until, 2, uint64(g.id)}, func() {
			if g.session != 0 {
				o.event(o.sessions[g.session], OutcomeLoss, 0,
					Result{Status: StatusMaxHold, Grant: g.id, Token: g.first().token})
			}
			o.drop(g)
		})
	}
	for _, cl := range o.sessions {
		offer(due{cl.deadline, 3, uint64(cl.id)}, func() { o.end(cl, StatusSessionGone) })
	}
	end()
	o.handOver()
	return first.at <= o.now
}

// first is the part whose name is first in the order of names.
func (g *given) first() part { return g.sorted()[0] }

func (g *given) sorted() []part {
	return slices.SortedFunc(slices.Values(g.parts), func(a, b part) int { return cmp.Compare(a.Name, b.Name) })
}

func (o *oracle) say(k OutcomeKind, key Key, pos int, r Result) {
	o.told = append(o.told, Outcome{Kind: k, Key: key, Pos: pos, Result: r})
}

func (o *oracle) command(c *Command, pos int) {
	answer := func(r Result) { o.say(OutcomeAnswer, c.Key(), pos, r) }
	if c.Op == OpOpen {
		answer(o.open(c))
		return
	}
	if refusal := o.refuses(c); refusal != 0 {
		answer(Result{Status: refusal})
		return
	}
	cl := o.sessions[c.Session]
	switch c.Op {
	case OpResume:
		answer(o.resume(cl, c))
	case OpRenew, OpAttach:
		cl.acknowledge(c.Seen)
		answer(Result{Status: StatusOK, Session: cl.id, Value: uint64(cl.last)})
		o.told = append(o.told, cl.untold()...)
	default:
		if c.Mark <= c.Seq {
			cl.mark = max(cl.mark, c.Mark)
		}
		cl.acknowledge(c.Seen)
		o.numbered(cl, c, answer)
	}
}

// numbered executes a command that was not executed before.
func (o *oracle) numbered(cl *client, c *Command, answer func(Result)) {
	content := contentOf(c)
	d, done := cl.done[c.Seq]
	w := o.wish(cl.id, c.Seq)
	switch late := cl.late(c.Seq); {
	case c.Seq >= cl.mark+WindowSize:
		answer(Result{Status: StatusWindow})
		o.end(cl, StatusWindow)
	case done && c.Seq >= cl.mark && d.content != "" && d.content != content, w != nil && w.content != content:
		answer(Result{Status: StatusSeqReused})
		o.end(cl, StatusSeqReused)
	case done && c.Seq >= cl.mark:
		answer(d.result)
	case w != nil:
		answer(Result{Status: StatusQueued, Place: o.place(w)})
	case late != nil:
		answer(late.Result)
	case c.Seq < cl.mark:
		answer(Result{Status: StatusOldSeq})
	default:
		cl.newest = max(cl.newest, c.Seq)
		slot := len(o.told)
		answer(Result{})
		r := malformed(c)
		if r.Status == 0 {
			r = o.execute(cl, c, content)
		}
		if o.told[slot].Result = r; r.Status != StatusQueued {
			cl.done[c.Seq] = deed{content, r}
		}
	}
}

// contentOf is what tells a command from another with its number.
func contentOf(c *Command) string {
	if c.Behalf == BehalfSelf {
		return fmt.Sprint(c.Op, c.Wants, c.Owner, c.Wait, c.MaxHold, c.Grant, c.Target)
	}
	return fmt.Sprint(c.Op, c.Wants, c.Owner, c.Wait, c.MaxHold, c.Grant, c.Target, c.Behalf, c.For, c.Nonce)
}

// malformed says what is wrong with a command, of what the senders do wrong.
func malformed(c *Command) Result {
	switch {
	case c.Mark > c.Seq, c.Op == OpAbandon && (c.Target == 0 || c.Target >= c.Seq),
		c.Behalf == BehalfAnother && c.For == c.Session:
		return Result{Status: StatusInvalid}
	case c.Op == OpAcquire && c.Behalf == BehalfNobody && c.MaxHold == 0:
		return Result{Status: StatusInvalid, Limit: LimitMaxHold}
	case c.Op != OpAcquire:
		return Result{}
	}
	for i, w := range c.Wants {
		if w.Permits > w.Limit {
			return Result{Status: StatusInvalid, Limit: LimitPermits, Place: uint32(i + 1)}
		}
		if slices.ContainsFunc(c.Wants[:i], func(other Want) bool { return other.Name == w.Name }) {
			return Result{Status: StatusInvalid, Limit: LimitWants, Place: uint32(i + 1)}
		}
	}
	return Result{}
}

func (o *oracle) execute(cl *client, c *Command, content string) Result {
	to, known := o.beneficiary(cl, c)
	switch {
	case c.Op == OpAbandon:
		return o.abandon(cl, c.Target)
	case c.Op == OpClose:
		o.end(cl, StatusOK)
		return Result{Status: StatusOK}
	case !known:
		return Result{Status: StatusNobody}
	case c.Op == OpAcquire:
		return o.acquire(cl, to, c, content)
	}
	g := o.grant(c.Grant)
	if g == nil || g.session != to || c.Behalf != BehalfSelf && g.of(c.Wants[0].Name) == nil {
		return Result{Status: StatusNotHeld}
	}
	r := Result{Status: StatusOK, Grant: g.id, Token: g.first().token}
	if c.Op == OpExtend {
		if g.until != 0 {
			g.until = max(g.until, o.now+Instant(c.MaxHold))
		}
		r.Until = g.until
		return r
	}
	o.drop(g)
	if len(g.parts) == 1 {
		r.Count = uint32(len(o.hold(g.parts[0].Name, to, g.owner)))
	}
	return r
}

// beneficiary is whom c's grant belongs to.
func (o *oracle) beneficiary(cl *client, c *Command) (SessionID, bool) {
	switch c.Behalf {
	case BehalfNobody:
		return 0, true
	case BehalfAnother:
		to := o.sessions[c.For]
		return c.For, to != nil && to.secret == c.Secret
	}
	return cl.id, true
}

func (o *oracle) grant(id GrantID) *given {
	for _, g := range o.grants {
		if g.id == id {
			return g
		}
	}
	return nil
}

func tokensOf(parts []part) Tokens {
	var list []byte
	for _, p := range parts {
		list = binary.AppendUvarint(list, uint64(p.token))
	}
	return Tokens(list)
}
