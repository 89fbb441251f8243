package lockapi_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// filed are options with a session file.
func filed(path string) lockapi.Options { return lockapi.Options{SessionFile: path} }

func sessionFile(t *testing.T) string { return filepath.Join(t.TempDir(), "session") }

// resume is Resume that must succeed.
func (w *world) resume(c *lockapi.Client) *lockapi.Resumed {
	w.t.Helper()
	found, err := c.Resume(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, g := range found.Grants {
		if !g.Valid() {
			w.t.Errorf("%q was resumed and is not valid", g.Name)
		}
	}
	return found
}

func (w *world) wantFile(path string, there bool) {
	w.t.Helper()
	info, err := os.Stat(path)
	if (err == nil) != there {
		w.t.Fatalf("session file: %v, want it there: %v", err, there)
	}
	if there && info.Mode().Perm() != 0o600 {
		w.t.Errorf("mode %v", info.Mode())
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		w.t.Errorf("left beside: %v", left)
	}
}

// A process dies with everything: what it holds in every mode, what it waits for,
// an answer that it never heard. The next goes on with all of it.
func TestResume(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		path := sessionFile(t)
		other, _ := w.client(lockapi.Options{})
		held, soon := w.take(other.Mutex("wanted").Acquire), w.take(other.Mutex("soon").Acquire)
		old, l := w.client(filed(path))
		kept := w.take(old.Mutex("kept").WithOwner("me").WithMaxHold(time.Hour).Acquire)
		inner := w.take(old.Mutex("kept").WithOwner("me").Acquire)
		all := w.take(old.All(lockapi.Shared("b"), lockapi.Permits("a", 2, 3)).Acquire)
		w.wantFile(path, true)
		w.dying(old.Mutex("wanted").Acquire)
		w.dying(old.Mutex("soon").Acquire)
		l.behave(lostAnswer(fsm.OpAcquire), func(fsm.Outcome) bool { return false })
		w.dying(old.Mutex("unheard").Acquire)
		l.cut() // it is dead
		w.release(soon)
		first := old.Session()

		c, _ := w.client(filed(path))
		found := w.resume(c)
		if c.Session() != first {
			t.Errorf("session %d, want %d", c.Session(), first)
		}
		byName := map[string]*lockapi.Grant{}
		for _, g := range found.Grants[1:] { // the first is kept
			byName[g.Name] = g
		}
		if len(found.Grants) != 5 || byName["kept"] == nil || byName["a"] == nil || byName["soon"] == nil || byName["unheard"] == nil {
			t.Fatalf("%+v", found.Grants)
		}
		if g := found.Grants[0]; g.Token != kept.Token || g.Owner() != "me" || g.Count() != 1 || byName["kept"].Count() != 2 || byName["kept"].Token != inner.Token {
			t.Errorf("%+v, %+v", g, byName["kept"])
		}
		if g := byName["a"]; g.TokenOf("b") != all.TokenOf("b") || g.TokenOf("a") != all.TokenOf("a") || len(g.Held()) != 2 || g.Held()[0].Permits != 2 || g.Held()[0].Limit != 3 || g.Owner() != "" {
			t.Errorf("%+v", g.Held())
		}
		if len(found.Waits) != 1 || found.Waits[0].Wants()[0] != lockapi.Exclusive("wanted") || found.Waits[0].Owner() != "" || found.Waits[0].MaxHold() != 0 {
			t.Fatalf("%+v", found.Waits)
		}

		again := w.take(c.Mutex("kept").WithOwner("me").Acquire) // the owner is who it was
		if again.Token != kept.Token || again.Count() != 3 {
			t.Errorf("%+v", again)
		}
		if _, err := c.Mutex("unheard").TryAcquire(w.ctx); !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("a new acquire is the owner of an old one: %v", err)
		}
		taken := w.taking(found.Waits[0].Acquire)
		if v := w.show("wanted"); len(v.Waiters) != 1 {
			t.Errorf("%+v", v.Waiters)
		}
		w.release(held)
		w.release(<-taken)
		if err := found.Waits[0].Abandon(w.ctx); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("the wait is over: %v", err)
		}
		for range 3 * fsm.WindowSize { // the numbers go on where they were
			w.release(w.take(c.Mutex("y").Acquire))
		}
		time.Sleep(3 * ttl)
		for _, g := range found.Grants {
			if !g.Valid() {
				t.Errorf("%q is lost", g.Name)
			}
		}
		if err := c.Close(w.ctx); err != nil {
			t.Fatal(err)
		}
		w.wantFile(path, false)
		for _, name := range []string{"kept", "a", "b", "soon", "unheard", "wanted"} {
			w.wantIdle(name)
		}
	})
}

