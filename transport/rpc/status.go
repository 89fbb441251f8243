package rpc

import (
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

func statusResponse(s lockapi.Status) *lockdv1.StatusResponse {
	m := &lockdv1.StatusResponse{
		ClusterId: s.ClusterID, Node: s.Node, Leader: s.Leader, Term: uint64(s.Term),
		AppliedIndex: uint64(s.AppliedIndex), Level: uint32(s.Level), Waiting: s.Waiting,
	}
	for _, n := range s.Nodes {
		m.Members = append(m.Members, &lockdv1.Member{Id: n.ID, Address: n.Address, Voter: n.Voter, Alive: n.Alive})
	}
	return m
}

// StatusOf is the status that a node answered with.
func StatusOf(m *lockdv1.StatusResponse) lockapi.Status {
	s := lockapi.Status{
		ClusterID: m.GetClusterId(), Node: m.GetNode(), Leader: m.GetLeader(), Term: fsm.Term(m.GetTerm()),
		AppliedIndex: fsm.Index(m.GetAppliedIndex()), Level: fsm.Level(m.GetLevel()), Waiting: m.GetWaiting(),
	}
	for _, n := range m.GetMembers() {
		s.Nodes = append(s.Nodes, lockapi.NodeStatus{ID: n.GetId(), Address: n.GetAddress(), Voter: n.GetVoter(), Alive: n.GetAlive()})
	}
	return s
}
