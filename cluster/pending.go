package cluster

import (
	"context"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

const (
	// pendingMax: commands that wait for their answers at one node. It bounds
	// what a node gathers while nobody leads: at some 400 bytes each, 400 MiB.
	pendingMax = 1 << 20
	// rawInline: most commands encode to less, and then a pending is one
	// allocation.
	rawInline = 96
)

// errKeyReused: a caller's mistake. The machine would end the session for it; here
// the second command is refused and goes nowhere.
var errKeyReused = fmt.Errorf("cluster: %w: another command with the same number is under way", lockapi.ErrInvalid)

// A sender takes an encoded command towards the leader. It neither blocks nor
// keeps raw, and it may lose it (false: it surely did): whoever sends looks
// after the answer, not after the sending.
type sender interface {
	put(op fsm.Op, session fsm.SessionID, raw []byte) bool
}

// A route is where commands go at the moment. to is nil while nobody leads.
type route struct{ to sender }

// A caller waits for an answer. answer is called once, by whichever goroutine
// brings it, without locks held, and must not block.
type caller struct {
	answer func(fsm.Result, error)
	next   *caller
}

// A pending is a command that this node sent, or will when somebody leads, and
// whose answer it waits for. Several callers may wait for the same one.
type pending struct {
	key     fsm.Key
	op      fsm.Op
	session fsm.SessionID // that it speaks for, or 0
	sum     uint32
	raw     []byte // encoded; never changed
	// sent: given to a sender at least once. From then on its outcome is
	// unknown until it is answered.
	sent   bool
	sentAt time.Duration
	again  uint8 // sendings after the first, capped at resendDoublings
	shared bool  // a second caller has sent it, and may have gone since

	// into: only this node's own apply may answer, because a read wants the
	// state behind the answer too. It is put here before the caller is called.
	into **fsm.View

	// answered by the leader; kept until the own apply agrees.
	answered bool
	result   fsm.Result
	at       fsm.Index // the entry that holds what was answered
	pos      int       // and its place there

	callers    *caller
	first      caller   // the usual one, without an allocation
	prev, next *pending // in the ring of the unanswered, or nil
	inline     [rawInline]byte
}

// pendings are all commands of this node that wait for an answer. The ones
// still unanswered form a ring in the order of their last sending.
type pendings struct {
	mu       sync.Mutex // guards all below; never held while sending or answering
	byKey    map[fsm.Key]*pending
	head     pending       // of the ring
	progress time.Duration // when an answer last came
	applied  fsm.Index     // the last entry applied here
	closed   error         // why nothing is taken any more
	refused  uint64        // because of pendingMax, so far
	resent   [causes]uint64

	route atomic.Pointer[route]
	now   func() time.Duration
}

func newPendings(now func() time.Duration) *pendings {
	p := &pendings{byKey: make(map[fsm.Key]*pending), now: now}
	p.head.prev, p.head.next = &p.head, &p.head
	p.route.Store(&route{})
	return p
}

// A wait is one caller's place at a pending.
type wait struct {
	pending *pending
	caller  *caller
	first   bool // the caller is the one that brought the command
}

// submit registers a caller for c and sends c on. c's slices must not change
// any more. On an error the caller was not registered, and c was not sent; it is
// an OverloadError if there is no room for c here, or at the leader if that is
// this node. (A leader elsewhere that has no room refuses all that is on the
// stream, of which this node cannot tell what was taken: it sends it again.)
func (p *pendings) submit(c *fsm.Command, into **fsm.View, answer func(fsm.Result, error)) (wait, error) {
	at, to, err := p.add(c, into, answer)
	if err != nil || to == nil || to.put(at.pending.op, c.Session, at.pending.raw) {
		return at, err
	}
	if own, ok := to.(*inbox); ok && at.first && own.full() && p.retract(at) {
		return wait{}, errFull("bytes that wait for a place in the log", inboxBytesMax)
	}
	return at, nil
}

// retract takes back a command that its sender surely lost, unless another caller
// has joined, or it was sent again.
func (p *pendings) retract(at wait) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := at.pending
	if w.shared || w.callers != at.caller || w.again > 0 || w.answered {
		return false
	}
	p.drop(w)
	p.refused++
	return true
}