// dying begins an acquire whose end nobody waits for.
func (w *world) dying(acquire acquiring) {
	ctx, cancel := context.WithCancel(w.ctx)
	w.t.Cleanup(cancel)
	go func() { _, _ = acquire(ctx) }()
	synctest.Wait()
}

// The process before is not dead, but asleep: when it wakes it is fenced, loses all
// that it held, and says nothing more, also not under a session of its own.
func TestCloneIsFenced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		path := sessionFile(t)
		other, _ := w.client(lockapi.Options{})
		blocking := w.take(other.Mutex("wanted").Acquire)
		old, l := w.client(filed(path))
		kept := w.take(old.Mutex("kept").Acquire)
		failed := make(chan error, 2)
		acquire := func(name string) {
			_, err := old.Mutex(name).Acquire(w.ctx)
			failed <- err
		}
		go acquire("wanted")
		synctest.Wait()
		ended := kept.Context()
		l.cut()
		c, _ := w.client(filed(path))
		found := w.resume(c)
		wakes := time.Now()
		l.heal()
		select {
		case <-ended.Done():
		case <-time.After(ttl):
			t.Fatal("the clone goes on")
		}
		if cause := context.Cause(ended); !errors.Is(cause, lockapi.ErrLost) || !errors.Is(cause, lockapi.ErrFenced) {
			t.Errorf("cause %v", cause)
		}
		if d := time.Since(wakes); d > ttl/2 {
			t.Errorf("fenced after %v", d)
		}
		go acquire("more")
		for range 2 {
			if err := <-failed; !errors.Is(err, lockapi.ErrFenced) {
				t.Errorf("acquire: %v", err)
			}
		}
		l.forget()
		time.Sleep(3 * ttl)
		if n := len(l.sent()); n != 0 {
			t.Errorf("the clone said %d things", n)
		}
		if err := kept.Release(w.ctx); !errors.Is(err, lockapi.ErrFenced) || !errors.Is(err, lockapi.ErrLost) {
			t.Errorf("release: %v", err)
		}
		if err := old.Close(w.ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if _, err := old.Resume(w.ctx); !errors.Is(err, lockapi.ErrClosed) {
			t.Errorf("resume: %v", err)
		}
		w.wantFile(path, true)
		if g := found.Grants[0]; !g.Valid() || g.Token != kept.Token || len(found.Waits) != 1 {
			t.Errorf("%+v", found)
		}
		// And the last of several that resume goes on.
		third, _ := w.client(filed(path))
		last := w.resume(third)
		<-found.Grants[0].Context().Done()
		if !last.Grants[0].Valid() {
			t.Error("the last one was fenced")
		}
		if _, err := c.Resume(w.ctx); !errors.Is(err, lockapi.ErrFenced) {
			t.Errorf("resume of the fenced: %v", err)
		}
		w.release(blocking)
		w.release(w.take(last.Waits[0].Acquire))
	})
}

