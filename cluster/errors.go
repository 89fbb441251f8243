package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/lockapi"
)

// Reasons for which a node stops by itself. Node.Err wraps one of them.
var (
	// ErrDiverged: this node's state differs from what the leader or its own
	// log says. It answers nothing more. Its data directory is evidence: keep
	// it, and let the node join again with an empty one.
	ErrDiverged = errors.New("diverged: this node's state is not what the others agreed on")
	// ErrCorrupt: an entry of the log or a snapshot does not decode, or cannot be
	// applied. To go on after it would be to diverge.
	ErrCorrupt = errors.New("corrupt: the log or a snapshot cannot be read")
	// ErrStorage: the log store failed or hangs, so that nothing that this
	// node acknowledges to the others would be worth anything.
	ErrStorage = errors.New("storage: the log cannot be written")
	// ErrStuck: raft has got itself into a state that it does not leave.
	ErrStuck = errors.New("stuck: the consensus library does not make progress")
)

// A fate is what became of an entry that was handed to raft.
type fate uint8

const (
	_ fate = iota
	// fateApplied: committed, and applied here.
	fateApplied
	// fateRefused: it is in no log; this node may still lead.
	fateRefused
	// fateDeposed: it is in no log, and this node does not lead.
	fateDeposed
	// fateUnknown: it may be in logs and may yet be committed; this node does
	// not lead any more, or soon will not.
	fateUnknown
)

// fateOf is the one place where raft's errors are understood. What is not
// surely definite is unknown: ErrLeadershipLost is given to entries that the
// next leader commits, ErrRaftShutdown to entries that are replicated already,
// and an error of the log store to entries that may be on the disk.
func fateOf(err error) fate {
	switch {
	case err == nil:
		return fateApplied
	case errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return fateRefused
	case errors.Is(err, raft.ErrNotLeader):
		return fateDeposed
	default:
		return fateUnknown
	}
}

// errOutcomeUnknown says that a command was sent and its answer will not be
// waited for, because of why.
func errOutcomeUnknown(why error) error {
	return fmt.Errorf("cluster: %w: %w", lockapi.ErrUnknown, why)
}

// retryAfterFull is when there is room again, as a rule: a full inbox is some
// hundred entries, of a few milliseconds each.
const retryAfterFull = time.Second

// errFull says that a command went nowhere, because a queue is full.
func errFull(what string, limit int) error {
	return fmt.Errorf("cluster: %w", &lockapi.OverloadError{What: fmt.Sprintf("%s: %d", what, limit), RetryAfter: retryAfterFull})
}

// errNeverSent says that a command went nowhere, because of why.
func errNeverSent(why error) error {
	return fmt.Errorf("cluster: %w: %w", lockapi.ErrUnavailable, why)
}
