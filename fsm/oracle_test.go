package fsm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An oracle says what the machine must answer. It is written from the rules in
// the documentation, in the plainest way: lists that are walked, and a memory
// of every command that forgets nothing.
type oracle struct {
	now      Instant
	sessions map[SessionID]*client
	names    map[string]*queue
	opened   SessionID
	granted  GrantID
	token    Token
	arrived  int
	told     []fact
	entered  []string // names that were handed over
}

// client is a session as the oracle knows it.
type client struct {
	id       SessionID
	nonce    Nonce
	secret   Secret
	ttl      Duration
	deadline Instant
	mark     Seq
	done     map[Seq]deed
	events   []fact // not acknowledged
	last     EventID
	seen     EventID
}

// deed is a command that was executed or burnt.
type deed struct {
	content string // "" matches any
	fact    fact
}

// queue is a name: who holds it, and who waits.
type queue struct {
	session SessionID
	owner   string
	token   Token
	held    []held
	waiting []wish
}

type held struct {
	id    GrantID
	seq   Seq
	until Instant
}

type wish struct {
	number   int
	session  SessionID
	seq      Seq
	content  string
	owner    string
	maxHold  Duration
	deadline Instant
}

// fact is what the oracle foretells of an outcome.
type fact struct {
	kind    OutcomeKind
	pos     int
	session SessionID
	seq     Seq
	event   EventID
	status  Status
	grant   GrantID
	token   Token
	until   Instant
	count   int
	place   int
	value   uint64
}

// factOf is what an outcome says of what the oracle foretells.
func factOf(o *Outcome) fact {
	f := fact{
		kind: o.Kind, pos: o.Pos, event: o.Event, status: o.Result.Status, grant: o.Result.Grant,
		token: o.Result.Token, until: o.Result.Until, count: int(o.Result.Count), place: int(o.Result.Place),
		value: o.Result.Value,
	}
	if o.Key.Class != ClassNonce {
		f.session, f.seq = o.Key.Session, o.Key.Seq
	} else if o.Result.Session != 0 {
		f.session = o.Result.Session
	}
	return f
}

func newOracle() *oracle {
	return &oracle{
		sessions: map[SessionID]*client{}, names: map[string]*queue{}, token: makeToken(1, 0),
	}
}

// entry foretells the outcomes of an entry.
func (o *oracle) entry(term Term, e *Entry) []fact {
	o.told = nil
	if e.Term == term {
		o.now = max(o.now, e.Now)
	}
	for i := range e.Commands {
		if c := &e.Commands[i]; c.Op != OpOpen && o.refuses(c) == 0 {
			cl := o.sessions[c.Session]
			cl.deadline = max(cl.deadline, o.now+Instant(cl.ttl))
		}
	}
	for range SweepMax {
		if !o.expireOne() {
			break
		}
	}
	for i := range e.Commands {
		o.command(&e.Commands[i], i)
		o.enter()
	}
	return o.told
}

// refuses says why c does not speak for a session.
func (o *oracle) refuses(c *Command) Status {
	switch cl := o.sessions[c.Session]; {
	case cl == nil:
		return StatusSessionGone
	case c.Incarnation != 1:
		return StatusFenced
	case c.Op == OpAttach && c.Secret != cl.secret:
		return StatusBadSecret
	}
	return 0
}

// expireOne ends the one thing that is due first, if anything is.
func (o *oracle) expireOne() bool {
	type due struct {
		at           Instant
		kind, number int
	}
	first := due{at: o.now + 1}
	end := func() {}
	offer := func(d due, f func()) {
		if d.at < first.at || d.at == first.at && (d.kind < first.kind || d.kind == first.kind && d.number < first.number) {
			first, end = d, f
		}
	}
	for name, q := range o.names {
		for _, w := range q.waiting {
			if w.deadline != 0 {
				offer(due{w.deadline, 1, w.number}, func() {
					o.withdraw(w.session, w.seq)
					o.settle(w, fact{status: StatusTimeout})
				})
			}
		}
		for _, g := range q.held {
			if g.until != 0 {
				offer(due{g.until, 2, int(g.id)}, func() {
					o.event(o.sessions[q.session], fact{kind: OutcomeLoss, status: StatusMaxHold, grant: g.id, token: q.token})
					o.release(name, g.id)
				})
			}
		}
	}
	for _, cl := range o.sessions {
		offer(due{cl.deadline, 3, int(cl.id)}, func() { o.end(cl, StatusSessionGone) })
	}
	end()
	o.enter()
	return first.at <= o.now
}

