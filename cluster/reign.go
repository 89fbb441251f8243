package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// entryOverhead is room for what an entry has besides its commands.
	entryOverhead = 64
	// sweepEvery bounds how often a leader proposes an entry only because
	// something in the machine is due: a thousand waits that end in different
	// milliseconds are then fifty entries a second, not a thousand.
	sweepEvery = 20 * time.Millisecond
	// retryAfter is how long a leader waits to propose again what raft refused
	// without deposing it.
	retryAfter = 20 * time.Millisecond
	// refusedMax: a leader that raft refuses to serve for this many heartbeat
	// timeouts without deposing it never comes out of it (raft#696). A transfer
	// that comes to nothing takes two.
	refusedMax = 10
)

// errDeposed: the reign is over. What it had in hand is proposed by nobody.
var errDeposed = errors.New("cluster: this node does not lead any more")

// A reign is one term of leadership, from the moment this node hears that it
// leads to the moment it hears that it does not: the inbox, the clock, and the
// one goroutine that proposes. A leader that lost its office has nothing to say
// OK with: it answers only what a majority committed and this node applied.
type reign struct {
	machine *machine
	inbox   *inbox
	propose func(entry []byte) (*applied, error) // waits until applied, or fails
	now     func() time.Duration
	fail    func(error)
	stop    chan struct{} // closed when the office is lost
	logger  *slog.Logger

	term     fsm.Term // of takeover; every stamp of this reign is of this term
	patience time.Duration

	clockMu sync.Mutex // guards clock: the ticker looks at it too
	clock   reignClock

	// The proposer's own:
	facts   facts         // as of the last entry
	backlog batch         // taken from the inbox
	next    int           // in it
	swept   time.Duration // when something due was last proposed for
	nudge   bool          // another node waits to apply the last entry
	serving map[fsm.SessionID]*stream
}

func newReign(m *machine, propose func([]byte) (*applied, error), now func() time.Duration,
	patience time.Duration, fail func(error), logger *slog.Logger) *reign {
	return &reign{
		machine: m, inbox: newInbox(now, m.company), propose: propose, now: now, fail: fail,
		stop: make(chan struct{}), logger: logger, patience: patience,
		serving: make(map[fsm.SessionID]*stream),
	}
}

// run reigns until the office is lost. It returns errDeposed, or what raft
// refused the last entry with.
func (r *reign) run() error {
	select {
	case <-r.stop:
		return errDeposed
	default:
	}
	r.machine.reigning.Store(true)
	defer r.machine.reigning.Store(false)
	if err := r.takeover(); err != nil {
		return err
	}
	var ticker sync.WaitGroup
	over := make(chan struct{})
	ticker.Go(func() { r.tick(over) })
	defer ticker.Wait()
	defer close(over)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-r.stop:
			return errDeposed
		default:
		}
		wait, idle := r.gather()
		if !idle {
			if err := r.commit(); err != nil {
				return err
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-r.inbox.wake:
		case <-timer.C:
		case <-r.stop:
		}
	}
}

// takeover commits this reign's first command. Its outcome gives the term of
// its own entry and the machine's time at it; only then is the monotonic clock
// read, and nothing is stamped before that. The entry itself is of no term, so
// that it moves no time, whoever commits it (T3).
func (r *reign) takeover() error {
	command := fsm.Command{Op: fsm.OpTakeover, Nonce: randomNonce()}
	body := fsm.AppendCommand(fsm.AppendEntryHeader(nil), &command)
	done, err := r.insist(func() []byte { return fsm.SealEntry(body, 0, 0, fsm.Check{}, 1) })
	if err != nil {
		return err
	}
	for i := range done.outcomes {
		if o := &done.outcomes[i]; o.Key == command.Key() {
			r.term, r.facts = o.Result.Term, done.facts
			r.clock = newReignClock(o.Result.At, r.now(), r.patience)
			r.logger.Info("leading", "term", r.term, "index", o.Result.Index)
			return nil
		}
	}
	return errors.New("cluster: a takeover was applied and not answered")
}

