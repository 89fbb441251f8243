package rpc

import (
	"fmt"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// full is the refusal of what a node has no room for now.
func full(what string, limit int) *lockapi.OverloadError {
	return &lockapi.OverloadError{What: fmt.Sprintf("%s: %d", what, limit), RetryAfter: retryAfter}
}

// crowded refuses a command when too many are under way; nil if it may go on.
func (s *Server) crowded(op fsm.Op) *lockapi.OverloadError {
	limit := s.commandsMax
	if frees(op) {
		limit *= 2
	}
	if s.underway.Load() < int64(limit) {
		return nil
	}
	return full("commands under way at one node", s.commandsMax)
}

// frees tells whether an op keeps what is, or makes it less. Were renewals refused
// with the rest, a crowd at the door would end the sessions of those inside.
func frees(op fsm.Op) bool {
	switch op {
	case fsm.OpRenew, fsm.OpAttach, fsm.OpResume, fsm.OpClose, fsm.OpRelease, fsm.OpExtend, fsm.OpAbandon:
		return true
	default:
		return false
	}
}
