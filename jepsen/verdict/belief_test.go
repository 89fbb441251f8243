package verdict

import (
	"strings"
	"testing"

	"github.com/lockd-io/lockd/jepsen/history"
)

func TestApart(t *testing.T) {
	b := func(client int, token uint64, from, to int64) history.Belief {
		return history.Belief{Client: client, Token: token, From: from, To: to}
	}
	for name, c := range map[string]struct {
		beliefs []history.Belief
		want    string
	}{
		"one after the other":            {[]history.Belief{b(2, 2, 20, 30), b(1, 1, 1, 10)}, ""},
		"at once":                        {[]history.Belief{b(1, 1, 1, 10), b(2, 2, 9, 30)}, "was sure"},
		"within another":                 {[]history.Belief{b(1, 1, 1, 40), b(2, 2, 9, 30)}, "was sure"},
		"one that outlives two":          {[]history.Belief{b(1, 1, 1, 40), b(1, 1, 2, 3), b(2, 2, 9, 30)}, "was sure"},
		"the later with a lesser token":  {[]history.Belief{b(1, 5, 1, 10), b(2, 4, 20, 30)}, "client 2 later"},
		"two with one token":             {[]history.Belief{b(1, 5, 1, 10), b(2, 5, 20, 30)}, "client 2 later"},
		"one with a lesser token":        {[]history.Belief{b(1, 5, 1, 10), b(1, 4, 20, 30)}, "client 1 later"},
		"one that looks at a hold again": {[]history.Belief{b(1, 5, 1, 10), b(1, 5, 20, 30), b(2, 6, 40, 50)}, ""},
		"a lesser token behind a long belief": {
			[]history.Belief{b(1, 1, 1, 40), b(1, 5, 2, 3), b(2, 4, 50, 60)}, "client 2 later"},
		"a lesser token than the last but one": {
			[]history.Belief{b(1, 5, 1, 10), b(2, 4, 20, 30), b(3, 5, 40, 50)}, "client 2 later"},
	} {
		found := Apart(c.beliefs)
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) == 0 || !strings.Contains(found[0].What, c.want)) {
			t.Errorf("%s: %v", name, found)
		}
	}
}
