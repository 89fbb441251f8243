package cluster

import (
	"sync/atomic"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// Bounds of the arrays of Metrics, a little above what there is, so that another
// op or status is no other type.
const (
	opsCounted      = 32
	statusesCounted = 64
)

// Metrics are what a node counts. Counters begin at zero when the node is opened
// and never fall; gauges are as of the call. What is applied is the same at every
// node; what is proposed happens at the leader alone. Each comment begins with
// the name under which GET /metrics shows the field, and its type.
type Metrics struct {
	// lockd_leader (gauge, 0 or 1): this node leads and has taken over.
	Leader bool
	// lockd_ready (gauge, 0 or 1): this node serves, see Node.Ready.
	Ready bool
	// lockd_raft_term (gauge): raft's current term.
	Term fsm.Term
	// lockd_leader_changes_total (counter): how often this node saw another leader
	// than the last, the first one included.
	LeaderChanges uint64
	// lockd_voters (gauge): voters in raft's latest configuration here.
	Voters int
	// lockd_gossip_members (gauge): nodes that gossip tells of as alive, this one
	// included; 0 without gossip.
	GossipMembers int

	// lockd_applied_index (gauge): the last entry that this node has applied.
	AppliedIndex fsm.Index
	// lockd_commit_index (gauge): the last entry that it knows to be committed.
	// The difference waits to be applied.
	CommitIndex fsm.Index
	// lockd_machine_time_seconds (gauge): elapsed time as the machine counts it.
	MachineTime time.Duration
	// lockd_machine_time_uncounted_seconds_total (counter): time that this node did
	// not count while it led: pauses of its process, stalls of its log. It makes
	// everything be held longer.
	Uncounted time.Duration

	// lockd_entries_total (counter): entries applied.
	Entries uint64
	// lockd_entry_bytes_total (counter, bytes): their size. Divided by entries, the
	// mean size of one.
	EntryBytes uint64
	// lockd_commands_total{op} (counter): commands in them, by fsm.Op. Their sum
	// divided by entries is how many a batch has.
	Commands [opsCounted]uint64
	// lockd_answers_total{status} (counter): the answers to them, by fsm.Status.
	Answers [statusesCounted]uint64
	// lockd_expired_total{what="session"} (counter): sessions that died of their TTL.
	ExpiredSessions uint64
	// lockd_expired_total{what="grant"} (counter): grants that met their MaxHold.
	ExpiredGrants uint64
	// lockd_expired_total{what="wait"} (counter): waits whose time was up.
	ExpiredWaits uint64

	// lockd_sessions (gauge): sessions that live.
	Sessions int
	// lockd_grants (gauge): grants, one for each name of those that have several.
	Grants int
	// lockd_waiters (gauge): acquires that wait in a queue.
	Waiters int

	// lockd_proposal_seconds (histogram): from handing an entry to raft until it is
	// committed and applied here; of this node while it led.
	Proposals Histogram
	// lockd_log_write_seconds (histogram): one write to the log, its flush to the
	// disk included.
	LogWrites Histogram

	// lockd_snapshots_total{kind="taken"} (counter): snapshots written.
	SnapshotsTaken uint64
	// lockd_snapshots_total{kind="installed"} (counter): states replaced by a
	// snapshot: at start, or because this node was too far behind for entries.
	SnapshotsInstalled uint64
	// lockd_apply_pause_max_seconds (gauge): the longest that taking or installing a
	// snapshot kept entries from being applied, since the node was opened.
	ApplyPauseMax time.Duration

	// lockd_pending (gauge): commands that this node took and has not answered, and
	// those that the leader has answered and that are not applied here yet.
	Pending int
	// lockd_pending_refused_total (counter): commands that callers of this node were
	// refused with an OverloadError.
	PendingRefused uint64
	// lockd_resent_total{cause="route"} (counter): commands sent again because
	// there was a new leader, a new term or a new stream.
	ResentRoute uint64
	// lockd_resent_total{cause="refused"} (counter): because the leader sent a
	// refusal.
	ResentRefused uint64
	// lockd_resent_total{cause="silence"} (counter): because they were without
	// progress for a second or more.
	ResentSilence uint64
	// lockd_resent_total{cause="snapshot"} (counter): because a snapshot was
	// installed that may stand for their entry, and does not tell their answer.
	ResentSnapshot uint64

	// lockd_inbox_bytes (gauge, bytes): commands that wait for a place in an entry;
	// 0 unless this node leads.
	InboxBytes int
	// lockd_inbox_refused_total (counter): frames and commands that this node turned
	// away while it led, because too many bytes waited.
	InboxRefused uint64
	// lockd_proposals_refused_total (counter): entries that raft refused without
	// deposing this node, and that were proposed again.
	ProposalsRefused uint64

	// lockd_streams (gauge): forward streams, in both directions.
	Streams int
	// lockd_attached_sessions (gauge): sessions whose events this node delivers.
	Attached int
	// lockd_events_dropped_total (counter): events that found their reader's channel
	// full. They stay in the state, and come again with the next renewal.
	EventsDropped uint64
}

// counters are what no part of the node counts under a lock of its own.
type counters struct {
	proposals    histogram
	logWrites    histogram
	taken        atomic.Uint64
	inboxRefused atomic.Uint64
	again        atomic.Uint64 // proposals
}

// A tally is what the machine counts of what it applies. It is guarded by the
// machine's lock, which is held then anyway.
type tally struct {
	entries, bytes uint64
	commands       [opsCounted]uint64
	answers        [statusesCounted]uint64
	sessions       uint64 // expired, as the next two
	grants, waits  uint64
	installed      uint64
	pause          time.Duration // the longest
}

// count takes in an entry that was applied.
func (t *tally) count(bytes int, commands []fsm.Command, outcomes []fsm.Outcome) {
	t.entries++
	t.bytes += uint64(bytes)
	for i := range commands {
		t.commands[min(int(commands[i].Op), opsCounted-1)]++
	}
	for i := range outcomes {
		o := &outcomes[i]
		switch o.Kind {
		case fsm.OutcomeAnswer:
			t.answers[min(int(o.Result.Status), statusesCounted-1)]++
		case fsm.OutcomeGranted:
			if o.Result.Status == fsm.StatusTimeout {
				t.waits++
			}
		case fsm.OutcomeLoss:
			if o.Result.Status == fsm.StatusMaxHold {
				t.grants++
			}
		case fsm.OutcomeEnded:
			if o.Result.Status == fsm.StatusSessionGone {
				t.sessions++
			}
		}
	}
}

// Metrics reads the counters. It may wait for an entry that is being applied.
func (n *Node) Metrics() Metrics {
	at := n.leadership.current()
	m := Metrics{
		Leader: at.reign != nil, Ready: n.Ready() == nil, Term: fsm.Term(n.raft.CurrentTerm()),
		CommitIndex: fsm.Index(n.raft.CommitIndex()), Proposals: n.counters.proposals.read(),
		LogWrites: n.counters.logWrites.read(), SnapshotsTaken: n.counters.taken.Load(),
		InboxRefused: n.counters.inboxRefused.Load(), ProposalsRefused: n.counters.again.Load(),
		Streams: n.server.count(), Voters: len(n.voters()),
	}
	if n.gossip != nil {
		m.GossipMembers = len(n.gossip.members())
	}
	if at.reign != nil {
		m.InboxBytes = at.reign.inbox.size()
	}
	if n.link.stream.Load() != nil {
		m.Streams++
	}
	m.LeaderChanges, m.Uncounted = n.leadership.counted()
	n.machine.counted(&m)
	n.pendings.counted(&m)
	n.subs.counted(&m)
	return m
}
