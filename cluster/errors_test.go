package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// What surely is not in any log is refused or deposed; all else is unknown.
var fates = []struct {
	err  error
	fate fate
}{
	{nil, fateApplied},
	{raft.ErrLeadershipTransferInProgress, fateRefused},
	{raft.ErrEnqueueTimeout, fateRefused},
	{raft.ErrNotLeader, fateDeposed},
	{fmt.Errorf("proposing: %w", raft.ErrNotLeader), fateDeposed},
	{raft.ErrLeadershipLost, fateUnknown},
	{raft.ErrRaftShutdown, fateUnknown},
	{raft.ErrAbortedByRestore, fateUnknown},
	{errors.New("write raft.db: input/output error"), fateUnknown},
	{errFailed, fateUnknown},
}