func (o *oracle) command(c *Command, pos int) {
	f := fact{kind: OutcomeAnswer, pos: pos}
	if c.Op == OpOpen {
		o.open(c, f)
		return
	}
	if c.Op != OpAttach {
		f.session, f.seq = c.Session, c.Seq
	}
	if f.status = o.refuses(c); f.status != 0 {
		o.told = append(o.told, f)
		return
	}
	cl := o.sessions[c.Session]
	numbered := c.Op != OpRenew && c.Op != OpAttach
	if numbered && c.Mark <= c.Seq {
		cl.mark = max(cl.mark, c.Mark)
	}
	cl.seen = max(cl.seen, min(c.Seen, cl.last))
	cl.events = slices.DeleteFunc(cl.events, func(e fact) bool { return e.event <= cl.seen })
	if !numbered {
		f.session, f.status, f.value = c.Session, StatusOK, uint64(cl.last)
		o.told = append(o.told, f)
		o.told = append(o.told, cl.events...)
		return
	}
	o.numbered(cl, c, f)
}

func (o *oracle) open(c *Command, f fact) {
	f.status = StatusOK
	for _, cl := range o.sessions {
		if cl.nonce != c.Nonce {
			continue
		}
		if cl.secret != c.Secret {
			f.status = StatusBadSecret
		} else {
			f.session = cl.id
			cl.deadline = max(cl.deadline, o.now+Instant(cl.ttl))
		}
		o.told = append(o.told, f)
		return
	}
	o.opened++
	f.session = o.opened
	o.sessions[o.opened] = &client{
		id: o.opened, nonce: c.Nonce, secret: c.Secret, ttl: c.TTL, mark: 1,
		deadline: o.now + Instant(c.TTL), done: map[Seq]deed{},
	}
	o.told = append(o.told, f)
}

// numbered executes a command that was not executed before.
func (o *oracle) numbered(cl *client, c *Command, f fact) {
	content := contentOf(c)
	d, done := cl.done[c.Seq]
	_, w := o.wish(cl.id, c.Seq)
	again := func(was fact) {
		was.kind, was.pos, was.session, was.seq, was.event = OutcomeAnswer, f.pos, f.session, f.seq, 0
		o.told = append(o.told, was)
	}
	switch late := o.late(cl, c.Seq); {
	case c.Seq >= cl.mark+WindowSize:
		again(fact{status: StatusWindow})
		o.end(cl, StatusWindow)
	case done && c.Seq >= cl.mark && d.content != "" && d.content != content, w != nil && w.content != content:
		again(fact{status: StatusSeqReused})
		o.end(cl, StatusSeqReused)
	case done && c.Seq >= cl.mark:
		again(d.fact)
	case w != nil:
		again(fact{status: StatusQueued, place: o.place(w)})
	case late != nil:
		again(*late)
	case c.Seq < cl.mark:
		again(fact{status: StatusOldSeq})
	default:
		slot := len(o.told)
		o.told = append(o.told, f)
		r := o.execute(cl, c, content)
		r.kind, r.pos, r.session, r.seq = f.kind, f.pos, f.session, f.seq
		o.told[slot] = r
		if r.status != StatusQueued {
			cl.done[c.Seq] = deed{content, r}
		}
	}
}

// late is the event of an acquire, until it is acknowledged.
func (o *oracle) late(cl *client, seq Seq) *fact {
	for i := range cl.events {
		if e := &cl.events[i]; e.kind == OutcomeGranted && e.seq == seq {
			return e
		}
	}
	return nil
}

