package backendtest

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

func clientsShare(t *testing.T, b lockapi.Backend) {
	ctx := limited(t)
	lock, pool, other := name("rw"), name("pool"), name("other")
	const limit = 3
	var readers, writers, permits atomic.Int32
	var wg sync.WaitGroup
	visit := func(what string, inside *atomic.Int32, n, most int32, acquire func(context.Context) (*lockapi.Grant, error)) {
		wg.Go(func() {
			for range 10 {
				g, err := acquire(ctx)
				if err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
				if inside.Add(n) > most || inside == &writers && readers.Load() > 0 || inside == &readers && writers.Load() > 0 {
					t.Errorf("%s: %d readers, %d writers, %d permits", what, readers.Load(), writers.Load(), permits.Load())
				}
				inside.Add(-n)
				if err := g.Release(ctx); err != nil {
					t.Errorf("%s: release: %v", what, err)
				}
			}
		})
	}
	for range 2 {
		c := client(t, b)
		visit("reader", &readers, 1, 100, c.RWMutex(lock).RAcquire)
		visit("reader", &readers, 1, 100, c.RWMutex(lock).RAcquire)
		visit("writer", &writers, 1, 1, c.RWMutex(lock).Acquire)
		visit("all", &writers, 1, 1, c.All(lockapi.Exclusive(lock), lockapi.Exclusive(other)).Acquire)
		visit("all", &writers, 1, 1, c.All(lockapi.Exclusive(other), lockapi.Exclusive(lock)).Acquire)
		s := c.Semaphore(pool, limit)
		visit("one", &permits, 1, limit, func(ctx context.Context) (*lockapi.Grant, error) { return s.Acquire(ctx, 1) })
		visit("two", &permits, 2, limit, func(ctx context.Context) (*lockapi.Grant, error) { return s.Acquire(ctx, 2) })
	}
	wg.Wait()
	_, err := client(t, b).Semaphore(pool, limit).TryAcquire(ctx, limit)
	if err != nil {
		t.Errorf("all is given back: %v", err)
	}
	conflict := new(lockapi.ConflictError)
	if _, err := client(t, b).Semaphore(pool, limit+1).TryAcquire(ctx, 1); !errors.As(err, &conflict) || conflict.Limit != limit {
		t.Errorf("another limit: %v", err)
	}
}

func clientsResume(t *testing.T, b lockapi.Backend) {
	ctx := limited(t)
	held, wanted := name("resumed"), name("wanted")
	o := lockapi.Options{Label: "backendtest", SessionFile: filepath.Join(t.TempDir(), "session")}
	open := func() *lockapi.Client {
		c, err := lockapi.New(b, o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	other, old := client(t, b), open()
	blocking, err := other.Mutex(wanted).Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	g, err := old.All(lockapi.Permits(held, 1, 2), lockapi.Exclusive(held+"/b")).Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := old.Mutex(wanted).Acquire(ctx)
		failed <- err
	}()
	for waiting := 0; waiting == 0; {
		v, err := other.Inspect(ctx, lockapi.Query{Name: wanted})
		if err != nil {
			t.Fatal(err)
		}
		waiting = len(v.Locks[0].Waiters)
	}
	next := open()
	found, err := next.Resume(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Grants) != 1 || len(found.Waits) != 1 || found.Grants[0].TokenOf(held) != g.TokenOf(held) || !found.Grants[0].Valid() {
		t.Fatalf("%+v", found)
	}
	// The one before is fenced, and says so.
	if err := <-failed; !errors.Is(err, lockapi.ErrFenced) {
		t.Errorf("the client before waits on: %v", err)
	}
	<-g.Context().Done()
	if cause := context.Cause(g.Context()); !errors.Is(cause, lockapi.ErrFenced) {
		t.Errorf("cause %v", cause)
	}
	if err := old.Close(ctx); err != nil {
		t.Errorf("close of the client before: %v", err)
	}
	if err := blocking.Release(ctx); err != nil {
		t.Fatal(err)
	}
	late, err := found.Waits[0].Acquire(ctx)
	if err != nil || late.Token <= blocking.Token {
		t.Errorf("the wait that was resumed: %+v, %v", late, err)
	}
	if err := next.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	for _, n := range []string{held, held + "/b", wanted} {
		if v, err := other.Inspect(ctx, lockapi.Query{Name: n}); err != nil || v.Locks[0].Kind != fsm.Kind(0) {
			t.Errorf("not idle: %+v, %v", v, err)
		}
	}
}
