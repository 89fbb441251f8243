package lockapi_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

// BenchmarkCycle is an acquire and a release of a name of one's own, engine and
// machine, with nothing in between.
func BenchmarkCycle(b *testing.B) {
	for _, kind := range []string{"background", "cancellable"} {
		b.Run(kind, func(b *testing.B) {
			backend := mem.New()
			defer backend.Close()
			c, err := lockapi.New(backend, lockapi.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close(context.Background())
			ctx, cancel := context.Background(), func() {}
			if kind == "cancellable" {
				ctx, cancel = context.WithCancel(ctx)
			}
			defer cancel()
			m := c.Mutex("name of one's own")
			b.ReportAllocs()
			for b.Loop() {
				g, err := m.Acquire(ctx)
				if err != nil {
					b.Fatal(err)
				}
				if err := g.Release(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHeld is a cycle beside many grants that the session holds.
func BenchmarkHeld(b *testing.B) {
	backend := mem.New()
	defer backend.Close()
	c, err := lockapi.New(backend, lockapi.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	defer c.Close(ctx)
	for i := range 10_000 {
		if _, err := c.Mutex(strconv.Itoa(i)).Acquire(ctx); err != nil {
			b.Fatal(err)
		}
	}
	m := c.Mutex("one more")
	b.ReportAllocs()
	for b.Loop() {
		g, err := m.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Release(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