func contentOf(c *Command) string {
	name := ""
	if len(c.Wants) > 0 {
		name = c.Wants[0].Name
	}
	return fmt.Sprint(c.Op, name, c.Owner, c.Wait, c.MaxHold, c.Grant, c.Target)
}

func (o *oracle) execute(cl *client, c *Command, content string) fact {
	name, g := o.grant(cl.id, c.Grant)
	switch {
	case c.Mark > c.Seq, c.Op == OpAbandon && (c.Target == 0 || c.Target >= c.Seq):
		return fact{status: StatusInvalid}
	case c.Op == OpAcquire:
		return o.acquire(cl, c, content)
	case c.Op == OpAbandon:
		return o.abandon(cl, c.Target)
	case c.Op == OpClose:
		o.end(cl, StatusOK)
		return fact{status: StatusOK}
	case g == nil:
		return fact{status: StatusNotHeld}
	case c.Op == OpExtend:
		if g.until != 0 {
			g.until = max(g.until, o.now+Instant(c.MaxHold))
		}
		return fact{status: StatusOK, grant: g.id, token: o.names[name].token, until: g.until}
	default:
		token := o.names[name].token
		return fact{status: StatusOK, grant: c.Grant, token: token, count: o.release(name, c.Grant)}
	}
}

func (o *oracle) acquire(cl *client, c *Command, content string) fact {
	name := c.Wants[0].Name
	q := o.names[name]
	switch {
	case q == nil:
		q = &queue{}
		o.names[name] = q
		return o.give(q, cl.id, c.Owner, c.Seq, c.MaxHold)
	case q.session == cl.id && q.owner == c.Owner:
		return o.give(q, cl.id, c.Owner, c.Seq, c.MaxHold)
	case c.Wait == 0:
		return fact{status: StatusBusy, place: 1}
	}
	o.arrived++
	w := wish{
		number: o.arrived, session: cl.id, seq: c.Seq, content: content, owner: c.Owner, maxHold: c.MaxHold,
	}
	if c.Wait > 0 {
		w.deadline = o.now + Instant(c.Wait)
	}
	q.waiting = append(q.waiting, w)
	return fact{status: StatusQueued, place: len(q.waiting)}
}

// give adds a grant to the owner's hold, or makes the owner the holder.
func (o *oracle) give(q *queue, id SessionID, owner string, seq Seq, maxHold Duration) fact {
	if len(q.held) == 0 {
		o.token++
		q.session, q.owner, q.token = id, owner, o.token
	}
	o.granted++
	g := held{id: o.granted, seq: seq}
	if maxHold > 0 {
		g.until = o.now + Instant(maxHold)
	}
	q.held = append(q.held, g)
	return fact{status: StatusOK, grant: g.id, token: q.token, until: g.until, count: len(q.held)}
}

// release ends a grant; the first who waits has the name then, if nobody else has.
func (o *oracle) release(name string, id GrantID) int {
	q := o.names[name]
	q.held = slices.DeleteFunc(q.held, func(g held) bool { return g.id == id })
	switch {
	case len(q.held) > 0:
	case len(q.waiting) == 0:
		delete(o.names, name)
	default:
		w := q.waiting[0]
		q.waiting = q.waiting[1:]
		o.settle(w, o.give(q, w.session, w.owner, w.seq, w.maxHold))
		for len(q.waiting) > 0 && q.waiting[0].session == w.session && q.waiting[0].owner == w.owner {
			w, q.waiting = q.waiting[0], q.waiting[1:]
			o.settle(w, o.give(q, w.session, w.owner, w.seq, w.maxHold))
		}
		o.entered = append(o.entered, name)
		return 0
	}
	return len(q.held)
}

// enter grants what the owners of names that were handed over wait for there:
// re-entry never queues.
func (o *oracle) enter() {
	for _, name := range o.entered {
		q := o.names[name]
		for i := 0; q != nil && i < len(q.waiting); {
			again := q.waiting[i]
			if again.session != q.session || again.owner != q.owner {
				i++
				continue
			}
			q.waiting = slices.Delete(q.waiting, i, i+1)
			o.settle(again, o.give(q, again.session, again.owner, again.seq, again.maxHold))
		}
	}
	o.entered = nil
}

