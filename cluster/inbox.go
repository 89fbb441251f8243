package cluster

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// inboxBytesMax: what waits for a place in an entry at a leader. Beyond it
	// the leader refuses, and whoever sent it sends it again later.
	inboxBytesMax = 64 << 20
	// inboxKeepMax: buffers over this size are left to the collector.
	inboxKeepMax = 1 << 20
	// gatherMax: renewals wait this long for company at most, or a twentieth
	// of the TTL. They are the only commands that wait for a timer.
	gatherMax = 250 * time.Millisecond
	// gatherParts is that twentieth.
	gatherParts = 20
)

// An item is one encoded command in an inbox.
type item struct {
	end     int     // of its bytes in the buffer
	origin  *stream // where its answer goes too; nil is this node
	session fsm.SessionID
	sum     uint32 // sumOf; 0 for this node's own
	read    bool
}

// A batch is commands in the order of their arrival, back to back, so that a
// run of them enters an entry as one copy.
type batch struct {
	raw   []byte
	items []item
}

func (b *batch) reset() {
	if cap(b.raw) > inboxKeepMax {
		*b = batch{}
		return
	}
	clear(b.items) // streams
	b.raw, b.items = b.raw[:0], b.items[:0]
}

// An inbox is what waits at a leader for the next entry. Everybody puts, the
// reign takes.
type inbox struct {
	mu     sync.Mutex // guards the fields below; never held across I/O
	batch  batch
	urgent bool          // something in it does not wait for company
	due    time.Duration // when the renewals in it have waited enough; valid if not urgent
	closed bool

	wake chan struct{} // capacity 1: look at the inbox
	now  func() time.Duration
	// company is how long a session's renewal may wait for others.
	company func(fsm.SessionID) time.Duration
	// forming tells that what is committed now may lie on too few disks for
	// clients to be told so; nil if that cannot be.
	forming func() bool
	// refused counts what there was no room for; nil: nobody asks.
	refused *atomic.Uint64
}

func newInbox(now func() time.Duration, company func(fsm.SessionID) time.Duration) *inbox {
	return &inbox{wake: make(chan struct{}, 1), now: now, company: company}
}

// put implements sender: a command of this node.
func (b *inbox) put(op fsm.Op, session fsm.SessionID, raw []byte) bool {
	if b.early(op) {
		return false
	}
	one := [1]item{{end: len(raw), session: session}}
	var wait time.Duration
	if op == fsm.OpRenew {
		wait = b.company(session)
	}
	return b.add(raw, one[:], wait)
}

// early tells that a command must come again when the cluster has formed.
func (b *inbox) early(op fsm.Op) bool {
	return op != fsm.OpMember && op != fsm.OpRead && b.forming != nil && b.forming()
}

// putAll takes the commands that came in one frame, which must be valid. It is
// false if there is no room, no reign any more, or no majority yet: then none was
// taken, and none will be proposed.
func (b *inbox) putAll(origin *stream, commands []fsm.Command) bool {
	if len(commands) == 0 {
		return true
	}
	var (
		raw   []byte
		items = make([]item, 0, len(commands))
		wait  = gatherMax
	)
	for i := range commands {
		c := &commands[i]
		if b.early(c.Op) {
			return false
		}
		raw = fsm.AppendCommand(raw, c)
		items = append(items, item{
			end: len(raw), origin: origin, session: c.Session, sum: sumOf(c), read: c.Op == fsm.OpRead,
		})
		if c.Op != fsm.OpRenew {
			wait = 0
		} else if wait > 0 {
			wait = min(wait, b.company(c.Session))
		}
	}
	return b.add(raw, items, wait)
}

// add takes commands that may wait for others that long. It copies.
func (b *inbox) add(raw []byte, items []item, wait time.Duration) bool {
	b.mu.Lock()
	if full := len(b.batch.raw)+len(raw) > inboxBytesMax; full || b.closed {
		b.mu.Unlock()
		if full && b.refused != nil {
			b.refused.Add(1)
		}
		return false
	}
	ring := b.scheduleLocked(wait)
	base := len(b.batch.raw)
	b.batch.raw = append(b.batch.raw, raw...)
	for _, it := range items {
		it.end += base
		b.batch.items = append(b.batch.items, it)
	}
	b.mu.Unlock()
	if ring {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// scheduleLocked notes when the next command is to leave, and tells whether
// the reign must know.
func (b *inbox) scheduleLocked(wait time.Duration) bool {
	switch due := b.now() + min(wait, gatherMax); {
	case b.urgent:
		return false
	case wait <= 0:
		b.urgent = true
		return true
	case len(b.batch.items) > 0 && due >= b.due:
		return false
	default:
		b.due = due
		return true
	}
}

// take swaps the inbox's content for the empty batch to, if anything in it is
// to leave now. Otherwise it tells when to look again, 0 being when woken.
func (b *inbox) take(to *batch) (taken bool, again time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.batch.items) == 0 {
		return false, 0
	}
	if !b.urgent && b.now() < b.due {
		return false, b.due
	}
	*to, b.batch = b.batch, *to
	b.urgent = false
	return true, 0
}

// full tells that there is no room for a command of a usual size.
func (b *inbox) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.closed && len(b.batch.raw) > inboxBytesMax-fsm.EntrySizeMax
}

// size is how many bytes wait.
func (b *inbox) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.batch.raw)
}

// close refuses everything from now on. What is left is proposed by nobody.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batch, b.closed = batch{}, true
}
