package fsm

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestHonestClients lets clients that keep the rules talk to the machine over a
// network that delays, repeats, reorders and loses. In the end, when everything
// was sent again until it was answered, the machine has granted exactly what the
// clients believe to hold; and when they have released that, nothing is held and
// nobody waits. No oracle is asked: only what a client can see.
func TestHonestClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNetwork(t)
		for range 1 + pick(t, "steps", 150) {
			n.step()
		}
		n.drain()
		n.compare()
		for _, c := range n.clients {
			for _, seq := range slices.Sorted(maps.Keys(c.wants)) {
				if w := c.wants[seq]; w.grant != 0 && !w.over {
					c.release(seq)
				} else if !w.over {
					c.abandon(seq)
				}
			}
		}
		n.drain()
		if got := locksOf(n.s.View()); got != "" {
			t.Fatalf("left behind:\n%s", got)
		}
	})
}

// A network is what is under way between the clients and the machine.
type network struct {
	t       *rapid.T
	s       *State
	index   Index
	clients []*honest
	asked   []Command // under way to the machine
	told    []Outcome // under way to the clients
}

// An honest client numbers, marks and acknowledges as the documentation says.
type honest struct {
	n       *network
	session SessionID
	next    Seq
	renewal Seq
	sent    map[Seq]Command // not answered yet, to be sent again as they are
	parked  map[Seq]bool
	wants   map[Seq]*acquired
	events  map[EventID]bool
	seen    EventID
}

// acquired is what a client knows of its acquire.
type acquired struct {
	said    Command
	grant   GrantID
	freed   GrantID // released although it is dropped
	dropped Seq     // the abandon that withdraws it; from then on nothing else counts
	over    bool    // it is not held, for sure
}

func newNetwork(t *rapid.T) *network {
	n := &network{t: t, s: New()}
	for i := range 3 {
		n.apply(Command{Op: OpOpen, Nonce: Nonce{Lo: uint64(i)}, TTL: TTLMax})
		n.clients = append(n.clients, &honest{
			n: n, session: SessionID(i + 1), next: 1, sent: map[Seq]Command{},
			parked: map[Seq]bool{}, wants: map[Seq]*acquired{}, events: map[EventID]bool{},
		})
	}
	n.told = nil
	return n
}

func (n *network) apply(commands ...Command) {
	n.index++
	n.told = append(n.told, n.s.Apply(n.index, 1, &Entry{Term: 1, Commands: commands})...)
	if err := n.s.Check(); err != nil {
		n.t.Fatalf("%v", err)
	}
}

func (n *network) step() {
	c := n.clients[pick(n.t, "client", len(n.clients))]
	switch pick(n.t, "step", 12) {
	case 0, 1:
		c.acquire()
	case 2:
		if seq := c.some(func(w *acquired) bool { return w.grant != 0 && !w.over && w.dropped == 0 }); seq != 0 {
			c.release(seq)
		}
	case 3:
		if seq := c.some(func(w *acquired) bool { return w.grant == 0 && !w.over && w.dropped == 0 }); seq != 0 {
			c.abandon(seq)
		}
	case 4:
		c.renew()
	case 5:
		for _, seq := range slices.Sorted(maps.Keys(c.sent)) {
			if rare(n.t, "again", 3) {
				n.asked = append(n.asked, c.sent[seq])
			}
		}
	case 6, 7, 8:
		n.deliver(rare(n.t, "repeat", 3))
	default:
		n.hear(rare(n.t, "lose", 4))
	}
}

// deliver takes one command, any one, to the machine; a copy may stay under way.
func (n *network) deliver(copied bool) {
	if len(n.asked) == 0 {
		return
	}
	i := pick(n.t, "command", len(n.asked))
	c := n.asked[i]
	if !copied {
		n.asked = slices.Delete(n.asked, i, i+1)
	}
	n.apply(c)
}

// hear takes one outcome, any one, to its client, or loses it.
func (n *network) hear(lost bool) {
	if len(n.told) == 0 {
		return
	}
	i := pick(n.t, "outcome", len(n.told))
	o := n.told[i]
	n.told = slices.Delete(n.told, i, i+1)
	if !lost {
		n.clients[o.Key.Session-1].hear(&o)
	}
}

// drain sends everything again until nothing is unanswered or unacknowledged.
func (n *network) drain() {
	for round := 0; ; round++ {
		for _, c := range n.clients {
			for _, seq := range slices.Sorted(maps.Keys(c.sent)) {
				n.asked = append(n.asked, c.sent[seq])
			}
			c.renew()
		}
		for len(n.asked) > 0 {
			n.deliver(false)
		}
		for len(n.told) > 0 {
			n.hear(false)
		}
		if !slices.ContainsFunc(n.clients, func(c *honest) bool { return len(c.sent) > 0 }) && round > 0 {
			return
		}
		if round > 20 {
			n.t.Fatalf("commands are never answered")
		}
	}
}

// compare: what the clients believe to hold, for whomever they acquired it, is what
// the machine says that they hold.
func (n *network) compare() {
	believed, granted := map[SessionID][]GrantID{}, map[SessionID][]GrantID{}
	for _, c := range n.clients {
		for _, w := range c.wants {
			if w.grant != 0 && !w.over {
				believed[w.holder()] = append(believed[w.holder()], w.grant)
			}
		}
	}
	for id := range SessionID(len(n.clients) + 1) {
		for _, g := range n.s.grantsOf(id) {
			granted[id] = append(granted[id], g.id)
		}
		slices.Sort(believed[id])
		if !slices.Equal(believed[id], granted[id]) {
			n.t.Fatalf("s%d is believed to hold %v and holds %v", id, believed[id], granted[id])
		}
	}
}