// settle tells the end of a wait. Whatever comes under its seq later is a copy.
func (o *oracle) settle(w wish, f fact) {
	f.kind, f.seq = OutcomeGranted, w.seq
	cl := o.sessions[w.session]
	o.event(cl, f)
	cl.done[w.seq] = deed{w.content, f}
}

func (o *oracle) event(cl *client, f fact) {
	cl.last++
	f.event, f.session, f.pos = cl.last, cl.id, -1
	o.told = append(o.told, f)
	cl.events = append(cl.events, f)
}

func (o *oracle) abandon(cl *client, target Seq) fact {
	burnt := fact{status: StatusAbandoned}
	if _, w := o.wish(cl.id, target); w != nil {
		o.withdraw(cl.id, target)
	} else {
		if e := o.late(cl, target); e != nil {
			*e = fact{kind: e.kind, pos: -1, session: e.session, seq: e.seq, event: e.event, status: StatusAbandoned}
		}
		for name, q := range o.names {
			i := slices.IndexFunc(q.held, func(g held) bool { return q.session == cl.id && g.seq == target })
			if i >= 0 {
				o.release(name, q.held[i].id)
				break
			}
		}
	}
	cl.done[target] = deed{fact: burnt}
	return fact{status: StatusOK}
}

func (o *oracle) end(cl *client, why Status) {
	for _, q := range o.names {
		q.waiting = slices.DeleteFunc(q.waiting, func(w wish) bool { return w.session == cl.id })
	}
	delete(o.sessions, cl.id)
	o.told = append(o.told, fact{kind: OutcomeEnded, pos: -1, session: cl.id, status: why})
	type place struct {
		id   GrantID
		name string
	}
	var all []place
	for name, q := range o.names {
		for _, g := range q.held {
			if q.session == cl.id {
				all = append(all, place{g.id, name})
			}
		}
	}
	slices.SortFunc(all, func(a, b place) int { return int(a.id) - int(b.id) })
	for _, p := range all {
		o.release(p.name, p.id)
	}
}

func (o *oracle) wish(id SessionID, seq Seq) (*queue, *wish) {
	for _, q := range o.names {
		for i := range q.waiting {
			if w := &q.waiting[i]; w.session == id && w.seq == seq {
				return q, w
			}
		}
	}
	return nil, nil
}

func (o *oracle) withdraw(id SessionID, seq Seq) {
	q, _ := o.wish(id, seq)
	q.waiting = slices.DeleteFunc(q.waiting, func(w wish) bool { return w.session == id && w.seq == seq })
}

func (o *oracle) place(w *wish) int {
	q, _ := o.wish(w.session, w.seq)
	return 1 + slices.IndexFunc(q.waiting, func(other wish) bool { return other.number == w.number })
}

func (o *oracle) grant(id SessionID, g GrantID) (string, *held) {
	for name, q := range o.names {
		for i := range q.held {
			if q.session == id && q.held[i].id == g {
				return name, &q.held[i]
			}
		}
	}
	return "", nil
}

// locks says who holds and who waits, as locksOf does of a View.
func (o *oracle) locks() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(o.names)) {
		q := o.names[name]
		fmt.Fprintf(&b, "%s: s%d/%s %d x%d", name, q.session, q.owner, q.token, len(q.held))
		for _, w := range q.waiting {
			fmt.Fprintf(&b, " < s%d/%s", w.session, w.owner)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func locksOf(v *View) string {
	var b strings.Builder
	page, _ := v.Locks("", "", 1<<30)
	for _, l := range page {
		fmt.Fprintf(&b, "%s:", l.Name)
		for _, h := range l.Holders {
			fmt.Fprintf(&b, " s%d/%s %d x%d", h.Session, h.Owner, h.Token, h.Count)
		}
		for _, w := range l.Waiters {
			fmt.Fprintf(&b, " < s%d/%s", w.Session, w.Owner)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