// What is lost while nobody listens, and what is lost or granted while the session
// is being resumed, before and after each page is read: what Resume returns is
// held, and what ends is told.
func TestEventsWhileResuming(t *testing.T) {
	for step := 1; ; step++ {
		var reached atomic.Bool // set by whichever goroutine of the engine takes that step
		inWorld(t, func(t *testing.T, w *world) {
			path := sessionFile(t)
			other, _ := w.client(lockapi.Options{})
			blocking := w.take(other.Mutex("wanted").Acquire)
			old, l := w.client(filed(path))
			w.take(old.Mutex("kept").Acquire)
			w.take(old.Mutex("gone").WithMaxHold(2 * time.Second).Acquire)
			w.take(old.Mutex("going").WithMaxHold(4 * time.Second).Acquire)
			w.dying(old.Mutex("wanted").WithMaxHold(time.Minute).Acquire)
			l.cut()
			time.Sleep(3 * time.Second) // and "gone" is
			w.show("gone")

			c, l2 := w.client(filed(path))
			var n atomic.Int64
			l2.before(func() {
				if n.Add(1) == int64(step) {
					reached.Store(true)
					w.release(blocking)
					time.Sleep(1500 * time.Millisecond) // and "going" is
					w.show("going")
				}
			})
			found := w.resume(c)
			l2.before(nil)
			if !reached.Load() {
				w.release(blocking)
				time.Sleep(1500 * time.Millisecond)
			}
			held := map[string]*lockapi.Grant{}
			for _, g := range found.Grants {
				held[g.Name] = g
			}
			if len(found.Waits) > 0 {
				if held["wanted"] != nil {
					t.Errorf("step %d: it is held and waited for", step)
				}
				g := w.take(found.Waits[0].Acquire)
				held[g.Name] = g
			}
			time.Sleep(ttl / 2) // an event that was missed has come again
			for _, name := range []string{"kept", "wanted"} {
				if g := held[name]; g == nil || !g.Valid() || w.show(name).Holders[0].Token != g.Token {
					t.Errorf("step %d: %q: %+v", step, name, held)
				}
			}
			if held["gone"] != nil || held["going"] != nil && held["going"].Valid() {
				t.Errorf("step %d: what was lost is held: %+v", step, held)
			}
			if g := held["going"]; g != nil && !errors.Is(context.Cause(g.Context()), lockapi.ErrLost) {
				t.Errorf("step %d: %v", step, context.Cause(g.Context()))
			}
			if all := l2.executed(fsm.OpRenew); all[len(all)-1].Seen < 2 {
				t.Errorf("step %d: events are not acknowledged: %+v", step, all[len(all)-1])
			}
		})
		if !reached.Load() {
			if step < 5 {
				t.Errorf("only %d steps: nothing was tested", step)
			}
			return
		}
	}
}

// What a session has is read so slowly that it is not to be believed in any more when
// that is done, though it lives. It is renewed then, and nothing is given up.
func TestResumeReadsSlowly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		path := sessionFile(t)
		old, l := w.client(filed(path))
		w.take(old.Mutex("x").Acquire)
		l.cut()
		slow := &slowly{line: &line{Backend: w.machine.Another()}, by: believes + 200*time.Millisecond}
		c, err := lockapi.New(slow, lockapi.Options{TTL: ttl, Label: "slow", SessionFile: path}.WithNow(w.now))
		if err != nil {
			t.Fatal(err)
		}
		w.clients = append(w.clients, c)
		if found := w.resume(c); len(found.Grants) != 1 || !found.Grants[0].Valid() || len(w.show("x").Holders) != 1 {
			t.Errorf("%+v", found)
		}
	})
}

