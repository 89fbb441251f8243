package sim

import (
	"bytes"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A node has a replica of the machine, and sends on what processes tell it.
type node struct {
	w       *world
	id      int
	up      bool
	state   *fsm.State
	applied int // entries of the log
	image   []byte
	imaged  int // entries in image
	pending []asked
	entry   fsm.Entry
}

// asked is a command that came by way of this node and is not answered.
type asked struct {
	key fsm.Key
	op  fsm.Op
	by  *process
}

func (w *world) addNode() {
	n := &node{w: w, id: len(w.nodes), up: true, state: fsm.New()}
	w.nodes = append(w.nodes, n)
	n.follow()
	n.live()
}

// follow applies what is in the log, now and then some of it.
func (n *node) follow() {
	lag := n.w.between(time.Millisecond, 100*time.Millisecond)
	if !n.w.calm && n.w.chance(20) {
		lag = n.w.between(100*time.Millisecond, 2*time.Second)
	}
	n.w.after(lag, func() {
		if n.up {
			for n.applied < len(n.w.log) && (n.w.calm || !n.w.chance(10)) {
				n.apply()
			}
		}
		n.follow()
	})
}

// live has a node take snapshots, restart and install those of others.
func (n *node) live() {
	n.w.after(n.w.between(200*time.Millisecond, 3*time.Second), func() {
		if n.w.calm {
			n.start()
			return
		}
		switch n.w.rng.IntN(6) {
		case 0, 1:
			n.snapshot()
		case 2:
			n.stop()
			n.w.after(n.w.between(time.Millisecond, 2*time.Second), n.start)
		case 3:
			n.install(n.w.nodes[n.w.rng.IntN(len(n.w.nodes))])
		}
		n.live()
	})
}

func (n *node) stop() {
	n.up, n.pending = false, nil
	if n.w.reign != nil && n.w.reign.node == n {
		n.w.reign = nil
	}
}

// start begins with the node's last snapshot; what is behind it in the log is
// applied again.
func (n *node) start() {
	if n.up {
		return
	}
	n.up, n.state, n.applied = true, fsm.New(), n.imaged
	if n.imaged > 0 {
		n.state = n.w.restore(n.image)
	}
}

func (w *world) restore(image []byte) *fsm.State {
	s, err := fsm.Restore(bytes.NewReader(image))
	if err != nil {
		w.fail("a snapshot is refused: %v", err)
	}
	return s
}

// snapshot is the same on every node at the same place of the log.
func (n *node) snapshot() {
	if !n.up || n.applied == 0 {
		return
	}
	var b bytes.Buffer
	if _, err := n.state.View().WriteTo(&b); err != nil {
		n.w.fail("snapshot: %v", err)
	}
	r := &n.w.log[n.applied-1]
	if r.image == nil {
		r.image = b.Bytes()
	} else if !bytes.Equal(r.image, b.Bytes()) {
		n.w.fail("node %d writes another snapshot of entry %d than the first", n.id, r.index)
	}
	n.image, n.imaged = r.image, n.applied
}

// install takes another's snapshot in place of the entries that it is of. What the
// node was asked is looked up in it: the entries with the answers never come here.
// (Not acquires: their answers out of a state promise nothing of the session.)
func (n *node) install(from *node) {
	if !n.up || from.imaged <= n.applied {
		return
	}
	n.state, n.applied = n.w.restore(from.image), from.imaged
	n.image, n.imaged = from.image, from.imaged
	n.compare()
	var left []asked
	for _, a := range n.pending {
		o, found := n.state.Lookup(a.key)
		if found != fsm.Answered || a.op == fsm.OpAcquire {
			left = append(left, a)
			continue
		}
		n.w.send(func() { a.by.hear(o) })
	}
	n.pending = left
}

// compare holds the chain against that of the first who came here.
func (n *node) compare() {
	if r := &n.w.log[n.applied-1]; n.state.Chain() != r.chain {
		n.w.fail("node %d has the chain %v, others %v", n.id, n.state.Chain(), r.chain)
	}
}

// apply runs the next entry, from its bytes.
func (n *node) apply() {
	r := &n.w.log[n.applied]
	n.applied++
	if err := fsm.DecodeEntry(r.bytes, &n.entry); err != nil {
		n.w.fail("entry %d: %v", r.index, err)
	}
	c := n.entry.Check
	if own, known := n.state.ChainAt(c.Index); known && own != c.Hash {
		n.w.fail("node %d had another history than the leader at entry %d", n.id, c.Index)
	}
	out := n.state.Apply(r.index, r.term, &n.entry)
	if r.chain.Index == 0 {
		r.chain = n.state.Chain()
		n.w.ledger.entry(n.state, r, &n.entry, out)
	}
	n.compare()
	for i := range out {
		n.tell(out[i])
	}
}

// tell sends an outcome to whom it is for: an answer by the nodes that were asked,
// who hear of it by their own replica or from the leader, and the rest to whoever
// lives the session. One that does not come is told again with a renewal.
func (n *node) tell(o fsm.Outcome) {
	w := n.w
	if o.Kind != fsm.OutcomeAnswer {
		for _, p := range w.processes {
			if p.session == o.Key.Session && (w.calm || w.chance(3)) {
				w.send(func() { p.hear(o) })
			}
		}
		return
	}
	n.answer(o)
	if w.reign != nil && w.reign.node == n {
		for _, other := range w.nodes {
			if other != n && len(other.pending) > 0 {
				w.send(func() { other.answer(o) })
			}
		}
	}
}

func (n *node) answer(o fsm.Outcome) {
	left := n.pending[:0]
	for _, a := range n.pending {
		if a.key == o.Key {
			n.w.send(func() { a.by.hear(o) })
		} else {
			left = append(left, a)
		}
	}
	n.pending = left
}

// ask takes a command of a process's and sends it on to the leader.
func (n *node) ask(c fsm.Command, by *process) {
	if !n.up {
		return
	}
	a := asked{c.Key(), c.Op, by}
	known := false
	for _, other := range n.pending {
		known = known || other == a
	}
	if !known {
		n.pending = append(n.pending, a)
	}
	if reign := n.w.reign; reign != nil && reign.node == n {
		reign.take(c)
	} else if reign != nil {
		n.w.send(func() { reign.take(c) })
	}
}
