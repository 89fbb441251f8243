package lockapi_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// An acquiring is any handle's Acquire.
type acquiring = func(context.Context) (*lockapi.Grant, error)

// take is an acquire that must succeed; trying says that it may not wait.
func (w *world) take(acquire acquiring) *lockapi.Grant {
	w.t.Helper()
	g, err := acquire(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	if !g.Valid() {
		w.t.Fatalf("%q is not valid", g.Name)
	}
	return g
}

// taking is take beside.
func (w *world) taking(acquire acquiring) <-chan *lockapi.Grant {
	taken := make(chan *lockapi.Grant, 1)
	go func() {
		defer close(taken)
		g, err := acquire(w.ctx)
		if err != nil {
			w.t.Errorf("acquire: %v", err)
			return
		}
		taken <- g
	}()
	synctest.Wait() // it waits, or has it
	return taken
}

// still fails if who waits does not any more.
func (w *world) still(taken <-chan *lockapi.Grant) {
	w.t.Helper()
	synctest.Wait()
	select {
	case g := <-taken:
		w.t.Fatalf("does not wait any more: %+v", g)
	default:
	}
}

// permitsOf is a semaphore's Acquire of n.
func permitsOf(s *lockapi.Semaphore, n int) acquiring {
	return func(ctx context.Context) (*lockapi.Grant, error) { return s.Acquire(ctx, n) }
}

// Readers share; a writer waits for all of them, and readers who come then wait
// behind him, and are let in together.
func TestReadersAndWriters(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one, _ := w.client(lockapi.Options{})
		two, _ := w.client(lockapi.Options{})
		m, other := one.RWMutex("x"), two.RWMutex("x")
		r1, r2 := w.take(m.RAcquire), w.take(other.TryRAcquire)
		if r1.Token == r2.Token {
			t.Error("two readers have one token")
		}
		if _, err := two.Mutex("x").TryAcquire(t.Context()); !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("a Mutex beside readers: %v", err)
		}
		writer := w.taking(other.Acquire)
		if _, err := m.TryRAcquire(t.Context()); !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("a reader overtook the writer: %v", err)
		}
		r3, r4 := w.taking(m.RAcquire), w.taking(other.RAcquire)
		w.release(r1)
		w.still(writer)
		w.release(r2)
		wrote := <-writer
		if held := wrote.Held(); len(held) != 1 || held[0].Mode != fsm.Exclusive || held[0].Token != wrote.Token {
			t.Errorf("held: %+v", held)
		}
		w.still(r3)
		w.still(r4)
		w.release(wrote)
		g3, g4 := <-r3, <-r4
		if g3 == nil || g4 == nil || !g3.Valid() || !g4.Valid() || min(g3.Token, g4.Token) <= wrote.Token {
			t.Fatalf("readers after the writer: %+v, %+v", g3, g4)
		}
		w.release(g3)
		w.release(g4)
		w.wantIdle("x")
	})
}

// An owner who reads enters again, ahead of a writer who waits, and is refused
// another mode.
func TestReaderEntersAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, _ := w.client(lockapi.Options{})
		mine := c.RWMutex("x").WithOwner("me")
		outer := w.take(mine.RAcquire)
		writer := w.taking(c.RWMutex("x").Acquire)
		inner := w.take(mine.RAcquire)
		if inner.Token != outer.Token || inner.Count() != 2 {
			t.Errorf("token %d and %d, count %d", outer.Token, inner.Token, inner.Count())
		}
		_, err := mine.Acquire(t.Context())
		conflict := new(lockapi.ConflictError)
		if !errors.Is(err, lockapi.ErrConflict) || !errors.As(err, &conflict) || conflict.Mode != fsm.Shared || conflict.Want.Name != "x" {
			t.Errorf("another mode: %v", err)
		}
		if want := `the owner holds "x" in shared mode, and asks for it in exclusive mode`; !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say: %s", err, want)
		}
		w.release(inner)
		w.still(writer)
		w.release(outer)
		w.release(<-writer)
		w.wantIdle("x")
	})
}