// A machine of a later version shows a grant that this version can make nothing of.
// It is left alone, also when the event that told of it comes again.
func TestGrantThatIsNotUnderstood(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		path := sessionFile(t)
		other, _ := w.client(lockapi.Options{})
		held := w.take(other.Mutex("x").Acquire)
		old, l := w.client(filed(path))
		w.dying(old.Mutex("x").Acquire)
		l.cut()
		w.release(held)
		c, err := lockapi.New(&later{&line{Backend: w.machine.Another()}}, lockapi.Options{TTL: ttl, SessionFile: path}.WithNow(w.now))
		if err != nil {
			t.Fatal(err)
		}
		w.clients = append(w.clients, c)
		if found := w.resume(c); len(found.Grants) != 0 {
			t.Errorf("%+v", found.Grants)
		}
		time.Sleep(3 * ttl)
		if v := w.show("x"); len(v.Holders) != 1 || v.Holders[0].Session != c.Session() {
			t.Errorf("it was given up: %+v", v.Holders)
		}
	})
}

// later shows grants without names.
type later struct{ *line }

func (l *later) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	v, err := l.line.Inspect(ctx, q)
	if v.Session != nil {
		for i := range v.Session.Grants {
			v.Session.Grants[i].Names = nil
		}
	}
	return v, err
}

// slowly takes its time to show the first page.
type slowly struct {
	*line
	by time.Duration
}

func (l *slowly) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	v, err := l.line.Inspect(ctx, q)
	time.Sleep(l.by)
	l.by = 0
	return v, err
}

// A process dies before or after each thing that it says to the machine, and the
// next one goes on: all that was held is found, and can be given back.
func TestCrashAtEveryStep(t *testing.T) {
	for step := 1; ; step++ {
		ran := false
		for _, after := range []bool{false, true} {
			inWorld(t, func(t *testing.T, w *world) {
				path := sessionFile(t)
				n := 0
				life := func() (acquired int) {
					c, bury := w.mortal(filed(path), func() bool { n++; return n == step }, after)
					defer bury()
					ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
					defer cancel()
					found, err := c.Resume(ctx)
					if err == nil {
						acquired += len(found.Grants)
					} else if !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
						t.Errorf("step %d: resume: %v", step, err)
					}
					for _, name := range []string{"a", "b"} {
						if _, err := c.All(lockapi.Exclusive(name), lockapi.Permits(name+"/p", 1, 1)).WithOwner("me").TryAcquire(ctx); err == nil {
							acquired++
						}
					}
					return acquired
				}
				life()
				life() // it resumes, and may die as well
				ran = ran || n >= step
				c, _ := w.client(filed(path))
				found, err := c.Resume(w.ctx)
				if err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
				for _, name := range []string{"a", "b"} {
					mine := 0
					for _, g := range found.Grants {
						if g.Name == name {
							mine++
						}
					}
					holders := w.show(name).Holders
					if have := len(holders); have > 1 || have == 1 && (holders[0].Session != c.Session() || int(holders[0].Count) != mine) || have == 0 && mine > 0 {
						t.Errorf("step %d: %+v, and %d grants were resumed", step, holders, mine)
					}
				}
				for _, g := range found.Grants {
					w.release(g)
				}
				w.wantIdle("a")
				w.wantIdle("b")
			})
		}
		if !ran {
			if step < 10 {
				t.Errorf("only %d steps: nothing was tested", step)
			}
			return
		}
	}
}

