package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
)

// A machine is the fsm.State of this node behind raft's FSM. This file
// and machine_snapshot.go alone know both. Apply, Snapshot and Restore are raft's;
// they come from one goroutine.
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
