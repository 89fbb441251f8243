package cluster

import (
	"math"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestRaftConfig(t *testing.T) {
	cfg := testConfig().withDefaults()
	notify := make(chan bool)
	c := raftConfig(&cfg, notify)
	if err := raft.ValidateConfig(c); err != nil {
		t.Fatal(err)
	}
	if c.HeartbeatTimeout != cfg.HeartbeatTimeout || c.ElectionTimeout != cfg.HeartbeatTimeout || c.LeaderLeaseTimeout != cfg.HeartbeatTimeout {
		t.Error("three timeouts are to be one:", c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout)
	}
	if c.MaxAppendEntries != 16 || c.PreVoteDisabled || c.BatchApplyCh || c.TrailingLogs != 1024 || c.LocalID != "n1" || c.NotifyCh == nil {
		t.Errorf("%+v", c)
	}
	if c.SnapshotThreshold != math.MaxUint64 {
		t.Error("the library would take snapshots by itself")
	}

	cfg.SnapshotInterval = time.Minute
	cfg.HeartbeatTimeout = heartbeatTimeoutMin
	c = raftConfig(&cfg, notify)
	if err := raft.ValidateConfig(c); err != nil {
		t.Fatal(err)
	}
	if c.SnapshotThreshold != 1 || c.SnapshotInterval != 30*time.Second {
		t.Error(c.SnapshotThreshold, c.SnapshotInterval)
	}
}
