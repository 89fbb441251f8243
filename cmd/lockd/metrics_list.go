package main

import "github.com/lockd-io/lockd/cluster"

// nodeMetrics is docs/metrics.md, in its order. A name is never given another
// meaning.
func nodeMetrics() []metric {
	type m = counts
	type yield = func(float64, ...string)
	return []metric{
		gauge("lockd_leader", "1 if this node leads and has taken over.", func(m *m) float64 { return truth(m.Leader) }),
		gauge("lockd_ready", "1 if this node serves.", func(m *m) float64 { return truth(m.Ready) }),
		gauge("lockd_raft_term", "Raft's current term.", func(m *m) float64 { return float64(m.Term) }),
		counter("lockd_leader_changes_total", "Times that this node saw another leader than the last.", func(m *m) float64 { return float64(m.LeaderChanges) }),
		gauge("lockd_voters", "Voters of the cluster, as this node knows it.", func(m *m) float64 { return float64(m.Voters) }),
		gauge("lockd_gossip_members", "Nodes that gossip tells of as alive, this one included.", func(m *m) float64 { return float64(m.GossipMembers) }),

		gauge("lockd_applied_index", "Last entry that this node has applied.", func(m *m) float64 { return float64(m.AppliedIndex) }),
		gauge("lockd_commit_index", "Last entry that this node knows to be committed.", func(m *m) float64 { return float64(m.CommitIndex) }),
		gauge("lockd_machine_time_seconds", "Elapsed time as the machine counts it.", func(m *m) float64 { return seconds(m.MachineTime) }),
		counter("lockd_machine_time_uncounted_seconds_total", "Time that this node did not count while it led.", func(m *m) float64 { return seconds(m.Uncounted) }),

		counter("lockd_entries_total", "Entries of the log that were applied.", func(m *m) float64 { return float64(m.Entries) }),
		counter("lockd_entry_bytes_total", "Their size.", func(m *m) float64 { return float64(m.EntryBytes) }),
		labelled("lockd_commands_total", "Commands in them.", "op", commandsOf),
		labelled("lockd_answers_total", "Answers to them.", "status", answersOf),
		labelled("lockd_expired_total", "What ended because its time was up.", "what", func(m *m, y yield) {
			y(float64(m.ExpiredSessions), "session")
			y(float64(m.ExpiredGrants), "grant")
			y(float64(m.ExpiredWaits), "wait")
		}),

		gauge("lockd_sessions", "Sessions that live.", func(m *m) float64 { return float64(m.Sessions) }),
		gauge("lockd_grants", "Grants, one for each name of those that have several.", func(m *m) float64 { return float64(m.Grants) }),
		gauge("lockd_waiters", "Acquires that wait in a queue.", func(m *m) float64 { return float64(m.Waiters) }),

		spans("lockd_proposal_seconds", "From proposing an entry until it is applied here, while this node led.", func(m *m) *cluster.Histogram { return &m.Proposals }),
		spans("lockd_log_write_seconds", "One write to the log, its flush to the disk included.", func(m *m) *cluster.Histogram { return &m.LogWrites }),
		labelled("lockd_snapshots_total", "Snapshots of the state.", "kind", func(m *m, y yield) {
			y(float64(m.SnapshotsTaken), "taken")
			y(float64(m.SnapshotsInstalled), "installed")
		}),
		gauge("lockd_apply_pause_max_seconds", "Longest time for which a snapshot kept entries from being applied.", func(m *m) float64 { return seconds(m.ApplyPauseMax) }),

		gauge("lockd_pending", "Commands that this node took and is not done with.", func(m *m) float64 { return float64(m.Pending) }),
		counter("lockd_pending_refused_total", "Commands that were refused because too many were pending.", func(m *m) float64 { return float64(m.PendingRefused) }),
		labelled("lockd_resent_total", "Commands that were sent to the leader again.", "cause", func(m *m, y yield) {
			y(float64(m.ResentRoute), "route")
			y(float64(m.ResentRefused), "refused")
			y(float64(m.ResentSilence), "silence")
			y(float64(m.ResentSnapshot), "snapshot")
		}),
		gauge("lockd_inbox_bytes", "Commands that wait for a place in an entry, while this node leads.", func(m *m) float64 { return float64(m.InboxBytes) }),
		counter("lockd_inbox_refused_total", "Frames and commands turned away because too many bytes waited.", func(m *m) float64 { return float64(m.InboxRefused) }),
		counter("lockd_proposals_refused_total", "Entries that raft refused, and that were proposed again.", func(m *m) float64 { return float64(m.ProposalsRefused) }),

		gauge("lockd_streams", "Streams of commands between nodes, in both directions.", func(m *m) float64 { return float64(m.Streams) }),
		gauge("lockd_attached_sessions", "Sessions whose events this node delivers.", func(m *m) float64 { return float64(m.Attached) }),
		counter("lockd_events_dropped_total", "Events that found their reader's channel full, and come again.", func(m *m) float64 { return float64(m.EventsDropped) }),

		gauge("lockd_client_connections", "Connections of clients that are open.", func(m *m) float64 { return float64(m.port.Clients) }),
		counter("lockd_connections_accepted_total", "Connections to this node's port, of clients and nodes.", func(m *m) float64 { return float64(m.port.Accepted) }),
		labelled("lockd_connections_closed_total", "Connections that nobody was found to serve.", "why", func(m *m, y yield) {
			y(float64(m.port.Evicted), "evicted")
			y(float64(m.port.Unknown), "unknown")
			y(float64(m.port.Refused), "refused")
		}),
	}
}