// tick looks at the clock when nothing else does, so that a pause of the
// process shows as one long interval and is not counted (T5).
func (r *reign) tick(over chan struct{}) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.look()
		case <-over:
			return
		}
	}
}

func (r *reign) look() fsm.Instant {
	r.clockMu.Lock()
	defer r.clockMu.Unlock()
	return r.clock.look(r.now())
}

func (r *reign) settle() {
	r.clockMu.Lock()
	defer r.clockMu.Unlock()
	r.clock.settle(r.now())
}

// uncounted is how much of this reign's time was not counted.
func (r *reign) uncounted() time.Duration {
	r.clockMu.Lock()
	defer r.clockMu.Unlock()
	return r.clock.uncounted
}

// gather makes sure that there is something to propose, or tells how long
// there need not be.
func (r *reign) gather() (wait time.Duration, idle bool) {
	if r.next < len(r.backlog.items) {
		return 0, false
	}
	r.backlog.reset()
	r.next = 0
	taken, again := r.inbox.take(&r.backlog)
	if taken || r.nudge {
		return 0, false
	}
	wait = time.Hour
	now := r.now()
	if again > 0 {
		wait = again - now
	}
	if r.facts.hasDue {
		if r.facts.due <= r.facts.now {
			return 0, false // more was due in the last entry than one may expire
		}
		due := time.Duration(r.facts.due.Sub(r.look()))
		due = max(due, r.swept+sweepEvery-now)
		if due <= 0 {
			r.swept = now
			return 0, false // an entry without commands, for its time
		}
		wait = min(wait, due)
	}
	return max(wait, 0), true
}

// commit proposes the next entry, waits until it is applied, and returns the
// outcomes to where the commands came from. One entry is under way at a time;
// what comes in meanwhile is the next one.
func (r *reign) commit() error {
	items, raw := r.cut()
	body := make([]byte, 0, entryOverhead+len(raw))
	body = append(fsm.AppendEntryHeader(body), raw...)
	r.nudge = false
	for _, it := range items {
		r.serve(it.session, it.origin)
		// A read waits for the apply at its own node, which learns of the commit
		// with the next append: let there be one, instead of 50 to 100 ms.
		r.nudge = r.nudge || it.read && it.origin != nil
	}
	done, err := r.insist(func() []byte {
		// Nothing is read or added after the stamp (T2).
		r.clockMu.Lock()
		defer r.clockMu.Unlock()
		return fsm.SealEntry(body, r.term, r.clock.propose(r.now()), r.facts.chain, len(items))
	})
	r.settle()
	if err != nil {
		return err
	}
	r.facts = done.facts
	r.spread(done.facts.applied, done.outcomes, items)
	return nil
}

// cut takes as many commands off the backlog as fit one entry.
func (r *reign) cut() (items []item, raw []byte) {
	all := r.backlog.items
	from := 0
	if r.next > 0 {
		from = all[r.next-1].end
	}
	end := r.next
	for end < len(all) && end-r.next < fsm.CommandsMax && all[end].end-from <= fsm.EntrySizeMax-entryOverhead {
		end++
	}
	items = all[r.next:end]
	if len(items) > 0 {
		raw = r.backlog.raw[from:items[len(items)-1].end]
	}
	r.next = end
	return items, raw
}

// insist proposes, again and again while raft refuses without deposing: a
// transfer of the leadership that comes to nothing does that. The entry is
// sealed anew each time, since its stamp must not be old.
func (r *reign) insist(seal func() []byte) (*applied, error) {
	begun := r.now()
	for {
		done, err := r.propose(seal())
		switch fateOf(err) {
		case fateApplied:
			return done, nil
		case fateRefused:
		default:
			return nil, err
		}
		if refused := r.now() - begun; refused > refusedMax*r.patience {
			r.fail(fmt.Errorf("%w: refused for %v: %w", ErrStuck, refused, err))
			return nil, err
		}
		retry := time.NewTimer(retryAfter)
		select {
		case <-retry.C:
		case <-r.stop:
			retry.Stop()
			return nil, errDeposed
		}
	}
}
