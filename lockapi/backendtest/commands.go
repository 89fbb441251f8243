package backendtest

import (
	"context"
	"errors"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

func openTwice(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	if again := s.do(s.open); again.Status != fsm.StatusOK || again.Session != s.id {
		t.Errorf("the same open: %+v, want session %d", again, s.id)
	}
	stolen := s.open
	stolen.Secret[0]++
	s.want(s.do(stolen), fsm.StatusBadSecret)
	if other := speak(t, b, fsm.Hour); other.id == s.id {
		t.Error("two opens found one session")
	}
}

func repeat(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	c := s.acquire(name("repeat"), 0, 0)
	first := s.want(s.do(c), fsm.StatusOK)
	if again := s.do(c); again != first {
		t.Errorf("again: %+v, first: %+v", again, first)
	}
	c = s.release(first.Grant)
	c.Mark-- // the acquire's answer may be asked for again
	s.want(s.do(c), fsm.StatusOK)
	s.want(s.do(c), fsm.StatusOK) // and not: not held
	s.want(s.do(s.release(first.Grant)), fsm.StatusNotHeld)
}

func repeatBeside(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	for range 20 {
		c := s.acquire(name("beside"), 0, 0)
		answers := make(chan fsm.Result)
		const n = 4
		for range n {
			go func() {
				r, err := b.Do(s.ctx, c)
				if err != nil {
					t.Errorf("do: %v", err)
				}
				answers <- r
			}()
		}
		first := <-answers
		for range n - 1 {
			if r := <-answers; r != first || r.Status != fsm.StatusOK {
				t.Fatalf("answers differ: %+v and %+v", r, first)
			}
		}
	}
}

func seqReused(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	held := name("reused")
	c := s.acquire(held, 0, 0)
	s.want(s.do(c), fsm.StatusOK)
	c.Wants = []fsm.Want{{Name: name("other"), Kind: fsm.KindLock, Mode: fsm.Exclusive}}
	s.want(s.do(c), fsm.StatusSeqReused)
	s.want(s.do(s.renew()), fsm.StatusSessionGone)
	if v := s.show(held); v.Kind != 0 {
		t.Errorf("held by a session that was ended: %+v", v)
	}
}

func refusals(t *testing.T, b lockapi.Backend) {
	s, other := speak(t, b, fsm.Hour), speak(t, b, fsm.Hour)
	n := name("refusals")
	g := s.hold(n)
	c := s.acquire(n, 0, 0)
	c.Wants = []fsm.Want{{Name: "", Kind: fsm.KindLock, Mode: fsm.Exclusive}}
	s.want(s.do(c), fsm.StatusInvalid)
	c = s.acquire(n, 0, 0)
	c.Wants = []fsm.Want{{Name: n, Kind: fsm.KindSemaphore, Mode: fsm.Counted, Permits: 1, Limit: 1}}
	s.want(s.do(c), fsm.StatusKindConflict)
	other.want(other.do(other.acquire(n, 0, 0)), fsm.StatusBusy)
	other.want(other.do(other.release(g.Grant)), fsm.StatusNotHeld)
	fenced := s.renew()
	fenced.Incarnation++
	s.want(s.do(fenced), fsm.StatusFenced)
	gone := s.renew()
	gone.Session = 1 << 60
	s.want(s.do(gone), fsm.StatusSessionGone)
	s.want(s.do(fsm.Command{Op: fsm.OpOpen, Nonce: nonce(), TTL: 1}), fsm.StatusInvalid)
	if v := s.show(n); len(v.Holders) != 1 || v.Holders[0].Token != g.Token {
		t.Errorf("a refusal changed something: %+v", v)
	}
}

func tokens(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	last := fsm.Token(0)
	for range 20 {
		r := s.hold(name("tokens"))
		if r.Token <= last {
			t.Fatalf("token %d after %d", r.Token, last)
		}
		last = r.Token
		s.want(s.do(s.release(r.Grant)), fsm.StatusOK)
	}
	n := name("reentry")
	outer, inner := s.hold(n), s.hold(n)
	if inner.Token != outer.Token || inner.Grant == outer.Grant || outer.Count != 1 || inner.Count != 2 {
		t.Errorf("re-entry: %+v after %+v", inner, outer)
	}
}

func inspectOne(t *testing.T, b lockapi.Backend) {
	s, waiting := speak(t, b, fsm.Hour), speak(t, b, fsm.Hour)
	n := name("inspect")
	if v := s.show(n); v.Kind != 0 || len(v.Holders)+len(v.Waiters) != 0 {
		t.Errorf("idle: %+v", v)
	}
	for range 20 {
		g := s.hold(n)
		v := s.show(n)
		if v.Kind != fsm.KindLock || len(v.Holders) != 1 {
			t.Fatalf("after an acknowledged acquire: %+v", v)
		}
		if h := v.Holders[0]; h.Session != s.id || h.Owner != "o" || h.Token != g.Token || h.Label != "backendtest" ||
			h.Mode != fsm.Exclusive || h.Count != 1 {
			t.Fatalf("holder %+v", h)
		}
		c := waiting.acquire(n, fsm.Forever, 0)
		waiting.want(waiting.do(c), fsm.StatusQueued)
		if v := s.show(n); len(v.Waiters) != 1 || v.Waiters[0].Session != waiting.id || v.Waiters[0].Position != 1 {
			t.Fatalf("after an acknowledged wait: %+v", v)
		}
		waiting.want(waiting.do(waiting.abandon(c.Seq)), fsm.StatusOK)
		s.want(s.do(s.release(g.Grant)), fsm.StatusOK)
		if v := s.show(n); v.Kind != 0 {
			t.Fatalf("after an acknowledged release: %+v", v)
		}
	}
	for _, q := range []lockapi.Query{{Name: "a\x00"}, {Limit: -1}, {Limit: 1001}} {
		if _, err := b.Inspect(s.ctx, q); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func inspectPages(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	prefix := name("pages")
	want := []string{prefix + "/a", prefix + "/b", prefix + "/c", prefix + "/d", prefix + "/e"}
	for _, n := range want {
		s.hold(n)
	}
	s.hold(prefix + "0") // not under prefix/
	var got []string
	q := lockapi.Query{Prefix: prefix + "/", Limit: 2}
	for more := true; more; {
		v, err := b.Inspect(s.ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		if more = v.More; len(v.Locks) > 2 || more && len(v.Locks) == 0 {
			t.Fatalf("page %+v", v)
		}
		for _, l := range v.Locks {
			got = append(got, l.Name)
			q.After = l.Name
		}
	}
	if len(got) != len(want) {
		t.Fatalf("pages %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("pages %q, want %q", got, want)
		}
	}
	// A stale read may be behind, but comes to the same.
	for stale := 0; stale < len(want); {
		v, err := b.Inspect(s.ctx, lockapi.Query{Prefix: prefix + "/", Stale: true})
		if err != nil {
			t.Fatal(err)
		}
		stale = len(v.Locks)
	}
}

func endedContext(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	c := s.acquire(name("ended"), 0, 0)
	r, err := b.Do(ctx, c)
	if err != nil && !errors.Is(err, lockapi.ErrUnknown) && !errors.Is(err, lockapi.ErrUnavailable) {
		t.Errorf("%+v, %v", r, err)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the context's error is missing: %v", err)
	}
	s.want(s.do(c), fsm.StatusOK) // nothing is spoilt
	if _, err := b.Attach(ctx, s.attachment()); err == nil {
		t.Error("attached under a context that has ended")
	}
}

// A submitter is what some backends have for callers that would rather not wait.
type submitter interface {
	Submit(c fsm.Command, answer func(fsm.Result, error))
}

func submit(t *testing.T, b lockapi.Backend) {
	sub, ok := b.(submitter)
	if !ok {
		return // it need not
	}
	s := speak(t, b, fsm.Hour)
	type answer struct {
		r   fsm.Result
		err error
	}
	answers := make(chan answer, 2)
	c := s.acquire(name("submit"), 0, 0)
	sub.Submit(c, func(r fsm.Result, err error) { answers <- answer{r, err} })
	select {
	case a := <-answers:
		if a.err != nil || a.r.Status != fsm.StatusOK || a.r != s.do(c) {
			t.Errorf("%+v, %v", a.r, a.err)
		}
	case <-s.ctx.Done():
		t.Fatal("no answer")
	}
	other := speak(t, b, fsm.Hour)
	sub.Submit(other.open, func(r fsm.Result, err error) { answers <- answer{r, err} })
	if a := <-answers; a.err != nil || a.r.Session != other.id {
		t.Errorf("a submitted open with the secret of session %d: %+v, %v", other.id, a.r, a.err)
	}
}

func capabilities(t *testing.T, b lockapi.Backend) {
	if c := b.Capabilities(); c.Backend == "" {
		t.Errorf("%+v: without a name", c)
	}
}

func closeBackend(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	events := s.attach(s.ctx)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	s.wantEnd(events)
	if _, err := b.Do(s.ctx, s.acquire(name("closed"), 0, 0)); !errors.Is(err, lockapi.ErrClosed) {
		t.Errorf("do: %v", err)
	}
	if _, err := b.Attach(s.ctx, s.attachment()); !errors.Is(err, lockapi.ErrClosed) {
		t.Errorf("attach: %v", err)
	}
	if _, err := b.Inspect(s.ctx, lockapi.Query{}); !errors.Is(err, lockapi.ErrClosed) {
		t.Errorf("inspect: %v", err)
	}
}