// Each reason for which nothing is resumed has its error, and what is not ours is
// not touched.
func TestResumeErrors(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		plain, _ := w.client(lockapi.Options{})
		if _, err := plain.Resume(w.ctx); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("without a file: %v", err)
		}
		path := sessionFile(t)
		c, l := w.client(filed(path))
		if _, err := c.Resume(w.ctx); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, lockapi.ErrSessionFile) {
			t.Errorf("no file: %v", err)
		}
		w.take(c.Mutex("x").Acquire)
		if _, err := c.Resume(w.ctx); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("after an acquire: %v", err)
		}
		second, l2 := w.client(filed(path))
		_, err := second.Mutex("y").TryAcquire(w.ctx)
		if !errors.Is(err, lockapi.ErrSessionFile) || len(l2.sent()) != 0 {
			t.Errorf("an acquire over the session of another process: %v, %d commands", err, len(l2.sent()))
		}
		l2.cut()
		short, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := second.Resume(short); !errors.Is(err, lockapi.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody answers: %v", err)
		}
		l2.heal()
		if found := w.resume(second); len(found.Grants) != 1 {
			t.Errorf("%+v", found)
		}
		resumes := l2.sent(fsm.OpResume)
		for _, r := range resumes {
			if r.Nonce != resumes[0].Nonce {
				t.Error("a resume that was tried again is another one: a late copy would fence it")
			}
		}
		l.cut()
		l2.cut()
		time.Sleep(2 * ttl) // the session ends
		third, _ := w.client(filed(path))
		if _, err := third.Resume(w.ctx); !errors.Is(err, lockapi.ErrSessionGone) {
			t.Errorf("a session that has ended: %v", err)
		}
		w.wantFile(path, false)
		w.release(w.take(third.Mutex("x").Acquire))
		w.wantFile(path, true)
		if err := third.Close(w.ctx); err != nil {
			t.Error(err)
		}
		w.wantFile(path, false)
	})
}

// The client closes while it resumes; the session stays for whoever comes next.
func TestCloseWhileResuming(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		path := sessionFile(t)
		old, l := w.client(filed(path))
		w.take(old.Mutex("x").Acquire)
		l.cut()
		c, l2 := w.client(filed(path))
		l2.cut()
		failed := make(chan error, 2)
		go func() { _, err := c.Resume(w.ctx); failed <- err }()
		synctest.Wait()
		go func() { _, err := c.Mutex("y").Acquire(w.ctx); failed <- err }()
		synctest.Wait()
		if err := c.Close(w.ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		for range 2 {
			if err := <-failed; !errors.Is(err, lockapi.ErrClosed) {
				t.Errorf("%v", err)
			}
		}
		next, _ := w.client(filed(path))
		if found := w.resume(next); len(found.Grants) != 1 {
			t.Errorf("%+v", found)
		}
	})
}

// A wait that was resumed is abandoned, or its context ends: it leaves no place. Its
// session ends: it queues again.
func TestResumedWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		path := sessionFile(t)
		other, _ := w.client(lockapi.Options{})
		blocking := w.take(other.Mutex("x").Acquire)
		old, l := w.client(filed(path))
		short, cancel := context.WithTimeout(w.ctx, time.Minute)
		defer cancel()
		for range 4 {
			w.dying(old.Mutex("x").Acquire)
		}
		go func() { _, _ = old.Mutex("x").Acquire(short) }()
		synctest.Wait()
		l.cut()
		c, l2 := w.client(filed(path))
		found := w.resume(c)
		if len(found.Waits) != 5 {
			t.Fatalf("%+v", found)
		}
		if err := found.Waits[0].Abandon(w.ctx); err != nil {
			t.Errorf("abandon: %v", err)
		}
		ctx, stop := context.WithTimeout(w.ctx, time.Second)
		defer stop()
		if _, err := found.Waits[1].Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("its context ends: %v", err)
		}
		if _, err := found.Waits[4].Acquire(w.ctx); !errors.Is(err, lockapi.ErrNotAcquired) {
			t.Errorf("its own time is over: %v", err)
		}
		if v := w.show("x"); len(v.Waiters) != 2 {
			t.Errorf("%+v", v.Waiters)
		}
		l2.cut()
		done, stop2 := context.WithTimeout(w.ctx, time.Second)
		defer stop2()
		if err := found.Waits[2].Abandon(done); !errors.Is(err, lockapi.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("abandon when nobody answers: %v", err)
		}
		taken := w.taking(found.Waits[3].Acquire)
		time.Sleep(2 * ttl) // and the session ends
		l2.heal()
		time.Sleep(ttl)
		if v := w.show("x"); len(v.Waiters) != 1 || v.Waiters[0].Session != c.Session() {
			t.Errorf("%+v", v.Waiters)
		}
		w.release(blocking)
		w.release(<-taken)
		w.wantFile(path, true) // of the session after
	})
}
