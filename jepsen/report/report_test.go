package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/jepsen/history"
)

const ms = int64(1e6)

// sample is ten seconds of two clients: an answer each 100 ms, but none from 2 s to
// 4.5 s, when the leader was killed, and from 6 s to 7.5 s, when nothing was.
func sample() Page {
	p := Page{
		Title: "lockd, <mixed>", Service: "lockd", Verdict: "pass", Facts: []string{"seed 7"},
		Figures:  []Figure{{"power cuts of all nodes", 1}, {"operations", 12345}},
		Outcomes: Outcomes{"acquire ok": 1200, "acquire busy": 300, "acquire no_session": 1, "close ok": 2},
		Faults: []Fault{
			{"pause all", "n1 n2 n3", 8000 * ms, 8300 * ms}, {"kill the leader", "n1", 2000 * ms, 4000 * ms}, {"kill the leader", "n2", 9000 * ms, 9100 * ms},
		},
		Reigns: []Reign{{"n1", 2, -500 * ms, 2000 * ms}, {"n2", 3, 4200 * ms, 20000 * ms}, {"n9", 4, 30000 * ms, 40000 * ms}},
		Lives: []Life{
			{"n1", -900 * ms, -100 * ms, 2000 * ms}, {"n1", 4000 * ms, 4100 * ms, 4100 * ms}, {"n1", 4100 * ms, 4400 * ms, 20000 * ms}, {"n2", -900 * ms, -100 * ms, 20000 * ms},
		},
	}
	for t := int64(0); t <= 10000; t += 100 {
		if t > 2000 && t < 4500 || t > 6000 && t < 7500 {
			continue
		}
		p.History = append(p.History, history.Op{
			ID: len(p.History), Client: 1 + int(t/100%2), Kind: history.Renew, Call: (t - 20) * ms, Return: t * ms, Status: history.OK})
	}
	p.History[0].Call, p.History[0].Return = 0, ms
	p.History = append(p.History,
		history.Op{ID: 200, Client: 3, Kind: history.Acquire, Call: 5000 * ms, Status: history.Unknown},
		history.Op{ID: 201, Client: 4, Kind: history.Acquire, Call: 2500 * ms, Return: 3000 * ms, Status: history.Fail, Code: history.Unavailable},
		history.Op{ID: 202, Client: 5, Kind: history.Acquire, Call: 5000 * ms, Return: 5050 * ms, Status: history.Fail, Code: history.Busy})
	return p
}

