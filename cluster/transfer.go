package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// successionTimeouts: heartbeat timeouts that a successor has to be known as the
// leader after raft says that the office is gone.
const successionTimeouts = 3

// errNoSuccessor: the leadership cannot be handed over.
var errNoSuccessor = errors.New("no other voter is heard from")

// Transfer hands the leadership to another voter, if this node has it: the others
// need not wait for a timeout then. It takes one that is alive, the furthest in
// the log first, and tries the next if one does not take over. (raft by itself
// takes the one that it has sent most to, which may be dead, and then may refuse
// every entry for ever: raft#696.) It returns when another node leads. It does
// nothing if this node is the only voter. On an error this node may still lead.
func (n *Node) Transfer(ctx context.Context) error {
	var last error = errNoSuccessor
	for begun := n.now(); ctx.Err() == nil; {
		heirs := n.heirs()
		for _, heir := range heirs {
			if n.raft.State() != raft.Leader || n.alone() {
				return nil
			}
			if last = n.transferTo(ctx, heir); last == nil {
				return nil
			}
			n.cfg.Logger.Info("leadership not handed over", "to", heir.ID, "error", last)
		}
		if n.raft.State() != raft.Leader || n.alone() {
			return nil
		}
		// A leader that has only begun has heard from nobody yet.
		if len(heirs) > 0 || n.now()-begun > successionTimeouts*n.cfg.HeartbeatTimeout {
			return fmt.Errorf("cluster: handing over the leadership: %w", last)
		}
		pause(ctx, nil, retryAfter)
	}
	return fmt.Errorf("cluster: handing over the leadership: %w: %w", context.Cause(ctx), last)
}

// heirs are the voters that this leader hears from, the one that has applied most
// first.
func (n *Node) heirs() []raft.Server {
	applied := n.server.applied()
	heirs := slices.DeleteFunc(n.voters(), func(s raft.Server) bool {
		_, alive := applied[string(s.ID)]
		return !alive || string(s.ID) == n.cfg.ID
	})
	slices.SortStableFunc(heirs, func(a, b raft.Server) int {
		return cmp.Compare(applied[string(b.ID)], applied[string(a.ID)])
	})
	return heirs
}

// transferTo hands over to one node and waits until another than this leads.
func (n *Node) transferTo(ctx context.Context, heir raft.Server) error {
	done := make(chan error, 1)
	go func() { done <- n.raft.LeadershipTransferToServer(heir.ID, heir.Address).Error() }()
	var err error
	select {
	case err = <-done: // within an election timeout, raft sees to that
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if errors.Is(err, raft.ErrNotLeader) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, successionTimeouts*n.cfg.HeartbeatTimeout)
	defer cancel()
	for ctx.Err() == nil {
		at := n.leadership.current()
		if at.id != "" && at.id != n.cfg.ID {
			return nil
		}
		pause(ctx, at.changed, time.Second)
	}
	if n.raft.State() == raft.Leader {
		return fmt.Errorf("node %s did not take over", heir.ID)
	}
	return nil
}
