package lockapi

import "github.com/lockd-io/lockd/fsm"

// Status is a cluster as one node sees it.
type Status struct {
	ClusterID    string       `json:"cluster_id"`
	Node         string       `json:"node"`   // the node that answers
	Leader       string       `json:"leader"` // a node id; empty while there is none
	Term         fsm.Term     `json:"term"`
	AppliedIndex fsm.Index    `json:"applied_index"`
	Level        fsm.Level    `json:"level"`
	Nodes        []NodeStatus `json:"nodes"`

	// Waiting says what a node that is not a member yet waits for, or why none leads
	// that it could know of; "" if it waits for nothing.
	Waiting string `json:"waiting,omitempty"`
}

// NodeStatus is one member of the cluster.
type NodeStatus struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Voter   bool   `json:"voter"`
	Alive   bool   `json:"alive"` // the leader heard from it within an election timeout
}