// Permits are counted, given in order, and not entered again.
func TestSemaphore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one, _ := w.client(lockapi.Options{})
		two, _ := w.client(lockapi.Options{})
		mine, other := one.Semaphore("pool", 5).WithOwner("me"), two.Semaphore("pool", 5)
		a, b := w.take(permitsOf(mine, 2)), w.take(permitsOf(mine, 2))
		if a.Token == b.Token || a.Count() != 1 || b.Count() != 1 {
			t.Errorf("permits were entered again: %+v, %+v", a, b)
		}
		if _, err := other.TryAcquire(t.Context(), 2); !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("six of five: %v", err)
		}
		many := w.taking(permitsOf(other, 5))
		if _, err := other.TryAcquire(t.Context(), 1); !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("one permit overtook five: %v", err)
		}
		w.release(a)
		w.still(many)
		w.release(b)
		g := <-many
		if held := g.Held(); held[0].Permits != 5 || held[0].Limit != 5 || held[0].Kind != fsm.KindSemaphore {
			t.Errorf("held: %+v", held)
		}
		w.release(g)
		w.wantIdle("pool")
		short := w.take(permitsOf(other.WithMaxHold(2*time.Second), 5))
		next := w.taking(permitsOf(mine, 5))
		<-short.Context().Done()
		w.release(<-next)
	})
}

// The limit is the declared one while the name is in use, and the error tells it.
func TestSemaphoreLimitConflict(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, _ := w.client(lockapi.Options{})
		g := w.take(permitsOf(c.Semaphore("pool", 8), 1))
		_, err := c.Semaphore("pool", 4).TryAcquire(t.Context(), 1)
		conflict := new(lockapi.ConflictError)
		if !errors.Is(err, lockapi.ErrConflict) || !errors.As(err, &conflict) || conflict.Limit != 8 || conflict.Want.Limit != 4 {
			t.Errorf("%+v, %v", conflict, err)
		}
		if want := `"pool" is a semaphore with a limit of 8, and was asked for with 4`; !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say: %s", err, want)
		}
		_, err = c.Mutex("pool").TryAcquire(t.Context())
		if !errors.As(err, &conflict) || conflict.Kind != fsm.KindSemaphore || !strings.Contains(err.Error(), "is a semaphore now, and was asked for as a lock") {
			t.Errorf("a semaphore as a lock: %v", err)
		}
		w.release(g)
		g = w.take(permitsOf(c.Semaphore("pool", 4), 4)) // idle: it is what it is declared now
		w.release(g)
	})
}

// All or nothing: while one name is held none is, then all are, each with a token,
// and one release frees them.
func TestAll(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one, _ := w.client(lockapi.Options{})
		two, _ := w.client(lockapi.Options{})
		held := w.take(two.Mutex("b").Acquire)
		reading := w.take(two.RWMutex("c").RAcquire)
		all := one.All(lockapi.Exclusive("a"), lockapi.Exclusive("b"), lockapi.Shared("c"), lockapi.Permits("d", 2, 3))
		if _, err := all.TryAcquire(t.Context()); !errors.Is(err, lockapi.ErrNotAcquired) || !strings.Contains(err.Error(), `"b": not acquired`) {
			t.Errorf("try: %v", err)
		}
		taken := w.taking(all.Acquire)
		if v := w.show("a"); len(v.Holders) != 0 || len(v.Waiters) != 1 {
			t.Errorf("it holds before it has all: %+v", v)
		}
		w.release(held)
		g := <-taken
		if g == nil {
			return
		}
		last := held.Token
		for i, name := range []string{"a", "b", "c", "d"} {
			if h := g.Held()[i]; h.Name != name || h.Token <= last || h.Token != g.TokenOf(name) || h.Token != w.tokenOf(name, one.Session()) {
				t.Errorf("%q: %+v, %d, after %d", name, h, g.TokenOf(name), last)
			}
			last = g.TokenOf(name)
		}
		if g.Token != g.TokenOf("a") || g.TokenOf("e") != 0 || g.Name != "a" {
			t.Errorf("the first of %+v", g.Held())
		}
		w.release(g)
		w.release(reading)
		for _, name := range []string{"a", "b", "c", "d"} {
			w.wantIdle(name)
		}
	})
}

// tokenOf is the token that the machine has for what a session holds of a name.
func (w *world) tokenOf(name string, id fsm.SessionID) fsm.Token {
	for _, h := range w.show(name).Holders {
		if h.Session == id {
			return h.Token
		}
	}
	return 0
}

