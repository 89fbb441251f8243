package workload_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/lockd-io/lockd/jepsen/workload"
	"github.com/lockd-io/lockd/lockapi"
)

// Another service is judged. It is a map here; of a Redis, setNX would be SET NX PX,
// and del a script that deletes the key if it has that value.
func ExampleLeases() {
	var keys sync.Map // name: the end of the lock that it has
	setNX := func(name string, until time.Time) bool {
		had, taken := keys.LoadOrStore(name, until)
		return !taken || time.Now().After(had.(time.Time)) && keys.CompareAndSwap(name, had, until)
	}
	del := func(name string, until time.Time) bool {
		return keys.CompareAndDelete(name, until)
	}

	load := workload.Leases{
		Time: 200 * time.Millisecond, TTL: 20 * time.Millisecond,
		Lock: func(_ context.Context, name string, ttl time.Duration) (workload.Lease, error) {
			mine := time.Now().Add(ttl)
			if !setNX(name, mine) {
				return workload.Lease{}, lockapi.ErrNotAcquired
			}
			return workload.Lease{Unlock: func(context.Context) error {
				if !del(name, mine) {
					return lockapi.ErrNotHeld
				}
				return nil
			}}, nil
		},
	}
	record := history.NewRecorder()
	load.Run(context.Background(), record)

	found := verdict.Linearizable(record.History(), time.Minute)
	fmt.Println(found.Verdict)
	for _, finding := range found.Findings {
		fmt.Println(finding)
	}
	if found.Drawn() {
		_, _ = found.Picture(os.Stderr)
	}
	// Output: pass
}
