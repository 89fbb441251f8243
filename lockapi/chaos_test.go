package lockapi_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// poolSize is the limit of the semaphores.
const poolSize = 4

// TestChaos runs clients with bad lines and clocks that are wrong, all after
// the same few locks and permits, for many virtual minutes. Whoever is told that he
// holds something must be alone in that belief, or with those with whom it can be
// shared; tokens must rise; and when the lines heal nothing may be left behind. A
// failure names the seed.
func TestChaos(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := &chaos{t: t, w: w, rng: rand.New(rand.NewPCG(seed, 0)), holders: map[string][]holding{}}
				c.run(5 * time.Minute)
			})
		})
	}
}

type chaos struct {
	t *testing.T
	w *world

	mu      sync.Mutex // guards the fields below
	rng     *rand.Rand
	holders map[string][]holding // those that were told so
	granted int
}

func (c *chaos) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

// some is a duration up to most, mostly short.
func (c *chaos) some(most time.Duration) time.Duration {
	d := time.Duration(c.n(int(most)))
	for range c.n(4) {
		d /= 10
	}
	return d
}

func (c *chaos) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(c.t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for range 4 {
		client := c.client()
		for range 3 {
			wg.Go(func() {
				for ctx.Err() == nil {
					c.work(ctx, client)
				}
			})
		}
	}
	wg.Wait()
	for _, l := range c.w.lines {
		l.heal()
	}
	time.Sleep(3 * ttl)
	for name := range c.holders {
		c.w.wantIdle(name)
	}
	for _, l := range c.w.lines {
		c.w.wantWindowKept(l)
	}
	if c.granted < 20 {
		c.t.Errorf("only %d grants: nothing was tested", c.granted)
	}
}

// client has a line of moods and a clock that drifts by up to 500 ppm.
func (c *chaos) client() *lockapi.Client {
	w := c.w
	l := &line{Backend: w.machine.Another()}
	drift := time.Duration(c.n(1001) - 500)
	client, err := lockapi.New(l, lockapi.Options{TTL: ttl, Label: "chaos"}.WithNow(func() time.Duration {
		now := w.now()
		return now + now/1_000_000*drift
	}))
	if err != nil {
		c.t.Fatal(err)
	}
	w.clients, w.lines = append(w.clients, client), append(w.lines, l)
	var mu sync.Mutex
	var bad int // of ten messages, so many suffer
	var until time.Time
	mood := func() int {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().After(until) {
			bad, until = c.n(11), time.Now().Add(c.some(2*ttl))
		}
		return bad
	}
	l.behave(func(ctx context.Context, cmd fsm.Command, pass pass) (fsm.Result, error) {
		if c.n(10) >= mood() {
			return pass()
		}
		wait := func() bool { return c.sleep(ctx, c.some(ttl)) }
		switch c.n(5) {
		case 0: // lost
			wait()
			return fsm.Result{}, errLine
		case 1: // late, both ways
			if !wait() {
				return fsm.Result{}, errLine
			}
			r, err := pass()
			if !wait() {
				return fsm.Result{}, errLine
			}
			return r, err
		case 2: // arrives, the answer is lost
			_, _ = pass()
			wait()
			return fsm.Result{}, errLine
		case 3: // arrives long after the client gave up on it
			go func() {
				time.Sleep(c.some(ttl))
				_, _ = pass()
			}()
			wait()
			return fsm.Result{}, errLine
		default: // never sent
			wait()
			return fsm.Result{}, lockapi.ErrUnavailable
		}
	}, func(fsm.Outcome) bool {
		if c.n(10) >= mood() {
			return true
		}
		time.Sleep(c.some(ttl / 2))
		return c.n(2) == 0
	})
	return client
}

func (c *chaos) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// handle is something to acquire, somehow: a lock alone or with others, permits, or
// several of these.
func (c *chaos) handle(client *lockapi.Client, maxHold time.Duration) acquiring {
	lock, pool := fmt.Sprintf("lock %d", c.n(3)), fmt.Sprintf("pool %d", c.n(2))
	switch c.n(5) {
	case 0:
		return client.RWMutex(lock).WithMaxHold(maxHold).RAcquire
	case 1:
		return permitsOf(client.Semaphore(pool, poolSize).WithMaxHold(maxHold), 1+c.n(poolSize))
	case 2:
		other := lockapi.Shared(fmt.Sprintf("other %d", c.n(2)))
		return client.All(lockapi.Exclusive(lock), lockapi.Permits(pool, 1+c.n(poolSize), poolSize), other).WithMaxHold(maxHold).Acquire
	default:
		return client.Mutex(lock).WithMaxHold(maxHold).Acquire
	}
}

// work acquires something somehow and holds it for a while.
func (c *chaos) work(ctx context.Context, client *lockapi.Client) {
	maxHold := time.Duration(0)
	bounded := c.n(3) == 0
	if bounded {
		maxHold = lockapi.MarginOf(ttl) + 1 + c.some(ttl)
	}
	acquire := c.handle(client, maxHold)
	ctx, cancel := context.WithTimeout(ctx, c.some(3*ttl))
	defer cancel()
	g, err := acquire(ctx)
	if err != nil {
		c.allowed(ctx, err)
		c.sleep(ctx, 100*time.Millisecond)
		return
	}
	c.enter(g)
	c.sleep(g.Context(), c.some(ttl))
	if c.n(4) == 0 {
		_ = g.Extend(ctx, lockapi.MarginOf(ttl)+1+c.some(ttl))
		c.sleep(g.Context(), c.some(ttl))
	}
	if !bounded || c.n(5) > 0 {
		err := g.Release(ctx)
		if err != nil && !errors.Is(err, lockapi.ErrLost) {
			c.allowed(ctx, err)
		}
	} else {
		<-g.Context().Done() // forgotten: only a loss can end it
	}
}

// A holding is one name of a grant that somebody was told of.
type holding struct {
	fsm.HeldView
	grant *lockapi.Grant
}

// enter sees that all that g holds can be held beside what others are told that
// they hold.
func (c *chaos) enter(g *lockapi.Grant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.granted++
	for _, mine := range g.Held() {
		beside := c.holders[mine.Name][:0]
		taken := mine.Permits
		for _, other := range c.holders[mine.Name] {
			if exclusive := other.Mode == fsm.Exclusive || mine.Mode == fsm.Exclusive; exclusive && other.Token >= mine.Token {
				c.t.Errorf("%q: token %d after %d", mine.Name, mine.Token, other.Token)
			} else if !other.grant.Valid() {
				continue
			} else if exclusive {
				c.t.Errorf("%q is granted with token %d while token %d is valid", mine.Name, mine.Token, other.Token)
			}
			taken += other.Permits
			beside = append(beside, other)
		}
		if taken > mine.Limit {
			c.t.Errorf("%q: %d permits of %d", mine.Name, taken, mine.Limit)
		}
		c.holders[mine.Name] = append(beside, holding{mine, g})
	}
}

// allowed are the errors of a call whose context has ended, or whose lock was
// lost on the way.
func (c *chaos) allowed(ctx context.Context, err error) {
	c.t.Helper()
	if ctx.Err() == nil && !errors.Is(err, lockapi.ErrLost) && !errors.Is(err, context.DeadlineExceeded) {
		c.t.Errorf("error %v", err)
	}
}
