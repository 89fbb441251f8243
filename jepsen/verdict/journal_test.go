package verdict_test

import (
	"io"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/jepsen/verdict"
)

func TestAgree(t *testing.T) {
	for name, row := range map[string]struct {
		journals map[string]string
		want     verdict.Verdict
		entries  int
		finding  string
	}{
		"all the same":                     {map[string]string{"n1": "1 aa\n2 bb\n", "n2": "1 aa\n2 bb\n3 cc\n"}, verdict.Pass, 2, ""},
		"one is behind, one began later":   {map[string]string{"n1": "1 aa\n2 bb\n", "n2": "2 bb\n3 cc\n", "n3": "3 cc\n"}, verdict.Pass, 2, ""},
		"a life more goes over it again":   {map[string]string{"n1": "1 aa\n2 bb\n1 aa\n2 bb\n3 cc\n"}, verdict.Pass, 2, ""},
		"a snapshot leaves some out":       {map[string]string{"n1": "1 aa\n9 ee\n", "n2": "1 aa\n2 bb\n9 ee\n"}, verdict.Pass, 2, ""},
		"the last line is cut off":         {map[string]string{"n1": "1 aa\n2 b", "n2": "1 aa\n2 bb\n"}, verdict.Pass, 1, ""},
		"nothing in common":                {map[string]string{"n1": "1 aa\n", "n2": "2 bb\n"}, verdict.Undecided, 0, ""},
		"nothing at all":                   {nil, verdict.Undecided, 0, ""},
		"two entries at one index":         {map[string]string{"n1": "1 aa\n2 bb\n", "n2": "1 aa\n2 bc\n"}, verdict.Violated, 2, "at index 2 replica n1 came to 00000000000000bb, and n2 to 00000000000000bc"},
		"another history after a restart":  {map[string]string{"n1": "1 aa\n2 bb\n1 aa\n2 cc\n"}, verdict.Violated, 2, "at index 2 replica n1"},
		"the third alone is of its own":    {map[string]string{"n1": "5 aa\n", "n2": "5 aa\n", "n3": "5 ab\n"}, verdict.Violated, 1, "n3 to 00000000000000ab"},
		"a snapshot of another's history":  {map[string]string{"n1": "7 aa\n8 bb\n", "n2": "8 bc\n"}, verdict.Violated, 1, "at index 8"},
		"a difference is not made good by": {map[string]string{"n1": "7 aa\n8 bb\n", "n2": "7 ab\n8 bb\n"}, verdict.Violated, 2, "at index 7"},
	} {
		t.Run(name, func(t *testing.T) {
			readers := make(map[string]io.Reader)
			for replica, text := range row.journals {
				readers[replica] = strings.NewReader(text)
			}
			got, err := verdict.Agree(readers)
			if err != nil {
				t.Fatal(err)
			}
			if got.Verdict != row.want || got.Entries != row.entries {
				t.Errorf("%v of %d entries, want %v of %d", got.Verdict, got.Entries, row.want, row.entries)
			}
			if row.finding != "" && (len(got.Findings) == 0 || !strings.Contains(got.Findings[0].What, row.finding)) {
				t.Errorf("found %v, want %q", got.Findings, row.finding)
			}
		})
	}
}

func TestAgreeRefusesWhatIsNoJournal(t *testing.T) {
	for _, text := range []string{"1 aa\nfoo\n", "1\n", "-1 aa\n", "1 xx\n", "1 aa\n\n2 bb\n"} {
		_, err := verdict.Agree(map[string]io.Reader{"n1": strings.NewReader(text)})
		if err == nil || !strings.Contains(err.Error(), "journal of n1: line") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
