package remote

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/backendtest"
)

// TestClientsUnderFaults: several clients contend for a few names while links
// are cut, nodes restart and leaders change. Nobody is ever beside anybody, and
// tokens rise.
func TestClientsUnderFaults(t *testing.T) {
	w := newWorld(t, 3)
	const clients, workers, names, rounds = 3, 4, 2, 25
	var mu sync.Mutex
	holders, tokens := make([]int, names), make([]fsm.Token, names)
	done := 0
	var wg sync.WaitGroup
	for range clients {
		c, err := lockapi.New(w.open(Options{}, 0, 1, 2), lockapi.Options{TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(context.Background()) })
		for range workers {
			wg.Go(func() {
				for range rounds {
					i := rand.N(names)
					g, err := c.Mutex(fmt.Sprint("name/", i)).Acquire(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if holders[i]++; holders[i] != 1 {
						t.Errorf("%d holders", holders[i])
					}
					if g.Token <= tokens[i] {
						t.Errorf("token %v after %v", g.Token, tokens[i])
					}
					tokens[i] = g.Token
					holders[i]--
					done++
					mu.Unlock()
					if err := g.Release(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	for i, over := 0, false; !over; i++ {
		n := w.nodes[i%3]
		switch i % 4 {
		case 0:
			n.proxy.cut()
		case 1:
			w.lead((i + 1) % 3)
		case 2:
			n.stop()
			n.start()
		case 3:
			n.proxy.down(true)
			w.lead(i % 3)
			n.proxy.down(false)
		}
		mu.Lock()
		goal := done + 10
		mu.Unlock()
		until(t, "work goes on", func() bool {
			mu.Lock()
			defer mu.Unlock()
			over = done == clients*workers*rounds || t.Failed()
			return done >= goal || over
		})
	}
	wg.Wait()
}

// TestContract holds this backend to what every backend promises, at the leader
// and at any node.
func TestContract(t *testing.T) {
	for name, nodes := range map[string][]int{"leader": {0}, "any": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2)
			backendtest.Run(t, func(t *testing.T) lockapi.Backend {
				b := w.open(Options{Spread: len(nodes) > 1}, nodes...)
				return b
			})
		})
	}
}

// TestOpenByURL: importing this package is enough for lockapi.Open.
func TestOpenByURL(t *testing.T) {
	w := newWorld(t, 2)
	ctx := context.Background()
	c, err := lockapi.Open(ctx, "lockd://"+w.nodes[0].proxy.address()+","+w.nodes[1].proxy.address()+"?spread=1", lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.Mutex("x").Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !g.Valid() || g.Token == 0 {
		t.Errorf("%+v", g)
	}
	if err := g.Release(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}
