package remote

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// TestDoubtOfANodeThatIsHeard: the leader answers everything but one acquire, so that
// its link is never silent. Who doubts it, and says so by asking again, is answered by
// way of the other node; otherwise one stuck command would cost its session.
func TestDoubtOfANodeThatIsHeard(t *testing.T) {
	w := newWorld(t, 2)
	b := w.open(Options{}, 0, 1)
	u, other := w.user(b, 1), w.user(b, 2)
	until(t, "at the leader", func() bool { return b.linkedTo() == "n0" })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	over := make(chan struct{})
	var heard sync.WaitGroup
	heard.Go(func() { // renewals of others, say
		for {
			select {
			case <-over:
				return
			default:
				other.do(other.release(1 << 40))
				time.Sleep(time.Millisecond)
			}
		}
	})
	w.nodes[0].set(stuck, nil)
	c := u.acquire("x")
	var answered sync.WaitGroup
	ask := func() {
		if r, err := b.Do(ctx, c); err != nil || r.Status != fsm.StatusOK {
			t.Errorf("%+v, %v", r, err)
		}
	}
	answered.Go(ask)
	until(t, "sent", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		a := b.inflight[c.Key()]
		return a != nil && a.sent != nil
	})
	answered.Go(ask)
	answered.Wait()
	close(over)
	heard.Wait()
}
