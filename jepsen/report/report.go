// Package report draws what befell the clients of a service, who led it and what was
// done to it meanwhile, as one page of HTML that needs nothing else.
package report

import (
	"io"

	"github.com/lockd-io/lockd/jepsen/history"
)

// A Fault is something that was done to the service. All times of a page are
// nanoseconds on the clock of its history.
type Fault struct {
	Name  string
	To    string
	Begin int64
	End   int64
}

// A Reign is a time in which one node led.
type Reign struct {
	Node  string
	Term  uint64
	Begin int64
	End   int64
}

// A Life is one process of a node.
type Life struct {
	Node  string
	Begin int64
	Ready int64 // it served; End if it never did
	End   int64
}

// A Figure is how much there was of something.
type Figure struct {
	What  string
	Count int
}

// A Page is what there is to be drawn.
type Page struct {
	Title    string
	Service  string // what was tried, as in "lockd"
	Clients  int    // at a time; 0 counts those of the history
	Verdict  string // pass, violated or undecided
	Facts    []string
	Findings []string
	Figures  []Figure
	Outcomes Outcomes
	History  history.History
	// Holds says that the history is of holds, from the first look at each to the
	// last, and not of operations.
	Holds  bool
	Faults []Fault
	Reigns []Reign
	Lives  []Life

	until int64 // the end of all that is drawn
}

// A drawing is a page with all that its template shows.
type drawing struct {
	Page
	Summary  string
	Kinds    []kindOutcomes
	Gaps     []gap
	Time     axis
	Rows     []row
	Rate     chart
	Latency  chart
	Parts    []part // the charts as a table
	FaultsOf []faultRow
	ReignsOf []reignRow
	Words    words
}

// words are what the history is of.
type words struct{ Rate, Took, Gap, NoGap, Dots string }

var operationWords = words{
	Rate: "Answered operations per second", Took: "How long each operation took",
	Gap: "Longer than a second without an answer", NoGap: "There was never more than a second without an answer.",
	Dots: "Blue round dots were done, brown squares refused, red crosses have no answer and are at the top.",
}

var holdWords = words{
	Rate: "Holds per second, by their ends", Took: "How long each hold lasted",
	Gap: "Longer than a second in which nobody held it", NoGap: "There was never more than a second in which nobody held it.",
	Dots: "Each dot is a hold.",
}

// Write draws the page.
func (p Page) Write(w io.Writer) error {
	first, last := p.span()
	p.clamp(last)
	d := drawing{Page: p, Time: timeAxis(p.until), Words: operationWords}
	if p.Holds {
		d.Words = holdWords
	}
	d.Gaps = p.gaps(first, last)
	d.Summary = p.summary(last)
	d.Kinds = p.Outcomes.kinds()
	d.rows()
	d.rate()
	d.latencies()
	d.parts()
	d.tables()
	return page.Execute(w, &d)
}

// span is from when to when clients were at work.
func (p *Page) span() (first, last int64) {
	for i := range p.History {
		o := &p.History[i]
		if i == 0 || o.Call < first {
			first = o.Call
		}
		last = max(last, o.Call, o.Return)
	}
	return first, last
}

// clamp finds the end of all that is drawn, and leaves out what nodes did before
// clients came and after that.
func (p *Page) clamp(last int64) {
	p.until = max(last, 1)
	for _, f := range p.Faults {
		p.until = max(p.until, f.End)
	}
	within := func(t int64) int64 { return min(max(t, 0), p.until) }
	var reigns []Reign
	for _, r := range p.Reigns {
		if r.End > 0 && r.Begin < p.until {
			reigns = append(reigns, Reign{r.Node, r.Term, within(r.Begin), within(r.End)})
		}
	}
	var lives []Life
	for _, l := range p.Lives {
		if l.End > 0 && l.Begin < p.until {
			lives = append(lives, Life{l.Node, within(l.Begin), within(l.Ready), within(l.End)})
		}
	}
	p.Reigns, p.Lives = reigns, lives
}

// answered tells whether the service answered, at the operation's Return.
func answered(o *history.Op) bool {
	return o.Status != history.Unknown && o.Code != history.Unavailable && o.Return > 0
}