// Two that want the same names in another order never wait for each other; the
// wait for several that is cancelled leaves no queue; and one loss ends all names.
func TestAllLeavesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, _ := w.client(lockapi.Options{})
		forth, back := c.All(lockapi.Exclusive("a"), lockapi.Exclusive("b")), c.All(lockapi.Exclusive("b"), lockapi.Exclusive("a"))
		for range 20 {
			g, other := w.taking(forth.Acquire), w.taking(back.Acquire)
			w.release(<-g)
			w.release(<-other)
		}
		held := w.take(c.Mutex("b").Acquire)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := forth.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("cancelled: %v", err)
		}
		w.wantIdle("a")
		w.release(held)
		g := w.take(forth.WithMaxHold(2 * time.Second).Acquire)
		ended := g.Context()
		<-ended.Done()
		if cause := context.Cause(ended); !errors.Is(cause, lockapi.ErrLost) {
			t.Errorf("cause %v", cause)
		}
		w.wantIdle("a")
		w.wantIdle("b")
		mine := c.All(lockapi.Exclusive("a"), lockapi.Exclusive("b")).WithOwner("me")
		outer := w.take(c.Mutex("b").WithOwner("me").Acquire)
		both := w.take(mine.Acquire) // b is entered again
		if both.TokenOf("b") != outer.Token || both.TokenOf("a") == outer.Token {
			t.Errorf("%+v after token %d", both.Held(), outer.Token)
		}
		w.release(both)
		w.release(outer)
		w.wantIdle("b")
	})
}

// A refusal of one of several names says which, and what it is.
func TestAllConflict(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, _ := w.client(lockapi.Options{})
		g := w.take(permitsOf(c.Semaphore("pool", 8), 1))
		_, err := c.All(lockapi.Exclusive("a"), lockapi.Exclusive("pool")).Acquire(t.Context())
		conflict := new(lockapi.ConflictError)
		if !errors.As(err, &conflict) || conflict.Want.Name != "pool" || conflict.Kind != fsm.KindSemaphore {
			t.Errorf("%+v, %v", conflict, err)
		}
		_, err = c.All(lockapi.Exclusive("a"), lockapi.Permits("pool", 1, 4)).Acquire(t.Context())
		if !errors.As(err, &conflict) || conflict.Want.Name != "pool" || conflict.Limit != 8 {
			t.Errorf("%+v, %v", conflict, err)
		}
		w.release(g)
		w.wantIdle("a")
	})
}

// What is malformed is refused before anything is sent, and each says what is
// wrong with it.
func TestBadRequests(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{})
		many := make([]fsm.Want, fsm.WantsMax+1)
		for i := range many {
			many[i] = lockapi.Exclusive(fmt.Sprint(i))
		}
		for want, acquire := range map[string]acquiring{
			"the name is empty":                        c.Mutex("").Acquire,
			"the name has 513 bytes":                   c.RWMutex(strings.Repeat("n", 513)).RAcquire,
			`the name "a\xff" is not UTF-8`:            c.Mutex("a\xff").TryAcquire,
			`the name "a\x00" has a NUL byte`:          c.Mutex("a\x00").Acquire,
			"0 permits: ask for at least one":          permitsOf(c.Semaphore("s", 3), 0),
			"-1 permits: ask for at least one":         permitsOf(c.Semaphore("s", 3), -1),
			"4 permits of a semaphore with a limit":    permitsOf(c.Semaphore("s", 3), 4),
			"a semaphore with a limit of 0":            permitsOf(c.Semaphore("s", 0), 1),
			"a semaphore with a limit of -5":           permitsOf(c.Semaphore("s", -5), 1),
			"a semaphore with a limit of 4294967296":   permitsOf(c.Semaphore("s", math.MaxUint32+1), 1),
			"an acquire of no name at all":             c.All().Acquire,
			"an acquire of 65 names":                   c.All(many...).Acquire,
			`names 1 and 3 are both "a"`:               c.All(lockapi.Exclusive("a"), lockapi.Shared("b"), lockapi.Permits("a", 1, 1)).Acquire,
			"the name is empty (name":                  c.All(lockapi.Exclusive("a"), lockapi.Shared("")).TryAcquire,
			"2 permits of a semaphore with a limit":    c.All(lockapi.Permits("s", 2, 1)).Acquire,
			`owners that begin with "~"`:               c.All(lockapi.Exclusive("a")).WithOwner("~1").Acquire,
			"is not more than the margin of 1s":        permitsOf(c.Semaphore("s", 1).WithMaxHold(time.Millisecond), 1),
			"invalid request (owner: at most 128":      c.RWMutex("a").WithOwner(strings.Repeat("o", 129)).RAcquire,
			"invalid request (max hold: 0..8760h":      c.RWMutex("a").WithMaxHold(-1).Acquire,
			`lockapi: acquire "0", "1", "2", and 62 m`: c.All(many...).TryAcquire,
		} {
			_, err := acquire(t.Context())
			if !errors.Is(err, lockapi.ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say: %s", err, want)
			}
		}
		if n := len(l.sent()); n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		w.release(w.take(c.All(many[:fsm.WantsMax]...).Acquire)) // as many as there may be
	})
}

