package remote

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi/mem"
	"github.com/lockd-io/lockd/transport/rpc"

	"net"
)

// BenchmarkCycle is acquires and releases of own names through one link, to a
// machine that answers at once: what the way there and back costs.
func BenchmarkCycle(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			machine := mem.New()
			defer machine.Close()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			server := rpc.New(machine, rpc.Options{})
			defer server.Close()
			go func() { _ = server.Serve(l) }()
			backend, err := Open([]string{l.Addr().String()}, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer backend.Close()
			ctx := context.Background()
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for i := range callers {
				wg.Go(func() {
					r, err := backend.Do(ctx, fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 2, Lo: uint64(i)}, Secret: fsm.Secret{1}, TTL: fsm.Hour})
					if err != nil {
						b.Error(err)
						return
					}
					wants := []fsm.Want{{Name: fmt.Sprint(i), Kind: fsm.KindLock, Mode: fsm.Exclusive}}
					c := fsm.Command{Session: r.Session, Incarnation: 1}
					for next.Add(1) <= int64(b.N) {
						c.Op, c.Wants, c.Grant = fsm.OpAcquire, wants, 0
						c.Seq++
						c.Mark = c.Seq
						r, err := backend.Do(ctx, c)
						if err != nil || r.Status != fsm.StatusOK {
							b.Errorf("%+v, %v", r, err)
							return
						}
						c.Op, c.Wants, c.Grant = fsm.OpRelease, nil, r.Grant
						c.Seq++
						c.Mark = c.Seq
						if _, err := backend.Do(ctx, c); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
