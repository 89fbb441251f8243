package backendtest

import (
	"errors"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// again is s as the process after it knows it.
func (s *speaker) again(r fsm.Result) *speaker {
	return &speaker{
		t: s.t, b: s.b, ctx: s.ctx, id: s.id, secret: s.secret, seen: s.seen,
		born: r.Incarnation, seq: fsm.Seq(r.Value) - 1,
	}
}

func resume(t *testing.T, b lockapi.Backend) {
	holder, s := speak(t, b, fsm.Hour), speak(t, b, fsm.Hour)
	kept, lost, waited, granted := name("kept"), name("lost"), name("waited"), name("granted")
	g := s.hold(kept)
	s.want(s.do(s.acquire(lost, 0, 50*fsm.Millisecond)), fsm.StatusOK)
	mine, theirs := holder.hold(granted), holder.hold(waited)
	first, second := s.acquire(granted, fsm.Forever, 0), s.acquire(waited, fsm.Forever, 0)
	s.want(s.do(first), fsm.StatusQueued)
	s.want(s.do(second), fsm.StatusQueued)

	c := fsm.Command{Op: fsm.OpResume, Session: s.id, Secret: s.secret, Nonce: nonce()}
	wrong := c
	wrong.Secret[0]++
	s.want(s.do(wrong), fsm.StatusBadSecret)
	r := s.want(s.do(c), fsm.StatusOK)
	if r.Session != s.id || r.Incarnation != 2 || fsm.Seq(r.Value) != second.Seq+1 {
		t.Fatalf("%+v after seq %d", r, second.Seq)
	}
	if again := s.want(s.do(c), fsm.StatusOK); again.Incarnation != 2 {
		t.Errorf("the same resume again: %+v", again)
	}
	s.want(s.do(s.renew()), fsm.StatusFenced)
	if _, err := b.Attach(s.ctx, s.attachment()); !errors.Is(err, lockapi.ErrFenced) {
		t.Errorf("the incarnation before attaches: %v", err)
	}

	// What befell the session meanwhile is told to the process that goes on, under
	// the numbers of the one before.
	next := s.again(r)
	holder.want(holder.do(holder.release(mine.Grant)), fsm.StatusOK)
	events := next.attach(next.ctx)
	heard := map[fsm.OutcomeKind]fsm.Outcome{}
	for len(heard) < 2 {
		o := next.next(events)
		heard[o.Kind], next.seen = o, max(next.seen, o.Event)
		if o.Key.Incarnation != 2 {
			t.Errorf("an event of incarnation %d", o.Key.Incarnation)
		}
	}
	if o := heard[fsm.OutcomeGranted]; o.Key.Seq != first.Seq || o.Result.Status != fsm.StatusOK {
		t.Errorf("%+v, want the end of wait %d", o, first.Seq)
	}
	if o := heard[fsm.OutcomeLoss]; o.Result.Status != fsm.StatusMaxHold {
		t.Errorf("%+v, want a loss", o)
	}
	page := next.page(lockapi.Query{})
	if len(page.Grants) != 2 || page.Grants[0].Grant != g.Grant || page.Grants[1].Seq != first.Seq || len(page.Waits) != 1 || page.Waits[0].Seq != second.Seq {
		t.Errorf("%+v", page)
	}
	holder.want(holder.do(holder.release(theirs.Grant)), fsm.StatusOK)
	if o := next.nextIs(events, fsm.OutcomeGranted, fsm.StatusOK); o.Key.Seq != second.Seq {
		t.Errorf("%+v", o)
	}
	next.want(next.do(next.renew()), fsm.StatusOK)
	next.want(next.do(next.release(g.Grant)), fsm.StatusOK)
	next.hold(kept)

	c.Session, c.Nonce = 1<<60, nonce()
	s.want(s.do(c), fsm.StatusSessionGone)
}

// page is what the session has, in one page.
func (s *speaker) page(q lockapi.Query) fsm.SessionView {
	s.t.Helper()
	q.Session, q.Secret = s.id, s.secret
	v, err := s.b.Inspect(s.ctx, q)
	if err != nil || v.Session == nil {
		s.t.Fatalf("%+v, %v", v, err)
	}
	return *v.Session
}

func inspectSession(t *testing.T, b lockapi.Backend) {
	s, other := speak(t, b, fsm.Hour), speak(t, b, fsm.Hour)
	prefix := name("session")
	var grants []fsm.GrantID
	for _, n := range []string{"/a", "/b", "/c"} {
		grants = append(grants, s.hold(prefix+n).Grant)
	}
	both := s.want(s.do(s.acquireAs("two", 0, lockapi.Permits(prefix+"/p", 2, 3), lockapi.Shared(prefix+"/d"))), fsm.StatusOK)
	grants = append(grants, both.Grant)
	other.hold(prefix + "/e")
	wait := s.acquire(prefix+"/e", fsm.Hour, fsm.Hour)
	s.want(s.do(wait), fsm.StatusQueued)

	var shown fsm.SessionView
	q := lockapi.Query{Session: s.id, Secret: s.secret, Limit: 2}
	for more := true; more; {
		v, err := b.Inspect(s.ctx, q)
		if err != nil || v.Session == nil {
			t.Fatalf("%+v, %v", v, err)
		}
		more = v.More
		shown.Grants, shown.Waits = append(shown.Grants, v.Session.Grants...), append(shown.Waits, v.Session.Waits...)
		for _, g := range v.Session.Grants {
			q.AfterGrant = g.Grant
		}
		for _, w := range v.Session.Waits {
			q.AfterWait = w.Seq
		}
	}
	if len(shown.Grants) != len(grants) || len(shown.Waits) != 1 {
		t.Fatalf("%+v", shown)
	}
	for i, g := range shown.Grants {
		if g.Grant != grants[i] {
			t.Errorf("grant %d is %d, want %d", i, g.Grant, grants[i])
		}
	}
	want := fsm.HeldView{Want: lockapi.Permits(prefix+"/p", 2, 3), Token: both.Token}
	if last := shown.Grants[3]; last.Owner != "two" || len(last.Names) != 2 || last.Names[1] != want {
		t.Errorf("%+v, want %+v", last, want)
	}
	if w := shown.Waits[0]; w.Seq != wait.Seq || w.Owner != "o" || w.MaxHold != fsm.Hour || w.Deadline == 0 || w.Wants[0] != wait.Wants[0] {
		t.Errorf("%+v", w)
	}
	if page := s.page(lockapi.Query{}); page.Label != "backendtest" || page.TTL != fsm.Hour || page.Incarnation != 1 || page.Session != s.id || page.Expires <= 0 {
		t.Errorf("%+v", page)
	}
	for q, kind := range map[lockapi.Query]error{
		{Session: s.id, Secret: other.secret}:            lockapi.ErrDenied,
		{Session: s.id}:                                  lockapi.ErrDenied,
		{Session: 1 << 60, Secret: s.secret}:             lockapi.ErrSessionGone,
		{Session: s.id, Secret: s.secret, Name: "x"}:     lockapi.ErrInvalid,
		{Session: s.id, Secret: s.secret, Limit: 100000}: lockapi.ErrInvalid,
	} {
		if v, err := b.Inspect(s.ctx, q); !errors.Is(err, kind) {
			t.Errorf("%+v: %+v, %v", q, v, err)
		}
	}
}
