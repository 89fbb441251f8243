package cluster

import (
	"math"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// appendEntriesMax: entries of one message. At most 256 KiB each, they are
	// 4 MiB that a follower writes before it answers the next heartbeat.
	appendEntriesMax = 16
	// snapshotCheckNever is as seldom as the library can be made to look by
	// itself whether a snapshot is due.
	snapshotCheckNever = 1000 * time.Hour
)

// raftConfig is how this project runs the library. cfg has its defaults.
// notify must be drained by a goroutine that does nothing else: raft's main loop
// blocks on it.
func raftConfig(cfg *Config, notify chan<- bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(cfg.ID)
	c.NotifyCh = notify
	c.Logger = newHCLogger(cfg.Logger)

	// One patience for all three: heartbeats wait behind a follower's fsync
	// here (see raftTransport), and a lease shorter than an election timeout
	// would depose a leader for what no follower minds.
	c.HeartbeatTimeout = cfg.HeartbeatTimeout
	c.ElectionTimeout = cfg.HeartbeatTimeout
	c.LeaderLeaseTimeout = cfg.HeartbeatTimeout

	c.MaxAppendEntries = appendEntriesMax
	c.TrailingLogs = cfg.TrailingLogs
	c.ShutdownOnRemove = true
	c.PreVoteDisabled = false
	c.BatchApplyCh = false // it would make a refused entry's fate unknown
	c.NoLegacyTelemetry = true

	// Snapshots by bytes are asked for by the machine, which sees the bytes. By
	// time they are the library's: it looks after one to two of its intervals.
	c.SnapshotThreshold = math.MaxUint64
	c.SnapshotInterval = snapshotCheckNever
	if cfg.SnapshotInterval > 0 {
		c.SnapshotThreshold = 1
		c.SnapshotInterval = cfg.SnapshotInterval / 2
	}
	return c
}
