package verdict

import (
	"strings"
	"testing"

	"github.com/lockd-io/lockd/jepsen/history"
)

func acquired(id int, session, token uint64, call, back int64, queued, at *history.Position) history.Op {
	return history.Op{
		ID: id, Client: int(session), Kind: history.Acquire, Session: session, Wants: []history.Want{{Name: "x", Mode: history.Exclusive}},
		Grant: uint64(id), Tokens: []uint64{token}, Call: call, Return: back, Status: history.OK, Wait: -1, Queued: queued, At: at,
	}
}

func released(id int, session, grant uint64, call, back int64, at *history.Position) history.Op {
	return history.Op{ID: id, Client: int(session), Kind: history.Release, Session: session, Grant: grant, Call: call, Return: back, Status: history.OK, At: at}
}

func at(index uint64) *history.Position { return &history.Position{Index: index, Order: 1} }

func opened(id int, session uint64) history.Op {
	return history.Op{ID: id, Client: int(session), Kind: history.Open, Session: session, TTL: 1e9, Call: 1, Return: 2, Status: history.OK, At: at(uint64(id - 100))}
}

// What the service's own order must not be.
func TestWitness(t *testing.T) {
	turns := func() history.History {
		return history.History{
			acquired(1, 1, 1, 10, 11, nil, at(10)), released(2, 1, 1, 30, 31, at(30)),
			acquired(3, 2, 2, 20, 33, at(20), at(31)), released(4, 2, 3, 40, 41, at(40)),
			acquired(5, 3, 3, 25, 43, at(25), at(41)), released(6, 3, 5, 50, 51, at(50)),
			opened(101, 1), opened(102, 2), opened(103, 3),
		}
	}
	for name, c := range map[string]struct {
		spoil func(h history.History)
		want  string
	}{
		"it is right":               {func(history.History) {}, ""},
		"two hold it":               {func(h history.History) { h[1].At = at(32); h[1].Call = 11 }, "cannot be"},
		"an answer before its time": {func(h history.History) { h[2].At = at(60) }, "was answered before"},
		"the second first":          {func(h history.History) { h[2].Queued, h[4].Queued = at(26), at(19) }, "was overtaken"},
		"a try past who waits": {func(h history.History) {
			h[4].Queued, h[4].Wait, h[4].At, h[5].Call, h[5].Return, h[5].At = nil, 0, at(30), 31, 32, at(30)
			h[5].At.Order = 2
			h[4].At.Order = 2
			h[5].At.Order = 3
			h[4].Return = 30
		}, "was overtaken"},
		"a token falls": {func(h history.History) { h[2].Tokens[0] = 9; h[4].Tokens[0] = 8 }, "cannot be"},
		"a try is refused where nobody is": {func(h history.History) {
			h[4].Status, h[4].Code, h[4].Call, h[4].At = history.Fail, history.Busy, 41, at(42)
			h[5].Status, h[5].Code = history.Fail, history.NotHeld
		}, "nobody held it"},
		"a wait for nobody ends": {func(h history.History) {
			h[4].Status, h[4].Code, h[4].At = history.Fail, history.Timeout, at(42)
			h[5].Status, h[5].Code = history.Fail, history.NotHeld
		}, "nobody held it"},
		"a wait for somebody ends": {func(h history.History) {
			h[4].Status, h[4].Code, h[4].At = history.Fail, history.Timeout, at(35)
			h[5].Status, h[5].Code = history.Fail, history.NotHeld
		}, ""},
		"a wait for somebody unknown ends": {func(h history.History) {
			h[2].Status, h[2].Return = history.Unknown, 0
			h[3].Status, h[3].Code = history.Fail, history.NotHeld
			h[4].Status, h[4].Code, h[4].At = history.Fail, history.Timeout, at(42)
			h[5].Status, h[5].Code = history.Fail, history.NotHeld
		}, ""},
		"what nobody has is released": {func(h history.History) { h[3].Grant = 77 }, "cannot be"},
	} {
		t.Run(name, func(t *testing.T) {
			h := turns()
			c.spoil(h)
			got := Witnessed(h)
			switch {
			case c.want == "" && got.Verdict != Pass:
				t.Fatal(got.Findings)
			case c.want != "" && (got.Verdict != Violated || !strings.Contains(got.Findings[0].What, c.want)):
				t.Fatal(got.Verdict, got.Findings)
			}
		})
	}
}

// In histories of the machine, a lie about one answer is seen nearly always.
func TestWitnessOfLies(t *testing.T) {
	lies, seen := 0, 0
	for seed := range uint64(100) {
		w := newWorld(seed, 4)
		for range 600 {
			w.step()
		}
		h := w.finish()
		for i := range h {
			o := &h[i]
			if o.Kind != history.Acquire || o.Status != history.Fail || o.Code != history.Busy || len(o.Wants) != 1 || o.Wants[0].Mode != history.Exclusive {
				continue
			}
			lies++ // it was not free, and is said to have been granted
			o.Status, o.Code, o.Grant = history.OK, "", 1<<40
			if Witnessed(h).Verdict == Violated {
				seen++
			}
			o.Status, o.Code, o.Grant = history.Fail, history.Busy, 0
			break
		}
	}
	if lies < 50 || seen < lies*8/10 {
		t.Fatalf("%d of %d lies were seen", seen, lies)
	}
	t.Logf("%d of %d", seen, lies)
}
