package cluster

import (
	"testing"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/backendtest"
)

// The contract of a backend, at a cluster of one.
func TestBackend(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) lockapi.Backend { return newWorld(t, 1, nil).leader() })
}

// And where the leader is another node.
func TestBackendAtAFollower(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) lockapi.Backend { return newWorld(t, 3, nil).follower() })
}
