package verdict

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
)

// A finding says what speaks against the answer, where that is plain, and nothing else.
func TestAgainst(t *testing.T) {
	x := []history.Want{{Name: "x", Mode: history.Exclusive}}
	shared := []history.Want{{Name: "x", Mode: history.Shared}}
	first := history.Op{ID: 1, Client: 1, Session: 1, Kind: history.Acquire, Wants: x, Grant: 1, Tokens: []uint64{7}, Call: 1, Return: 2, Status: history.OK}
	release := history.Op{ID: 2, Client: 1, Session: 1, Kind: history.Release, Grant: 1, Call: 3, Return: 4, Status: history.OK}
	late := history.Op{ID: 2, Client: 1, Session: 1, Kind: history.Release, Grant: 1, Call: 30, Return: 40, Status: history.OK}
	second := history.Op{ID: 3, Client: 2, Session: 2, Kind: history.Acquire, Wants: x, Grant: 2, Tokens: []uint64{8}, Call: 10, Return: 20, Status: history.OK}
	with := func(o history.Op, change func(*history.Op)) history.Op { change(&o); return o }
	reader := with(first, func(o *history.Op) { o.Wants = shared })
	stale := with(second, func(o *history.Op) { o.Tokens = []uint64{7} })
	third := with(second, func(o *history.Op) { o.ID, o.Client, o.Session, o.Call, o.Return = 4, 3, 3, 50, 60 })

	for name, c := range map[string]struct {
		h    history.History
		want string
		ops  []int
	}{
		"held":                {history.History{first, second}, "operation 1 has it still: 1: acquire x", []int{3, 1}},
		"held by a reader":    {history.History{reader, second}, "operation 1 has it still", []int{3, 1}},
		"given back too late": {history.History{first, second, late}, "operation 1 has it still", []int{3, 1}},
		"an old token":        {history.History{first, release, stale}, "operation 1 was given a token before", []int{3, 1}},
		"both, by two":        {history.History{first, release, second, third}, "operation 3 was given a token before", []int{4, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Linearizable(c.h, time.Minute)
			if got.Verdict != Violated || !strings.Contains(got.Findings[0].What, c.want) || !slices.Equal(got.Findings[0].Ops, c.ops) {
				t.Fatal(got.Verdict, got.Findings)
			}
		})
	}
	for name, h := range map[string]history.History{
		"given back": {first, release, second},
		"maybe":      {first, with(release, func(o *history.Op) { o.Status, o.Return = history.Unknown, 0 }), second},
		"ran out":    {first, {ID: 2, Session: 1, Kind: history.Ended, Call: 3, Status: history.Unknown}, second},
		"at once":    {with(first, func(o *history.Op) { o.Return = 15 }), second},
		"readers":    {reader, with(second, func(o *history.Op) { o.Wants = shared })},
	} {
		t.Run(name, func(t *testing.T) {
			if why, ops := against(h, &h[len(h)-1]); why != "" || ops != nil {
				t.Fatal(why, ops)
			}
		})
	}
}