// Close ends what is held in every mode, and every wait.
func TestCloseEndsEveryMode(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		other, _ := w.client(lockapi.Options{})
		w.take(other.RWMutex("read").RAcquire)
		c, _ := w.client(lockapi.Options{})
		grants := []*lockapi.Grant{
			w.take(c.RWMutex("read").RAcquire), w.take(permitsOf(c.Semaphore("pool", 3), 2)), w.take(c.Mutex("x").Acquire),
			w.take(c.All(lockapi.Exclusive("a"), lockapi.Shared("b")).Acquire),
		}
		failed := make(chan error)
		waits := []acquiring{c.RWMutex("read").Acquire, permitsOf(c.Semaphore("pool", 3), 3), c.All(lockapi.Exclusive("a"), lockapi.Exclusive("y")).Acquire}
		for _, acquire := range waits {
			go func() {
				_, err := acquire(t.Context())
				failed <- err
			}()
		}
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range waits {
			if err := <-failed; !errors.Is(err, lockapi.ErrClosed) {
				t.Errorf("a wait: %v", err)
			}
		}
		for _, g := range grants {
			if cause := context.Cause(g.Context()); g.Valid() || !errors.Is(cause, lockapi.ErrClosed) {
				t.Errorf("%q: cause %v", g.Name, cause)
			}
		}
		for _, name := range []string{"pool", "x", "a", "b", "y"} {
			w.wantIdle(name)
		}
		if v := w.show("read"); len(v.Holders) != 1 || len(v.Waiters) != 0 {
			t.Errorf("what another holds: %+v", v)
		}
	})
}

// Whatever the machine may refuse an acquire for is an error with a kind.
func TestRefusalKinds(t *testing.T) {
	wants := []fsm.Want{lockapi.Exclusive("a"), lockapi.Permits("s", 1, 2)}
	for _, c := range []struct {
		r    fsm.Result
		kind error
		text string
	}{
		{fsm.Result{Status: fsm.StatusBusy, Place: 2}, lockapi.ErrNotAcquired, `"s": `},
		{fsm.Result{Status: fsm.StatusLimit, Limit: fsm.LimitNameWaiters, Value: 9, Place: 1}, lockapi.ErrLimit, `"a": `},
		{fsm.Result{Status: fsm.StatusKindConflict, Place: 2}, lockapi.ErrConflict, `"s" is a lock now`},
		{fsm.Result{Status: fsm.StatusKindConflict}, lockapi.ErrConflict, ""},
		{fsm.Result{Status: fsm.StatusLimitConflict, Place: 2, Value: 7}, lockapi.ErrConflict, "a limit of 7"},
		{fsm.Result{Status: fsm.StatusLimitConflict, Place: 9, Value: 7}, lockapi.ErrConflict, "a limit of 7"},
		{fsm.Result{Status: fsm.StatusNobody}, lockapi.ErrDenied, ""},
		{fsm.Result{Status: fsm.StatusTimeout}, lockapi.ErrNotAcquired, ""},
	} {
		if err := lockapi.Refusal(wants, c.r); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
	if err := lockapi.Refusal(wants, fsm.Result{Status: fsm.StatusQueued, Place: 2}); err != nil {
		t.Error(err)
	}
}
