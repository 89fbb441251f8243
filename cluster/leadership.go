package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// reignAgainAfter: a reign that ended by itself while raft still says that this
// node leads is tried again after this long.
const reignAgainAfter = 50 * time.Millisecond

// An office is who leads, as this node sees it. It does not change: a change
// is another office, and closes changed.
type office struct {
	id, address string // "" while nobody leads
	reign       *reign // not nil while this node leads
	changed     chan struct{}
}

// while is ctx for as long as the office does not change. done must be called,
// and waits for what while began.
func (o *office) while(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-o.changed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-over }
}

// A leadership watches raft's leadership. raft tells its gain and loss on a
// channel that blocks raft's main loop, so that one goroutine does nothing but
// drain it; and it may tell a gain without the loss before it, so that
// every gain is a new reign, with a new inbox, clock and takeover.
type leadership struct {
	self, address string
	leader        func() (id, address string) // raft's view
	begin         func() *reign
	ended         func() // after a reign: what other nodes sent it is lost

	mu      sync.Mutex // guards the fields below
	held    *reign     // the reign while raft says that this node leads
	office  *office
	stopped bool
	lastID  string        // the last leader
	changes uint64        // of it, so far
	running *reign        // whose uncounted time is not in the next yet
	past    time.Duration // uncounted

	next chan *reign // capacity 1: the newest reign to be run
}

func newLeadership(self, address string, leader func() (id, address string)) *leadership {
	return &leadership{
		self: self, address: address, leader: leader,
		office: &office{changed: make(chan struct{})},
		next:   make(chan *reign, 1),
	}
}

// current is who leads. It reads no more than a pointer.
func (l *leadership) current() *office {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.office
}

// watch drains raft's channels until over is closed, which must be after raft
// has shut down. moved says that raft's idea of the leader may have changed.
func (l *leadership) watch(gains <-chan bool, moved <-chan raft.Observation, over <-chan struct{}) {
	for {
		select {
		case gained := <-gains:
			l.change(gained)
		case <-moved:
			l.publish()
		case <-over:
			return
		}
	}
}

// change begins a reign, or ends the one there is.
func (l *leadership) change(gained bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changeLocked(gained)
}

func (l *leadership) changeLocked(gained bool) {
	if l.held != nil {
		close(l.held.stop)
		l.held = nil
	}
	if gained && !l.stopped {
		l.held = l.begin()
		select {
		case missed := <-l.next: // never run
			l.end(missed)
		default:
		}
		l.next <- l.held
	}
	l.publishLocked()
}

// stop ends the reign that there is, and lets none begin any more.
func (l *leadership) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.changeLocked(false)
}

// publish makes a new office of what is known, if it differs from the last.
func (l *leadership) publish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publishLocked()
}

func (l *leadership) publishLocked() {
	next := &office{reign: l.held, changed: make(chan struct{})}
	if l.held != nil {
		next.id, next.address = l.self, l.address
	} else if id, address := l.leader(); id != l.self { // else: just deposed, or about to be told
		next.id, next.address = id, address
	}
	old := l.office
	if next.id == old.id && next.address == old.address && next.reign == old.reign {
		return
	}
	if next.id != "" && next.id != l.lastID {
		l.changes++
		l.lastID = next.id
	}
	l.office = next
	close(old.changed)
}

// end refuses what is in the reign's hands.
func (l *leadership) end(r *reign) {
	r.inbox.close()
	l.ended()
}

// rule runs one reign after the other, never two at a time.
func (l *leadership) rule(ctx context.Context) {
	for {
		select {
		case r := <-l.next:
			l.reign(r)
		case <-ctx.Done():
			return
		}
	}
}

// counted is what is counted here: changes of the leader, and time that this
// node did not count while it led.
func (l *leadership) counted() (changes uint64, uncounted time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if uncounted = l.past; l.running != nil {
		uncounted += l.running.uncounted()
	}
	return l.changes, uncounted
}

// account makes r the reign that runs; nil is none.
func (l *leadership) account(r *reign) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running != nil {
		l.past += l.running.uncounted()
	}
	l.running = r
}

func (l *leadership) reign(r *reign) {
	l.account(r)
	err := r.run()
	l.account(nil)
	l.end(r)
	r.logger.Info("leading no more", "term", r.term, "uncounted", r.uncounted(), "why", err)
	again := time.NewTimer(reignAgainAfter)
	defer again.Stop()
	select {
	case <-r.stop:
		return
	case <-again.C:
	}
	// raft refused an entry and has not said that the office is lost. It is
	// about to, as a rule; if not, take over anew.
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == r {
		l.changeLocked(true)
	}
}