func (p *pendings) add(c *fsm.Command, into **fsm.View, answer func(fsm.Result, error)) (wait, sender, error) {
	key, sum := c.Key(), sumOf(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return wait{}, nil, p.closed
	}
	// The route is read under the lock, after whoever changes it has stored it
	// and before he collects under the lock what is to be sent again: nothing
	// falls between.
	to := p.route.Load().to
	w := p.byKey[key]
	if w != nil && !w.answered {
		if w.sum != sum {
			return wait{}, nil, errKeyReused
		}
		// Another caller, or one who doubts the path: send it once more.
		extra := &caller{answer: answer, next: w.callers}
		w.callers, w.shared = extra, true
		w.sent = w.sent || to != nil
		return wait{pending: w, caller: extra}, to, nil
	}
	if len(p.byKey) >= pendingMax {
		p.refused++
		return wait{}, nil, errFull("commands under way at this node", pendingMax)
	}
	w = &pending{key: key, op: c.Op, session: c.Session, sum: sum, into: into}
	w.raw = fsm.AppendCommand(w.inline[:0], c)
	w.first.answer = answer
	w.callers = &w.first
	if to != nil {
		w.sent, w.sentAt = true, p.now()
	}
	p.byKey[key] = w
	p.link(w)
	return wait{w, w.callers, true}, to, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf is over what c asks for; what it says about earlier answers may move
// on between one sending and the next. It tells apart two commands that a
// mistaken caller sends under one number, so that none is given the other's
// answer.
func sumOf(c *fsm.Command) uint32 {
	var room [rawInline]byte
	asked := *c
	asked.Mark, asked.Seen = 0, 0
	return crc32.Checksum(fsm.AppendCommand(room[:0], &asked), castagnoli)
}

// withdraw forgets a caller that does not wait any more. It is false if the
// caller has been, or is being, answered. When the last caller leaves, the
// command is not sent again. sent tells whether it ever was.
func (p *pendings) withdraw(leaver wait) (sent, withdrawn bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := leaver.pending
	if w == nil {
		return false, false
	}
	for at := &w.callers; *at != nil; at = &(*at).next {
		if *at != leaver.caller {
			continue
		}
		*at = leaver.caller.next
		if w.callers == nil {
			p.drop(w)
		}
		return w.sent, true
	}
	return w.sent, false
}

// drainEvery is how often drain looks.
const drainEvery = 5 * time.Millisecond

// drain takes no more commands, and waits until those that there are have been
// answered, or ctx or over ends. It tells how many are left.
func (p *pendings) drain(ctx context.Context, over <-chan struct{}) (left int) {
	p.mu.Lock()
	if p.closed == nil {
		p.closed = errNeverSent(lockapi.ErrClosed)
	}
	p.mu.Unlock()
	ticker := time.NewTicker(drainEvery)
	defer ticker.Stop()
	for left = p.unanswered(); left > 0; left = p.unanswered() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return left
		case <-over:
			return left
		}
	}
	return 0
}

// unanswered counts the commands that somebody waits for.
func (p *pendings) unanswered() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.byKey {
		if w.callers != nil {
			n++
		}
	}
	return n
}

// close answers everybody that their outcome is unknown, or that the command
// was never sent, because of why; and so everybody who comes later.
func (p *pendings) close(why error) {
	var sent, unsent answers
	p.mu.Lock()
	if p.closed == nil {
		p.closed = errNeverSent(why)
	}
	sent.err, unsent.err = errOutcomeUnknown(why), p.closed
	for _, w := range p.byKey {
		if w.sent {
			sent.add(w.callers, fsm.Result{})
		} else {
			unsent.add(w.callers, fsm.Result{})
		}
		p.drop(w)
	}
	p.mu.Unlock()
	sent.tell()
	unsent.tell()
}

// counted fills in what is counted here.
func (p *pendings) counted(to *Metrics) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to.Pending, to.PendingRefused = len(p.byKey), p.refused
	to.ResentRoute, to.ResentRefused = p.resent[byRoute], p.resent[byRefusal]
	to.ResentSilence, to.ResentSnapshot = p.resent[bySilence], p.resent[bySnapshot]
}

func (p *pendings) link(w *pending) {
	last := p.head.prev
	last.next, w.prev, w.next, p.head.prev = w, last, &p.head, w
}

func (p *pendings) unlink(w *pending) {
	if w.next != nil {
		w.prev.next, w.next.prev = w.next, w.prev
		w.prev, w.next = nil, nil
	}
}

func (p *pendings) drop(w *pending) {
	p.unlink(w)
	w.callers = nil
	if p.byKey[w.key] == w {
		delete(p.byKey, w.key)
	}
}
