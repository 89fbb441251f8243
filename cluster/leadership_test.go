package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// A court is a leadership whose raft is the test.
type court struct {
	*leadership
	t      *testing.T
	realms []*realm
	leader string
	refuse atomic.Pointer[error] // what raft answers proposals with
	ends   atomic.Int32
	gains  chan bool
	moved  chan raft.Observation
	over   chan struct{}
	parts  sync.WaitGroup
	cancel context.CancelFunc
}

func newCourt(t *testing.T) *court {
	c := &court{t: t, gains: make(chan bool), moved: make(chan raft.Observation, 1), over: make(chan struct{})}
	c.leadership = newLeadership("me", "me:1", func() (string, string) {
		if c.leader == "" {
			return "", ""
		}
		return c.leader, c.leader + ":1"
	})
	c.ended = func() { c.ends.Add(1) }
	c.refuse.Store(new(error))
	c.begin = func() *reign {
		r := newRealm(t, since())
		r.gate = func() error { return *c.refuse.Load() }
		c.realms = append(c.realms, r)
		return r.reign
	}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	c.parts.Go(func() { c.watch(c.gains, c.moved, c.over) })
	c.parts.Go(func() { c.rule(ctx) })
	return c
}

func (c *court) close() {
	c.cancel()
	c.stop()
	close(c.over)
	c.parts.Wait()
}

func (c *court) ruling() *reign {
	synctest.Wait()
	return c.current().reign
}

// A gain without a loss before it is a new reign.
func TestEveryGainIsANewReign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourt(t)
		c.gains <- true
		first := c.ruling()
		if first == nil || len(c.realms[0].committed()) != 1 {
			t.Fatal("no takeover")
		}
		before := c.current()
		if before.id != "me" || before.address != "me:1" {
			t.Errorf("%+v", before)
		}
		c.gains <- true
		second := c.ruling()
		<-before.changed
		if second == nil || second == first || len(c.realms[1].committed()) != 1 {
			t.Error("the second gain went on with the first reign")
		}
		if first.inbox.put(0, 0, nil) {
			t.Error("the first reign still takes commands")
		}
		c.gains <- false
		if c.ruling() != nil || c.ends.Load() != 2 {
			t.Errorf("%d ends, want 2", c.ends.Load())
		}
		c.close()
	})
}

// Raft's main loop is never kept waiting, whatever the reigns do.
func TestGainsAreDrainedWhileAReignHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourt(t)
		hold := make(chan struct{})
		c.begin = func() *reign {
			r := newRealm(t, since())
			r.gate = func() error { <-hold; return raft.ErrLeadershipLost }
			c.realms = append(c.realms, r)
			return r.reign
		}
		for range 10 {
			c.gains <- true
			synctest.Wait()
			c.gains <- false
		}
		c.gains <- true
		synctest.Wait()
		close(hold)
		synctest.Wait()
		ran := 0
		for _, r := range c.realms {
			select {
			case <-r.stop:
				if r.inbox.put(0, 0, nil) {
					t.Error("a reign that is over takes commands")
				}
			default:
				ran++
			}
		}
		if ran != 1 || c.current().reign == nil {
			t.Errorf("%d reigns are not over, want the last", ran)
		}
		c.close()
	})
}

// A reign that raft refused without deposing it is tried again, and not for
// ever once raft says so.
func TestReignIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourt(t)
		strange := errors.New("strange")
		c.refuse.Store(&strange)
		c.gains <- true
		synctest.Wait()
		c.refuse.Store(new(error))
		time.Sleep(reignAgainAfter)
		if c.ruling() == nil || len(c.realms) != 2 || len(c.realms[1].committed()) != 1 {
			t.Errorf("%d reigns", len(c.realms))
		}
		c.gains <- false
		c.refuse.Store(&raft.ErrNotLeader)
		c.gains <- true
		synctest.Wait()
		c.gains <- false
		time.Sleep(10 * reignAgainAfter)
		if c.ruling() != nil || len(c.realms) != 3 {
			t.Errorf("%d reigns, want 3", len(c.realms))
		}
		c.close()
	})
}

func TestOfficeFollowsRaft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourt(t)
		first := c.current()
		c.leader = "other"
		c.moved <- raft.Observation{}
		<-first.changed
		if at := c.current(); at.id != "other" || at.address != "other:1" {
			t.Errorf("%+v", at)
		}
		second := c.current()
		c.moved <- raft.Observation{}
		synctest.Wait()
		if c.current() != second {
			t.Error("the same leader is another office")
		}
		c.leader = "me" // raft knows before it tells
		c.moved <- raft.Observation{}
		<-second.changed
		if at := c.current(); at.id != "" || at.reign != nil {
			t.Errorf("%+v", at)
		}
		c.close()
		c.change(true)
		if c.current().reign != nil {
			t.Error("a reign after the end")
		}
	})
}
