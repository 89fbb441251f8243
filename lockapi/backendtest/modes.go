package backendtest

import (
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

func sharedMode(t *testing.T, b lockapi.Backend) {
	s, other := speak(t, b, fsm.Hour), speak(t, b, fsm.Hour)
	n := name("shared")
	one := s.want(s.do(s.acquireAs("a", 0, lockapi.Shared(n))), fsm.StatusOK)
	two := s.want(s.do(s.acquireAs("b", 0, lockapi.Shared(n))), fsm.StatusOK)
	if one.Token == two.Token {
		t.Errorf("two readers have one token: %+v", two)
	}
	events := other.attach(other.ctx)
	writer := other.acquire(n, fsm.Forever, 0)
	other.want(other.do(writer), fsm.StatusQueued)
	busy := s.want(s.do(s.acquireAs("c", 0, lockapi.Shared(n))), fsm.StatusBusy)
	if busy.Place != 1 {
		t.Errorf("a reader behind a writer: %+v", busy)
	}
	again := s.want(s.do(s.acquireAs("a", 0, lockapi.Shared(n))), fsm.StatusOK)
	if again.Token != one.Token || again.Count != 2 {
		t.Errorf("a reader enters again: %+v", again)
	}
	if v := s.show(n); len(v.Holders) != 2 || v.Holds != 2 || v.Waits != 1 || v.Holders[0].Mode != fsm.Shared {
		t.Errorf("%+v", v)
	}
	for _, g := range []fsm.GrantID{one.Grant, two.Grant, again.Grant} {
		s.want(s.do(s.release(g)), fsm.StatusOK)
	}
	if o := other.nextIs(events, fsm.OutcomeGranted, fsm.StatusOK); o.Key.Seq != writer.Seq || o.Result.Token <= two.Token {
		t.Errorf("the writer: %+v", o)
	}
}

func permits(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	events := s.attach(s.ctx)
	n := name("permits")
	one := s.want(s.do(s.acquireAs("o", 0, lockapi.Permits(n, 2, 5))), fsm.StatusOK)
	two := s.want(s.do(s.acquireAs("o", 0, lockapi.Permits(n, 3, 5))), fsm.StatusOK)
	if one.Token == two.Token || two.Count != 1 {
		t.Errorf("permits were entered again: %+v", two)
	}
	s.want(s.do(s.acquireAs("o", 0, lockapi.Permits(n, 1, 5))), fsm.StatusBusy)
	waiting := s.acquireAs("o", fsm.Forever, lockapi.Permits(n, 4, 5))
	s.want(s.do(waiting), fsm.StatusQueued)
	s.want(s.do(s.release(one.Grant)), fsm.StatusOK)
	if v := s.show(n); v.Kind != fsm.KindSemaphore || v.Limit != 5 || len(v.Holders) != 1 || v.Holders[0].Permits != 3 || v.Waiters[0].Permits != 4 {
		t.Errorf("%+v", v)
	}
	s.want(s.do(s.release(two.Grant)), fsm.StatusOK)
	if o := s.nextIs(events, fsm.OutcomeGranted, fsm.StatusOK); o.Key.Seq != waiting.Seq {
		t.Errorf("who waited: %+v", o)
	}
}

func several(t *testing.T, b lockapi.Backend) {
	s, other := speak(t, b, fsm.Hour), speak(t, b, fsm.Hour)
	prefix := name("several")
	wants := []fsm.Want{
		lockapi.Exclusive(prefix + "/b"), lockapi.Shared(prefix + "/c"), lockapi.Permits(prefix+"/a", 1, 2), lockapi.Exclusive(prefix + "/d"),
	}
	held := other.hold(prefix + "/d")
	if busy := s.want(s.do(s.acquireAs("o", 0, wants...)), fsm.StatusBusy); busy.Place != 4 {
		t.Errorf("%+v", busy)
	}
	events := s.attach(s.ctx)
	c := s.acquireAs("o", fsm.Forever, wants...)
	s.want(s.do(c), fsm.StatusQueued)
	if v := s.show(wants[0].Name); len(v.Holders) != 0 || len(v.Waiters) != 1 {
		t.Errorf("it holds before it has all: %+v", v)
	}
	other.want(other.do(other.release(held.Grant)), fsm.StatusOK)
	o := s.nextIs(events, fsm.OutcomeGranted, fsm.StatusOK)
	all := append([]fsm.Token{o.Result.Token}, o.Result.Rest.All()...)
	if o.Key.Seq != c.Seq || len(all) != len(wants) {
		t.Fatalf("%+v, tokens %v", o, all)
	}
	for i := range wants {
		if v := s.show(wants[i].Name); len(v.Holders) != 1 || v.Holders[0].Token != all[i] {
			t.Errorf("%q with token %d: %+v", wants[i].Name, all[i], v)
		}
	}
	s.seen = o.Event
	s.want(s.do(s.release(o.Result.Grant)), fsm.StatusOK)
	for i := range wants {
		if v := s.show(wants[i].Name); v.Kind != 0 {
			t.Errorf("after the release: %+v", v)
		}
	}
	// What was granted at once comes in the same form.
	r := s.want(s.do(s.acquireAs("o", 0, wants...)), fsm.StatusOK)
	if len(r.Rest.All()) != len(wants)-1 {
		t.Errorf("%+v", r)
	}
	many := make([]fsm.Want, fsm.WantsMax+1)
	for i := range many {
		many[i] = lockapi.Exclusive(prefix + string(rune('A'+i)))
	}
	if r := s.want(s.do(s.acquireAs("o", 0, many...)), fsm.StatusInvalid); r.Limit != fsm.LimitWants {
		t.Errorf("too many: %+v", r)
	}
	s.want(s.do(s.acquireAs("o", 0, many[:fsm.WantsMax]...)), fsm.StatusOK)
	if r := s.want(s.do(s.acquireAs("o", 0, many[0], many[1], many[0])), fsm.StatusInvalid); r.Limit != fsm.LimitWants {
		t.Errorf("a name twice: %+v", r)
	}
}

func conflicts(t *testing.T, b lockapi.Backend) {
	s := speak(t, b, fsm.Hour)
	lock, pool := name("lock"), name("pool")
	s.want(s.do(s.acquireAs("o", 0, lockapi.Shared(lock))), fsm.StatusOK)
	s.want(s.do(s.acquireAs("o", 0, lockapi.Permits(pool, 1, 8))), fsm.StatusOK)
	if r := s.want(s.do(s.acquireAs("p", 0, lockapi.Permits(pool, 1, 4))), fsm.StatusLimitConflict); r.Value != 8 || r.Place != 1 {
		t.Errorf("%+v", r)
	}
	if r := s.want(s.do(s.acquireAs("p", 0, lockapi.Shared(lock), lockapi.Exclusive(pool))), fsm.StatusKindConflict); r.Place != 2 {
		t.Errorf("%+v", r)
	}
	s.want(s.do(s.acquireAs("o", 0, lockapi.Exclusive(lock))), fsm.StatusModeConflict)
}
