package verdict

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
)

func histories(t *testing.T, kind string) map[string]history.History {
	t.Helper()
	all := historiesOf(t, kind)
	if len(all) < 30 {
		t.Fatalf("%d histories, want at least 30", len(all))
	}
	return all
}

func historiesOf(t *testing.T, kind string) map[string]history.History {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", kind, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]history.History)
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		h, err := history.Load(file)
		file.Close()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".jsonl")] = h
	}
	return all
}

// Histories that look wrong and are not.
func TestGoodHistories(t *testing.T) {
	for name, h := range histories(t, "good") {
		t.Run(name, func(t *testing.T) {
			if got := Linearizable(h, time.Minute); got.Verdict != Pass {
				t.Fatal(got.Verdict, got.Findings)
			}
		})
	}
}

// Histories that look right and are not.
func TestBadHistories(t *testing.T) {
	for name, h := range histories(t, "bad") {
		t.Run(name, func(t *testing.T) {
			got := Linearizable(h, time.Minute)
			if got.Verdict != Violated || len(got.Findings) == 0 {
				t.Fatal(got.Verdict, got.Findings)
			}
		})
	}
}

// The answer that cannot be is told among those that can.
func TestFirstViolation(t *testing.T) {
	x := []history.Want{{Name: "x", Mode: history.Exclusive}}
	h := slices.Clone(histories(t, "good")["mutex_turns"]) // until 8 ms; then nobody has it
	for i, o := range []history.Op{
		{Client: 1, Session: 1, Kind: history.Acquire, Wants: x, Grant: 3, Tokens: []uint64{3}},
		{Client: 2, Session: 2, Kind: history.Acquire, Wants: x, Grant: 4, Tokens: []uint64{4}},
		{Client: 2, Session: 2, Kind: history.Release, Grant: 4},
	} {
		o.ID, o.Status = 10+i, history.OK
		o.Call = int64(10+2*i) * int64(time.Millisecond)
		o.Return = o.Call + 1
		h = append(h, o)
	}
	got := Linearizable(h, time.Minute)
	if len(got.Findings) != 1 || !slices.Equal(got.Findings[0].Ops, []int{11, 10}) {
		t.Errorf("found %v, want operation 11, and 10 against it", got.Findings)
	}
}

func TestPicture(t *testing.T) {
	var page bytes.Buffer
	bad := histories(t, "bad")["mutex_two_holders"]
	got := Linearizable(bad, time.Minute)
	if drawn, err := got.Picture(&page); err != nil || !drawn || !strings.Contains(page.String(), "acquire x") || !strings.Contains(page.String(), "first violation") {
		t.Fatal(drawn, err, page.Len())
	}
	fine := Linearizable(histories(t, "good")["mutex_turns"], time.Minute)
	if drawn, err := fine.Picture(&page); err != nil || drawn {
		t.Fatal(drawn, err)
	}
}
