package backendtest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// client is the engine over b.
func client(t *testing.T, b lockapi.Backend) *lockapi.Client {
	t.Helper()
	c, err := lockapi.New(b, lockapi.Options{Label: "backendtest"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(limited(t)); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

func clientsExclude(t *testing.T, b lockapi.Backend) {
	ctx := limited(t)
	n := name("exclude")
	var inside atomic.Int32
	var last atomic.Uint64
	var wg sync.WaitGroup
	const clients, goroutines, rounds = 3, 4, 10
	for range clients {
		c := client(t, b)
		for range goroutines {
			wg.Go(func() {
				for range rounds {
					g, err := c.Mutex(n).Acquire(ctx)
					if err != nil {
						t.Errorf("acquire: %v", err)
						return
					}
					if inside.Add(1) != 1 {
						t.Error("two inside")
					}
					if before := last.Swap(uint64(g.Token)); before >= uint64(g.Token) {
						t.Errorf("token %d after %d", g.Token, before)
					}
					inside.Add(-1)
					if err := g.Release(ctx); err != nil {
						t.Errorf("release: %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
}

func clientsHandOver(t *testing.T, b lockapi.Backend) {
	ctx := limited(t)
	n := name("handover")
	one, two := client(t, b), client(t, b)
	held, err := one.Mutex(n).Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Mutex(n).TryAcquire(ctx); !errors.Is(err, lockapi.ErrNotAcquired) {
		t.Errorf("try: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := two.Mutex(n).Acquire(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("acquire with a deadline: %v", err)
	}
	granted := make(chan *lockapi.Grant)
	go func() {
		g, err := two.Mutex(n).Acquire(ctx)
		if err != nil {
			t.Errorf("acquire: %v", err)
		}
		granted <- g
	}()
	for { // until the second waits, and nobody else does
		v, err := two.Inspect(ctx, lockapi.Query{Name: n})
		if err != nil {
			t.Fatal(err)
		}
		if w := v.Locks[0].Waiters; len(w) == 1 && w[0].Session == two.Session() {
			break
		}
	}
	if err := held.Release(ctx); err != nil {
		t.Fatal(err)
	}
	g := <-granted
	if g == nil {
		return
	}
	if !g.Valid() || g.Token <= held.Token {
		t.Errorf("handed over: valid %v, token %d after %d", g.Valid(), g.Token, held.Token)
	}
	if err := g.Release(ctx); err != nil {
		t.Fatal(err)
	}
	v, err := one.Inspect(ctx, lockapi.Query{Name: n})
	if err != nil || v.Locks[0].Kind != fsm.Kind(0) {
		t.Errorf("not idle: %+v, %v", v, err)
	}
}
