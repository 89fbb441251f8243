//go:build system

package systemtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/lockd-io/lockd/transport/rpc"
)

// More clients in one process than one stream may speak for, over one backend, all at
// once and with contexts that do not end: each has its session, and its lock.
func TestMoreSessionsThanAStreamHas(t *testing.T) {
	const n = rpc.StreamSessionsMax + 1000
	c := startCluster(t)
	var addresses []string
	for _, node := range c.nodes {
		addresses = append(addresses, node.listen)
	}
	backend, err := remote.Open(addresses, remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	var all sync.WaitGroup
	for i := range n {
		client, err := lockapi.New(backend, lockapi.Options{TTL: 10 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close(t.Context())
		all.Go(func() {
			if _, err := client.Mutex(fmt.Sprint("many/", i)).Acquire(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	t.Logf("%d sessions, and a lock for each, in %v", n, time.Since(begun))
	if err := backend.Close(); err != nil { // so that no client says farewell: the cluster goes with the test
		t.Error(err)
	}
}
