package scenes

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/lockd-io/lockd/lockapi"
)

// A way is a client's path to the nodes, on which a scene lets things happen. While it
// does, nobody attaches and no event passes.
type way struct {
	lockapi.Backend // of the node by which it goes now

	mu    sync.Mutex
	heeds func(c fsm.Command) (fsm.Result, error, bool) // false: straight on
}

func (w *way) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	w.mu.Lock()
	heeds, by := w.heeds, w.Backend
	w.mu.Unlock()
	if heeds != nil {
		if r, err, done := heeds(c); done {
			return r, err
		}
	}
	return by.Do(ctx, c)
}

func (w *way) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	w.mu.Lock()
	heeds, by := w.heeds, w.Backend
	w.mu.Unlock()
	if heeds != nil {
		return nil, lockapi.ErrUnavailable
	}
	events, err := by.Attach(ctx, a)
	if err != nil {
		return nil, err
	}
	out := make(chan fsm.Outcome, 16) // more than any scene has
	go func() {
		defer close(out)
		for o := range events {
			w.mu.Lock()
			if w.heeds == nil {
				out <- o
			}
			w.mu.Unlock()
		}
	}()
	return out, nil
}

// goes has the client go by a node from now on, with what happens to commands.
func (w *way) goes(by lockapi.Backend, heeds func(fsm.Command) (fsm.Result, error, bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Backend, w.heeds = by, heeds
}

// application is a client with the engine of lockapi, which believes.
func (s *stage) application(at *node, ttl time.Duration) (*lockapi.Client, *way) {
	s.t.Helper()
	w := &way{Backend: at.Node}
	c, err := lockapi.New(w, lockapi.Options{TTL: ttl, Label: "application"})
	if err != nil {
		s.t.Fatal(err)
	}
	return c, w
}

// believes looks at a grant until it is not valid any more, or for so long.
func (s *stage) believes(client int, g *lockapi.Grant, long time.Duration) history.Belief {
	b := history.Belief{Client: client, Token: uint64(g.Token), From: s.record.Now()}
	for {
		now := s.record.Now() // the clock first: it was valid then, or later
		if !g.Valid() || now > b.From+int64(long) {
			return b
		}
		b.To = now
		time.Sleep(time.Millisecond)
	}
}

// apart wants that the beliefs contradict nobody.
func (s *stage) apart(beliefs ...history.Belief) {
	s.t.Helper()
	for _, f := range verdict.Apart(beliefs) {
		s.t.Error(f)
	}
	for _, b := range beliefs {
		if b.To <= b.From {
			s.t.Errorf("client %d was never sure", b.Client)
		}
	}
}

// errNoAnswer is what a way says of what may have been done.
var errNoAnswer = errors.Join(errors.New("the answer is lost"), lockapi.ErrUnknown)

// One renewal is done at once, and its answer lies about. The client doubts and sends
// it again, in vain, again and again; at last the first answer comes. It is no older
// for that: the client believes from when it first sent it, and has given up before the
// next in line has the lock.
func TestAnAnswerThatLayAbout(t *testing.T) {
	s := newStage(t)
	const ttl = 3 * time.Second
	a, by := s.application(s.nodes[0], ttl)
	b, _ := s.application(s.nodes[1], ttl)
	defer b.Close(s.ctx)
	defer by.goes(s.nodes[0].Node, nil)
	defer a.Close(s.ctx)
	g, err := a.Mutex("x").Acquire(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var first struct {
		fsm.Command
		answer fsm.Result
		at     time.Time
	}
	given := 0
	by.goes(s.nodes[0].Node, func(c fsm.Command) (fsm.Result, error, bool) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case c.Op == fsm.OpRenew && first.Seq == 0:
			first.Command, first.at = c, time.Now()
			first.answer = s.say(s.nodes[0], c)
		case c.Op == fsm.OpRenew && c.Seq == first.Seq && time.Since(first.at) > ttl/3:
			given++
			return first.answer, nil, true
		}
		return fsm.Result{}, errNoAnswer, true
	})
	theirs := make(chan history.Belief, 1)
	go func() {
		g, err := b.Mutex("x").Acquire(s.ctx)
		if err != nil {
			t.Error(err)
			theirs <- history.Belief{Client: 2}
			return
		}
		theirs <- s.believes(2, g, ttl/10)
	}()
	s.apart(s.believes(1, g, patience), <-theirs)
	mu.Lock()
	defer mu.Unlock()
	if given == 0 {
		t.Error("the answer never came")
	}
	if cause := context.Cause(g.Context()); !errors.Is(cause, lockapi.ErrLost) {
		t.Errorf("the grant ended with %v", cause)
	}
	by.goes(s.nodes[0].Node, nil)
}

// Nobody leads for longer than a client believes. Its session lives, for no time is
// counted; but it has told its user that the lock is lost, who will not release it.
// So the client does, before anything else, and the next in line need not wait until
// the session ends.
func TestNobodyLeadsForLonger(t *testing.T) {
	s := newStage(t)
	const ttl = 2 * time.Second
	a, by := s.application(s.nodes[0], ttl)
	b := s.enter(s.nodes[1], patience)
	g, err := a.Mutex("x").Acquire(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := b.wait(s.nodes[2], "x")
	by.goes(nil, func(fsm.Command) (fsm.Result, error, bool) { return fsm.Result{}, errNoAnswer, true })
	for _, n := range s.nodes {
		s.close(n)
	}
	mine := s.believes(1, g, patience)
	if g.Context().Err() == nil {
		t.Error("the context goes on")
	}
	time.Sleep(ttl) // the outage goes on for as long as a session lives
	session := a.Session()
	for _, n := range s.nodes {
		s.open(n)
	}
	by.goes(s.nodes[1].Node, nil)
	s.ready()
	at := s.record.Now()
	granted := w.end(s.nodes[0])
	if granted.Status != fsm.StatusOK || uint64(granted.Token) <= uint64(g.Token) {
		t.Errorf("%+v, after token %d", granted, g.Token)
	}
	if g.Valid() {
		t.Error("the grant came back")
	}
	s.apart(mine, history.Belief{Client: 2, Token: uint64(granted.Token), From: at, To: s.record.Now()})
	if other, err := a.Mutex("y").Acquire(s.ctx); err != nil {
		t.Error(err)
	} else if a.Session() != session {
		t.Errorf("it cost the session: %d after %d", a.Session(), session)
	} else if err := other.Release(s.ctx); err != nil {
		t.Error(err)
	}
	if err := a.Close(s.ctx); err != nil {
		t.Error(err)
	}
	s.judge()
}