// holder is whose the grant is.
func (w *acquired) holder() SessionID {
	if w.said.Behalf == BehalfSelf {
		return w.said.Session
	}
	return w.said.For
}

func (c *honest) send(m Command) Seq {
	m.Session, m.Incarnation, m.Seq, m.Seen = c.session, 1, c.next, c.seen
	m.Mark = c.next
	for seq := range c.sent {
		if !c.parked[seq] {
			m.Mark = min(m.Mark, seq)
		}
	}
	c.next++
	c.sent[m.Seq] = m
	c.n.asked = append(c.n.asked, m)
	return m.Seq
}

func (c *honest) acquire() {
	m := Command{
		Op: OpAcquire, Wait: choose(c.n.t, "wait", Forever, Forever, 0),
		Owner: choose(c.n.t, "owner", "", "o"),
	}
	m.Wants = append(m.Wants, c.want(choose(c.n.t, "name", "a", "b", "p")))
	if rare(c.n.t, "other", 2) {
		m.Wants = append(m.Wants, c.want("other"))
	}
	switch to := SessionID(pick(c.n.t, "behalf", 8)); {
	case to == 0:
		m.Behalf, m.MaxHold = BehalfNobody, MaxHoldMax
	case to <= 3 && to != c.session:
		m.Behalf, m.For = BehalfAnother, to
	}
	seq := c.send(m)
	c.wants[seq] = &acquired{said: c.sent[seq]}
}

// want says how a name is wanted: p is a semaphore.
func (c *honest) want(name string) Want {
	if name == "p" {
		return Want{name, KindSemaphore, Counted, choose[Permits](c.n.t, "permits", 1, 2), 3}
	}
	return Want{name, KindLock, choose(c.n.t, "mode", Exclusive, Shared), 0, 0}
}

func (c *honest) release(seq Seq) {
	w := c.wants[seq]
	w.over = true // the release will be sent until it is answered
	c.free(w, w.grant)
}

func (c *honest) free(w *acquired, g GrantID) {
	m := Command{Op: OpRelease, Grant: g, Behalf: w.said.Behalf, For: w.said.For}
	if m.Behalf != BehalfSelf {
		m.Wants = w.said.Wants[:1]
	}
	c.send(m)
}

func (c *honest) abandon(seq Seq) {
	if w := c.wants[seq]; w.dropped == 0 {
		w.dropped = c.send(Command{Op: OpAbandon, Target: seq})
	}
}

func (c *honest) renew() {
	c.renewal++
	c.n.asked = append(c.n.asked, Command{
		Op: OpRenew, Session: c.session, Incarnation: 1, Seq: c.renewal, Seen: c.seen,
	})
}

// some picks an acquire of the kind.
func (c *honest) some(kind func(*acquired) bool) Seq {
	var all []Seq
	for _, seq := range slices.Sorted(maps.Keys(c.wants)) {
		if kind(c.wants[seq]) {
			all = append(all, seq)
		}
	}
	if len(all) == 0 {
		return 0
	}
	return all[pick(c.n.t, "which", len(all))]
}

// hear takes in what the client is told. Events come in any order and more than
// once; it acknowledges those that it has without a gap.
func (c *honest) hear(o *Outcome) {
	if o.Event != 0 {
		c.events[o.Event] = true
		for c.events[c.seen+1] {
			c.seen++
		}
		c.resolve(o.Key.Seq, &o.Result)
		return
	}
	if o.Kind != OutcomeAnswer {
		c.n.t.Fatalf("s%d: %+v", c.session, o)
	}
	m, open := c.sent[o.Key.Seq]
	if o.Key.Class != ClassSeq || !open {
		return
	}
	switch {
	case m.Op == OpAcquire && o.Result.Status == StatusQueued:
		delete(c.sent, m.Seq)
		c.parked[m.Seq] = true
	case m.Op == OpAcquire:
		delete(c.sent, m.Seq)
		c.resolve(m.Seq, &o.Result)
	case m.Op == OpRelease && m.Behalf != BehalfSelf && o.Result.Status == StatusNotHeld: // it was dropped as well
		delete(c.sent, m.Seq)
	case o.Result.Status != StatusOK:
		c.n.t.Fatalf("s%d#%d %v: %v", c.session, m.Seq, m.Op, o.Result.Status)
	case m.Op == OpAbandon:
		delete(c.sent, m.Seq)
		w := c.wants[m.Target]
		w.over = true
		delete(c.sent, m.Target) // whatever comes is the answer of what is over
	default:
		delete(c.sent, m.Seq)
	}
}

// resolve learns the end of an acquire, once, unless it is given up: then only
// the answer to the abandon counts.
func (c *honest) resolve(seq Seq, r *Result) {
	w := c.wants[seq]
	// An abandon finds what was acquired for another by the answer and the event
	// alone, and a renewal that acknowledges them may overtake it.
	if w.said.Behalf != BehalfSelf && w.dropped != 0 && r.Status == StatusOK && w.freed != r.Grant {
		w.freed = r.Grant
		c.free(w, r.Grant)
	}
	if w.over || w.dropped != 0 || w.grant != 0 {
		return
	}
	delete(c.sent, seq)
	switch r.Status {
	case StatusOK:
		w.grant = r.Grant
	case StatusBusy, StatusModeConflict:
		w.over = true
	default:
		c.n.t.Fatalf("s%d#%d: %v", c.session, seq, r.Status)
	}
}
