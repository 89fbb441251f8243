package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/jepsen/history"
)

func TestPage(t *testing.T) {
	p := Page{
		Title: "mixed <b>", Verdict: "violated", Facts: []string{"seed 7"}, Findings: []string{"two held it"},
		History: history.History{
			{ID: 1, Kind: history.Renew, Call: 1e9, Return: 2e9, Status: history.OK},
			{ID: 2, Kind: history.Renew, Call: 2e9, Status: history.Unknown},
		},
		Faults: []Fault{{"kill all", "n1", 5e8, 3e9}, {"pause", "n2", 6e8, 1e9}, {"kill all", "n1", 3e9, 4e9}},
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"mixed &lt;b&gt;", "two held it", "seed 7", `class="unknown"`, `class="ok"`, ">kill all</text>", "4 s</text>"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if n := strings.Count(text, `class="fault"`); n != 3 {
		t.Errorf("%d faults", n)
	}
	if strings.Contains(text, "http://") || strings.Contains(text, "https://") {
		t.Error("the page needs something else")
	}
	if err := (Page{}).Write(&out); err != nil {
		t.Error(err)
	}
}
