package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// leftFor is how many TTLs whatever clients have left behind may live: one, but the
// machine's time may stand still while nobody leads.
const leftFor = 10

// Left waits until nobody holds any of the names, when Run has returned: clients went
// away without a word, and their sessions end by themselves. The error says what is
// held still after ten TTLs in which somebody answered. It is nil if ctx ends, or if
// there is nobody to ask: then it is not known.
func (l *Load) Left(ctx context.Context) error {
	until := time.Now().Add(leftFor * l.TTL)
	look := time.NewTicker(l.TTL / leftFor)
	defer look.Stop()
	for way := 0; ; way++ {
		held, known := l.heldStill(ctx, l.Ways[way%len(l.Ways)])
		switch over := time.Now().After(until); {
		case known && held == "", over && !known:
			return nil
		case over:
			return fmt.Errorf("%s, %v after everybody has left it", held, leftFor*l.TTL)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// heldStill finds a lock that is held, if somebody knows of one.
func (l *Load) heldStill(ctx context.Context, b lockapi.Backend) (held string, known bool) {
	ctx, cancel := context.WithTimeout(ctx, l.TTL)
	defer cancel()
	for _, name := range l.Names {
		view, err := b.Inspect(ctx, lockapi.Query{Prefix: name.Name})
		if err != nil {
			return "", false
		}
		for _, lock := range view.Locks {
			for _, h := range lock.Holders {
				return fmt.Sprintf("session %d holds %q", h.Session, lock.Name), true
			}
		}
	}
	return "", true
}
