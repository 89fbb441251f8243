package sim

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A reign is the time of one leader. It packs what comes in into entries and
// stamps them with machine time: from the committed takeover, by its own clock.
type reign struct {
	w         *world
	node      *node
	term      fsm.Term
	inbox     []fsm.Command
	clock     clock
	base      fsm.Instant   // the state's time at the takeover
	since     time.Duration // the clock then
	looked    time.Duration // the last time
	uncounted time.Duration
}

// rule has leaders come and go. What one that goes had taken is lost.
func (w *world) rule() {
	switch {
	case w.reign == nil:
		w.elect()
	case !w.calm && w.chance(10):
		w.reign = nil
	}
	w.after(w.between(50*time.Millisecond, 500*time.Millisecond), w.rule)
}

// elect makes a node the leader that is up, and has it apply all that is committed.
func (w *world) elect() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	w.term++
	if !n.up {
		return
	}
	r := &reign{w: w, node: n, term: w.term, clock: w.clock()}
	w.reign = r
	w.append(r.term, r.seal(0, fsm.Command{Op: fsm.OpTakeover, Nonce: w.nonce()}))
	for n.applied < len(w.log) {
		n.apply()
	}
	r.base = n.state.Now()
	r.since = r.clock.read(w.now)
	r.looked = r.since
	w.note("node %d leads in term %d", n.id, r.term)
	r.work()
}

func (w *world) nonce() fsm.Nonce { return fsm.Nonce{Hi: w.rng.Uint64(), Lo: w.rng.Uint64() | 1} }

func (r *reign) take(c fsm.Command) {
	if r.w.reign == r {
		r.inbox = append(r.inbox, c)
	}
}

// work proposes what came in.
func (r *reign) work() {
	r.w.after(r.w.between(5*time.Millisecond, 60*time.Millisecond), func() {
		if r.w.reign != r {
			return
		}
		stamp := r.stamp()
		due, any := r.node.state.NextDeadline()
		if len(r.inbox) > 0 || any && due <= stamp {
			r.propose(stamp)
		}
		if r.w.reign == r {
			r.work()
		}
	})
}

// stamp reads the clock. Sometimes what has passed is not counted, as after a
// stall; it never comes back.
func (r *reign) stamp() fsm.Instant {
	now := r.clock.read(r.w.now)
	if r.w.chance(20) {
		r.uncounted += now - r.looked
	}
	r.looked = now
	return r.base + fsm.Instant(now-r.since-r.uncounted)
}

// propose commits an entry, whole. Now and then the leader loses its office and
// gets it back between the stamp and the log: the entry stands in a later term than
// that in which it was stamped, and its time must not count.
func (r *reign) propose(stamp fsm.Instant) {
	entry := r.seal(stamp, r.inbox...)
	r.inbox = nil
	if !r.w.calm && r.w.chance(40) {
		r.w.term += 2
		r.w.append(r.w.term, r.reseal(entry, stamp))
		r.w.reign = nil
		r.node.apply()
		return
	}
	r.w.append(r.term, entry)
	r.node.apply()
}

// reseal stamps the entry with a time that is far ahead, if that is its fault.
func (r *reign) reseal(entry []byte, stamp fsm.Instant) []byte {
	var e fsm.Entry
	if err := fsm.DecodeEntry(entry, &e); err != nil {
		r.w.fail("entry: %v", err)
	}
	return r.seal(stamp.Add(fsm.Hour), e.Commands...)
}

func (r *reign) seal(stamp fsm.Instant, commands ...fsm.Command) []byte {
	b := fsm.AppendEntryHeader(nil)
	for i := range commands {
		b = fsm.AppendCommand(b, &commands[i])
	}
	return fsm.SealEntry(b, r.term, stamp, r.node.state.Chain(), len(commands))
}

// append commits an entry. Other entries, which are not the machine's, may stand
// between two of its own.
func (w *world) append(term fsm.Term, entry []byte) {
	index := fsm.Index(1)
	if len(w.log) > 0 {
		index = w.log[len(w.log)-1].index + fsm.Index(oneOf(w, 1, 1, 1, 2))
	}
	w.log = append(w.log, record{index: index, term: term, bytes: entry})
}
