package cluster

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// BenchmarkCycle acquires and releases, each caller its own name, over three
// nodes in this process with fsync. An operation is one cycle.
func BenchmarkCycle(b *testing.B) {
	for _, at := range []string{"leader", "follower"} {
		for _, callers := range []int{1, 64, 256, 1024} {
			b.Run(fmt.Sprintf("%s/%d", at, callers), func(b *testing.B) {
				w := newWorld(b, 3, func(c *Config) { c.HeartbeatTimeout = 0 })
				node := w.leader()
				if at == "follower" {
					node = w.follower()
				}
				patrons := make([]*patron, callers)
				for i := range patrons {
					patrons[i] = w.open(node, time.Hour)
				}
				b.ReportAllocs()
				b.ResetTimer()
				var (
					left atomic.Int64
					all  sync.WaitGroup
				)
				left.Store(int64(b.N))
				for i, p := range patrons {
					all.Go(func() {
						name := fmt.Sprintf("n/%d", i)
						for left.Add(-1) >= 0 {
							got := w.do(node, p.sliding(p.acquire(name, 0)))
							if got.Status != fsm.StatusOK {
								b.Errorf("%+v", got)
								return
							}
							w.do(node, p.sliding(p.release(got.Grant)))
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// sliding is c from a client that has had all its answers.
func (p *patron) sliding(c fsm.Command) fsm.Command {
	c.Mark = c.Seq
	return c
}
