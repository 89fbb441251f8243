package cluster

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
)

// installsMax: snapshots installed in a row without an entry applied in
// between. One more means that raft installs for ever (raft#697).
const installsMax = 5

// A machine is the fsm.State of this node behind raft's FSM. It is the only
// file that knows both. Apply, Snapshot and Restore are raft's; they come from
// one goroutine.
type machine struct {
	mu    sync.Mutex // guards state, facts and tally; held during an Apply
	state *fsm.State
	facts facts
	tally tally

	// raft's goroutine only:
	entry    fsm.Entry // scratch of Apply
	tell     answers   // scratch of Apply
	installs int       // snapshots since the last entry
	size     int64     // bytes since the last snapshot

	level    atomic.Uint32 // facts.level, without the lock
	index    atomic.Uint64 // facts.applied, likewise
	reigning atomic.Bool   // this node proposes: Apply returns its outcomes
	large    chan struct{} // capacity 1: a snapshot is due
	taken    *atomic.Uint64

	snapshotBytes int64
	pendings      *pendings
	subs          *subscriptions
	fail          func(error) // latches the node; does not block
	failed        func() bool
	journal       func(fsm.Check)
	logger        *slog.Logger
}

// facts are what others than Apply want to know of the state. They are
// published after each entry and each snapshot.
type facts struct {
	applied fsm.Index
	now     fsm.Instant
	level   fsm.Level
	chain   fsm.Check
	due     fsm.Instant // an entry at this time has something to expire
	hasDue  bool
}

// An applied entry, as the reign that proposed it sees it.
type applied struct {
	outcomes []fsm.Outcome
	facts    facts
}

// errFailed is what raft is told of entries that come after the node failed.
var errFailed = errors.New("cluster: the node has failed")

func newMachine(p *pendings, s *subscriptions, fail func(error), failed func() bool, cfg *Config) *machine {
	m := &machine{
		state: fsm.New(), pendings: p, subs: s, fail: fail, failed: failed,
		large: make(chan struct{}, 1), taken: new(atomic.Uint64), snapshotBytes: cfg.SnapshotBytes,
		journal: cfg.Journal, logger: cfg.Logger,
	}
	m.publishLocked()
	return m
}

func (m *machine) publishLocked() {
	m.facts.applied, m.facts.now, m.facts.level = m.state.Applied(), m.state.Now(), m.state.Level()
	m.facts.chain = m.state.Chain()
	m.facts.due, m.facts.hasDue = m.state.NextDeadline()
	m.level.Store(uint32(m.facts.level))
	m.index.Store(uint64(m.facts.applied))
}

// levelNow is the feature level, without waiting for an entry that is being
// applied.
func (m *machine) levelNow() fsm.Level { return fsm.Level(m.level.Load()) }

// appliedNow is the last entry applied, likewise.
func (m *machine) appliedNow() fsm.Index { return fsm.Index(m.index.Load()) }

// known is what is known as of the last entry.
func (m *machine) known() facts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.facts
}

// view freezes the state as of the last entry.
func (m *machine) view() *fsm.View {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.View()
}

// member is what the state knows of a node.
func (m *machine) member(id string) (fsm.Member, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Member(id)
}

// company is how long the session's renewal may wait for company at a leader: a
// twentieth of its TTL.
func (m *machine) company(id fsm.SessionID) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Duration(m.state.TTL(id)) / gatherParts
}

// Apply runs a committed entry. A node that has failed applies nothing more:
// what comes after an entry that it could not apply would be answered from a
// state that never was.
func (m *machine) Apply(log *raft.Log) any {
	if m.failed() {
		return errFailed
	}
	outcomes, facts, err := m.advance(log)
	if err == nil {
		m.journal(facts.chain)
		err = m.pendings.fromApply(fsm.Index(log.Index), outcomes, m.entry.Commands, m.view, &m.tell)
	}
	if err != nil {
		m.fail(err)
		m.tell.spoil(err)
		m.tell.tell()
		return err
	}
	m.subs.deliver(outcomes, fromApply)
	m.tell.tell()
	m.grown(len(log.Data))
	if m.reigning.Load() {
		return &applied{outcomes: slices.Clone(outcomes), facts: facts}
	}
	return nil
}

