package history

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"olympos.io/encoding/edn"
)

// all is a history with every field.
func all() History {
	return History{
		{ID: 1, Client: 1, Kind: Open, Session: 7, TTL: 1e9, Call: 1, Return: 2, Status: OK},
		{ID: 2, Client: 1, Node: "n1", Kind: Acquire, Session: 7, Owner: `o"\` + "\n", Wait: -1, Grant: 3, Call: 3, Return: 9, Status: OK,
			Wants:  []Want{{Name: "a", Mode: Exclusive}, {Name: "b", Mode: Shared}, {Name: "s", Mode: Permits, Permits: 2, Limit: 3}},
			Tokens: []uint64{4, 5, 6}, Count: 1, Queued: &Position{Index: 4, Order: 1}, At: &Position{Index: 5, Order: 2}},
		{ID: 3, Client: 2, Kind: Inspect, Name: "a", Call: 4, Return: 8, Status: OK, Holders: []Holder{{Session: 7, Mode: Exclusive, Token: 4}}},
		{ID: 4, Client: 2, Kind: Acquire, Session: 8, Wants: []Want{{Name: "a", Mode: Exclusive}}, Call: 9, Return: 10, Status: Fail, Code: NoSession},
		{ID: 5, Client: 1, Kind: Release, Session: 7, Grant: 3, Call: 10, Status: Unknown},
		{ID: 6, Client: 1, Kind: Ended, Session: 7, Call: 11, Return: 12, Status: OK},
	}
}

func TestSaveAndLoad(t *testing.T) {
	var file bytes.Buffer
	if err := Save(&file, all()); err != nil {
		t.Fatal(err)
	}
	got, err := Load(strings.NewReader("# a comment\n\n" + file.String()))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, all()) {
		t.Fatalf("%+v, want %+v", got, all())
	}
}

// What README.md shows of a history can be loaded.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := ""
	for line := range strings.Lines(string(text)) {
		if json, shown := strings.CutPrefix(line, "    {"); shown {
			lines += "{" + json
		}
	}
	h, err := Load(strings.NewReader(lines))
	if err != nil || len(h) != 5 || h[4].ID != 5 {
		t.Fatalf("%d operations, %v", len(h), err)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":               {"{", "line 1"},
		"two on a line":         {`{"id":1,"kind":"close","call":1,"return":2,"status":"ok"} {"id":2}`, "more than one JSON object"},
		"something behind it":   {`{"id":1,"kind":"close","call":1,"return":2,"status":"ok"}]`, "more than one JSON object"},
		"a field of no meaning": {`{"id":1,"kind":"close","call":1,"return":2,"status":"ok","speed":9}`, `unknown field "speed"`},
		"a kind of no meaning":  {`{"id":1,"kind":"seize","call":1,"return":2,"status":"ok"}`, "unknown kind"},
		"no status":             {`{"id":1,"kind":"close","call":1,"return":2}`, "unknown status"},
		"an answer before":      {`{"id":1,"kind":"close","call":3,"return":2,"status":"ok"}`, "before it was asked"},
		"no answer":             {`{"id":1,"kind":"close","call":3,"status":"ok"}`, "without an answer"},
		"an acquire of nothing": {`{"id":1,"kind":"acquire","call":1,"return":2,"status":"ok"}`, "of nothing"},
		"too few tokens": {`{"id":1,"kind":"acquire","wants":[{"name":"a","mode":"shared"},{"name":"b","mode":"shared"}],"tokens":[1],"call":1,"return":2,"status":"ok"}`,
			"1 tokens for 2 names"},
		"no permits":        {`{"id":1,"kind":"acquire","wants":[{"name":"a","mode":"permits"}],"call":1,"return":2,"status":"ok"}`, "no permits"},
		"no mode":           {`{"id":1,"kind":"acquire","wants":[{"name":"a"}],"call":1,"return":2,"status":"ok"}`, "unknown mode"},
		"an empty name":     {`{"id":1,"kind":"acquire","wants":[{"mode":"shared"}],"call":1,"return":2,"status":"ok"}`, "empty name"},
		"a look at no name": {`{"id":1,"kind":"inspect","call":1,"return":2,"status":"ok"}`, "no name"},
		"one twice":         {`{"id":1,"kind":"close","call":1,"return":2,"status":"ok"}` + "\n" + `{"id":1,"kind":"close","call":3,"return":4,"status":"ok"}`, "twice"},
		"two things at once": {`{"id":1,"client":1,"kind":"close","call":1,"return":4,"status":"ok"}` + "\n" +
			`{"id":2,"client":1,"kind":"close","call":3,"return":5,"status":"ok"}`, "has not had an answer"},
		"two who are nobody": {`{"client":1,"kind":"acquire","wants":[{"name":"a","mode":"exclusive"}],"call":1,"return":2,"status":"ok"}` + "\n" +
			`{"client":2,"kind":"acquire","wants":[{"name":"a","mode":"exclusive"}],"call":3,"return":4,"status":"ok"}`, `a "session" of its own`},
		"mistakes without end": {strings.Repeat(`{"id":1,"kind":"seize","call":1,"return":2,"status":"ok"}`+"\n", 100), "more"},
		"more after the unknown": {`{"id":1,"client":1,"kind":"close","call":1,"status":"unknown"}` + "\n" +
			`{"id":2,"client":1,"kind":"close","call":3,"return":5,"status":"ok"}`, "has not had an answer"},
	} {
		if _, err := Load(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What Jepsen's checkers read: parsed here by a parser that is not ours.
func TestEDN(t *testing.T) {
	var file bytes.Buffer
	if err := WriteEDN(&file, all()); err != nil {
		t.Fatal(err)
	}
	type event struct {
		Index   int
		Time    int64
		Process any
		Type    edn.Keyword
		F       edn.Keyword
		Value   struct {
			Session uint64
			Owner   string
			Wants   []struct {
				Name           string
				Mode           edn.Keyword
				Permits, Limit int
			}
			Tokens []uint64
			Error  edn.Keyword
		}
	}
	var events []event
	if err := edn.Unmarshal(file.Bytes(), &events); err != nil {
		t.Fatalf("%v in\n%s", err, file.String())
	}
	if len(events) != 2*len(all()) {
		t.Fatal(len(events), "events")
	}
	open := map[any]bool{}
	for i, e := range events {
		if e.Index != i || i > 0 && e.Time < events[i-1].Time {
			t.Fatalf("event %d: %+v", i, e)
		}
		if e.Type == "invoke" == open[e.Process] {
			t.Fatalf("event %d: %v of process %v", i, e.Type, e.Process)
		}
		open[e.Process] = e.Type == "invoke"
		switch {
		case e.Type == "ok" && e.F == "acquire":
			if e.Value.Owner != all()[1].Owner || len(e.Value.Wants) != 3 || e.Value.Wants[2].Limit != 3 || len(e.Value.Tokens) != 3 {
				t.Fatalf("%+v", e)
			}
		case e.Type == "fail" && e.Value.Error != "no-session":
			t.Fatalf("%+v", e)
		}
	}
	if last := events[len(events)-1]; last.Type != "info" && last.F != "ended" {
		t.Fatalf("%+v", last)
	}
}

// The histories that checkers are tried on are exported, too.
func TestEDNOfFiles(t *testing.T) {
	paths, err := filepath.Glob("../verdict/testdata/*/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h, err := Load(bytes.NewReader(data))
		if err != nil {
			t.Fatal(path, err)
		}
		var file bytes.Buffer
		var events []map[edn.Keyword]any
		if err := WriteEDN(&file, h); err != nil {
			t.Fatal(path, err)
		}
		if err := edn.Unmarshal(file.Bytes(), &events); err != nil || len(events) != 2*len(h) {
			t.Fatal(path, err, len(events))
		}
	}
}