func written(t *testing.T, p Page) string {
	t.Helper()
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPage(t *testing.T) {
	text := written(t, sample())
	for _, want := range []string{
		"<title>lockd, &lt;mixed&gt;: pass</title>", `<span class="verdict pass">pass</span>`, "<li>seed 7</li>",
		// Who led in which term, elections and recoveries.
		`<title>n2 led in term 3 from 4.2 s to 10.0 s</title>`, "n1 (2)</text>", `class="nobody"`, "election: nobody led for 2.2 s, then n2 in term 3",
		"<title>n1 does not serve from 2.0 s to 4.4 s</title>", "<td class=\"n\">3</td><td>n2</td>",
		// Faults with their nodes.
		`<title>kill the leader (n1) from 2.0 s to 4.0 s</title>`, ">n1 n2 n3</text>", "<td>pause all</td><td>n1 n2 n3</td>", ">kill the leader</text>",
		// Times without an answer, and why.
		`<tr><td class="n">2.0 s</td><td class="n">2.5 s</td><td>kill the leader (n1); election: nobody led for 2.2 s, then n2 (term 3) from 4.2 s</td></tr>`,
		`<tr><td class="n">6.0 s</td><td class="n">1.5 s</td><td><strong>unexplained</strong></td></tr>`,
		// Axes, of rates too.
		">10 s</text>", ">100 ms</text>", ">15</text>", ">20</text>", "6 a second on the average, 20 at most",
		`class="dots ok"`, `class="dots fail"`, `class="dots unknown"`, "1 operation had no answer",
		// Outcomes and figures are tables.
		`<th scope="rowgroup" rowspan="3">acquire</th><td>ok</td><td class="n">1,200</td><td class="n">79.9 %</td><td>done</td>`,
		`<td>no session</td><td class="n">1</td>`, `<th scope="row">operations</th><td class="n">12,345</td>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	for what, want := range map[string]int{`class="fault"`: 3, `class="reign `: 2, `class="down"`: 1, `class="mark"`: 2, `class="won"`: 3, `class="gap"`: 6} {
		if n := strings.Count(text, what); n != want {
			t.Errorf("%d times %s, want %d", n, what, want)
		}
	}
}

// The page needs nothing else, is well formed, and says in words what it draws.
func TestPageIsWhole(t *testing.T) {
	for name, p := range map[string]Page{"full": sample(), "empty": {}, "holds": {Holds: true, History: sample().History}} {
		text := written(t, p)
		for _, never := range []string{"http:", "https:", "src=", "url(", "@import", "<script", "map[", "NaN", "Inf", "%!"} {
			if strings.Contains(text, never) {
				t.Errorf("%s: there is %q in the page", name, never)
			}
		}
		for _, always := range []string{`lang="en"`, `name="viewport"`, "prefers-color-scheme: dark", "color-scheme: light dark"} {
			if !strings.Contains(text, always) {
				t.Errorf("%s: there is no %q in the page", name, always)
			}
		}
		tags := xml.NewDecoder(strings.NewReader(strings.Replace(text, "<!doctype html>", "", 1)))
		tags.Entity = xml.HTMLEntity
		for {
			token, err := tags.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			tag, is := token.(xml.StartElement)
			if is && tag.Name.Local == "svg" && (attribute(tag, "role") != "img" || attribute(tag, "aria-label") == "") {
				t.Errorf("%s: a drawing without words: %v", name, tag)
			}
			if is && attribute(tag, "class") == "scroll" && (attribute(tag, "tabindex") != "0" || attribute(tag, "aria-label") == "") {
				t.Errorf("%s: it cannot be scrolled by keys: %v", name, tag)
			}
		}
	}
}

func attribute(tag xml.StartElement, name string) string {
	at := slices.IndexFunc(tag.Attr, func(a xml.Attr) bool { return a.Name.Local == name })
	if at < 0 {
		return ""
	}
	return tag.Attr[at].Value
}

// The first sentences are for somebody who reads no further.
func TestSummary(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Page)
		want   string
	}{
		"it is right": {func(*Page) {}, "For 10 seconds 5 clients asked 2 nodes of lockd for locks 66 times, while 3 things of 2 kinds were done to it, such as \"pause all\". " +
			"Another leader took over 1 time. Nothing was found that must not be: no lock was two's at one time, and every answer can be explained. Verdict: pass."},
		"one fault":         {func(p *Page) { p.Faults, p.Clients = p.Faults[:1], 1 }, "1 client asked 2 nodes of lockd for locks 66 times, while 1 thing was done to it: pause all."},
		"it is left alone":  {func(p *Page) { p.Faults = nil }, "66 times, and it was left alone."},
		"it is wrong":       {func(p *Page) { p.Verdict, p.Findings = "violated", []string{"two held x."} }, "1 thing was found that must not be; the first: two held x. Verdict: violated."},
		"very wrong":        {func(p *Page) { p.Verdict, p.Findings = "violated", []string{"two held x", "and y"} }, "2 things were found that must not be; the first: two held x. Verdict"},
		"nobody knows":      {func(p *Page) { p.Verdict = "undecided" }, "a run like that counts as failed. Verdict: undecided."},
		"passed by mistake": {func(p *Page) { p.Findings = []string{"two held x"} }, "1 thing was found that must not be"},
		"holds":             {func(p *Page) { p.Holds = true }, "5 clients held a lock of 2 nodes of lockd 66 times"},
		"nobody's":          {func(p *Page) { p.Service, p.Lives = "", nil }, "asked the service for locks"},
	} {
		p := sample()
		c.change(&p)
		p.clamp(10000 * ms)
		if got := p.summary(10000 * ms); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	want := "acquire: 1,200 ok, 300 busy, 1 no session; close: 2 ok"
	if got := sample().Outcomes.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for n, want := range map[int]string{0: "0 kills", 1: "1 kill", 2: "2 kills", 999: "999 kills", 1000: "1,000 kills", 1234567: "1,234,567 kills"} {
		if got := Many(n, "kill", "kills"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What was under way when nobody had an answer.
func TestReasons(t *testing.T) {
	p := sample()
	p.clamp(10000 * ms)
	for _, c := range []struct {
		begin, end int64
		want       string
	}{
		{500, 1900, ""},
		{1900, 4600, "kill the leader (n1)|election: nobody led for 2.2 s, then n2 (term 3) from 4.2 s"},
		{4100, 5200, "election: nobody led for 2.2 s, then n2 (term 3) from 4.2 s"},
		{4250, 4390, "did not serve: n1"},
		{8100, 9050, "pause all (n1 n2 n3)|kill the leader (n2)"},
	} {
		if got := strings.Join(p.reasons(c.begin*ms, c.end*ms), "|"); got != c.want {
			t.Errorf("from %d to %d: %q, want %q", c.begin, c.end, got, c.want)
		}
	}
	p.Reigns = p.Reigns[:1] // nobody is elected any more
	if got := strings.Join(p.reasons(5000*ms, 6500*ms), "|"); got != "nobody led from 2.0 s" {
		t.Errorf("%q", got)
	}
}