// advance brings the state past the entry. The outcomes are valid until the
// next call.
func (m *machine) advance(log *raft.Log) (_ []fsm.Outcome, _ facts, err error) {
	if err := fsm.DecodeEntry(log.Data, &m.entry); err != nil {
		return nil, facts{}, fmt.Errorf("%w: entry %d: %w", ErrCorrupt, log.Index, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		// A panic in the pure machine is a bug in it, and leaves the state half
		// changed. The host process need not die of it; this node must.
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: applying entry %d panicked: %v\n%s", ErrCorrupt, log.Index, p, debug.Stack())
		}
	}()
	if err := m.verifyLocked(m.entry.Check); err != nil {
		return nil, facts{}, err
	}
	outcomes := m.state.Apply(fsm.Index(log.Index), fsm.Term(log.Term), &m.entry)
	m.publishLocked()
	m.tally.count(len(log.Data), m.entry.Commands, outcomes)
	m.installs = 0
	return outcomes, m.facts, nil
}

// verifyLocked compares the proposer's hash of outcomes with this node's own
// at the same entry.
func (m *machine) verifyLocked(c fsm.Check) error {
	if own, known := m.state.ChainAt(c.Index); known && own != c.Hash {
		return fmt.Errorf("%w: outcomes up to entry %d hash to %016x here, to %016x at the leader",
			ErrDiverged, c.Index, own, c.Hash)
	}
	return nil
}

// Snapshot freezes the state. A node that has failed makes none: raft believes
// that it holds more than it does.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if m.failed() {
		return nil, errFailed
	}
	m.size = 0
	begun := time.Now()
	view := m.view()
	m.paused(time.Since(begun))
	return frozen{view, m.taken}, nil
}

// paused notes for how long no entry could be applied.
func (m *machine) paused(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tally.pause = max(m.tally.pause, d)
}

// counted fills in what the machine counts.
func (m *machine) counted(to *Metrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.tally
	to.AppliedIndex, to.MachineTime = m.facts.applied, time.Duration(m.facts.now)
	to.Entries, to.EntryBytes, to.Commands, to.Answers = t.entries, t.bytes, t.commands, t.answers
	to.ExpiredSessions, to.ExpiredGrants, to.ExpiredWaits = t.sessions, t.grants, t.waits
	to.SnapshotsInstalled, to.ApplyPauseMax = t.installed, t.pause
	to.Sessions, to.Grants, to.Waiters = m.state.Sizes()
}

// grown counts the bytes since the last snapshot, and asks for the next.
func (m *machine) grown(bytes int) {
	if m.size += int64(bytes); m.size < m.snapshotBytes {
		return
	}
	select {
	case m.large <- struct{}{}:
	default:
	}
}

// Restore replaces the state by a snapshot: at start, or because this node was
// so far behind that the leader has not got the entries any more. Whoever waits
// here for one of those entries is answered from the snapshot, or sends again.
func (m *machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	if m.failed() {
		return errFailed
	}
	if m.installs++; m.installs > installsMax {
		return m.failing(fmt.Errorf("%w: %d snapshots installed and no entry applied after any of them",
			ErrStuck, m.installs))
	}
	begun := time.Now()
	state, err := restore(r)
	if err != nil {
		return m.failing(fmt.Errorf("%w: snapshot: %w", ErrCorrupt, err))
	}
	m.mu.Lock()
	m.state = state
	m.publishLocked()
	m.tally.installed++
	m.mu.Unlock()
	m.journal(state.Chain())
	m.size = 0
	m.logger.Info("snapshot restored", "index", state.Applied())

	m.pendings.fromSnapshot(state.Applied(), m.lookup, &m.tell)
	m.subs.restored(m)
	m.tell.tell()
	m.pendings.resend(bySnapshot)
	m.paused(time.Since(begun))
	return nil
}

func restore(content io.Reader) (*fsm.State, error) {
	if err := skipLabel(content); err != nil {
		return nil, err
	}
	return fsm.Restore(content)
}

func (m *machine) failing(err error) error {
	m.fail(err)
	return err
}

// lookup finds what became of a command that is no acquire, as of the last entry.
func (m *machine) lookup(k fsm.Key) (fsm.Outcome, fsm.Found) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Lookup(k)
}

// undelivered lists what the session has not acknowledged. ended tells that
// the session is over.
func (m *machine) undelivered(id fsm.SessionID) (events []fsm.Outcome, ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	events, _ = m.state.Undelivered(id)
	return events, m.state.Ended(id)
}

// frozen is a state on its way into a snapshot.
type frozen struct {
	view  *fsm.View
	taken *atomic.Uint64
}

// Persist writes the snapshot; on an error there is none.
func (f frozen) Persist(sink raft.SnapshotSink) error {
	var err error
	if l, ok := sink.(labelled); ok {
		err = l.writeLabel()
	}
	if err == nil {
		_, err = f.view.WriteTo(sink)
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	err = sink.Close()
	if err == nil {
		f.taken.Add(1)
	}
	return err
}

// Release has nothing to release: a View is memory.
func (f frozen) Release() {}
