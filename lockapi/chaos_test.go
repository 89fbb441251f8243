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

// TestChaos runs clients with bad lines and clocks that are wrong, all after
// the same few locks, for many virtual minutes. Whoever is told that he holds a
// lock must be alone in that belief; tokens must rise; and when the lines heal
// nothing may be left behind. A failure names the seed.
func TestChaos(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c := &chaos{t: t, w: w, rng: rand.New(rand.NewPCG(seed, 0)), holders: map[string]*lockapi.Grant{}}
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
	holders map[string]*lockapi.Grant // the last that was told so
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

// work acquires something somehow and holds it for a while.
func (c *chaos) work(ctx context.Context, client *lockapi.Client) {
	m := client.Mutex(fmt.Sprintf("lock %d", c.n(3)))
	bounded := c.n(3) == 0
	if bounded {
		m = m.WithMaxHold(lockapi.MarginOf(ttl) + 1 + c.some(ttl))
	}
	ctx, cancel := context.WithTimeout(ctx, c.some(3*ttl))
	defer cancel()
	g, err := m.Acquire(ctx)
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

// enter sees that g is alone.
func (c *chaos) enter(g *lockapi.Grant) {
	c.mu.Lock()
	before := c.holders[g.Name]
	c.holders[g.Name] = g
	c.granted++
	c.mu.Unlock()
	if before == nil {
		return
	}
	if before.Valid() {
		c.t.Errorf("%q is granted with token %d while token %d is valid", g.Name, g.Token, before.Token)
	}
	if before.Token >= g.Token {
		c.t.Errorf("%q: token %d after %d", g.Name, g.Token, before.Token)
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
