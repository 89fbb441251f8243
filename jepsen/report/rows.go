package report

import (
	"cmp"
	"fmt"
	"slices"
)

const rowHeight = 20.0

// A row is what was so for some of the time.
type row struct {
	Name  string
	Y     float64
	Spans []span
}

// A span is drawn as a bar with as much text as it has room for.
type span struct {
	X, W  float64
	Class string
	Text  string // empty if there is no room for it
	TextX float64
	Title string
	Mark  bool // a mark at its end: an election was won, a node is back
}

// characterWidth is about that of a character in a bar.
const characterWidth = 6.4

func (d *drawing) span(begin, end int64, class, text, title string) span {
	s := span{X: d.Time.at(begin), W: max(2, d.Time.at(end)-d.Time.at(begin)), Class: class, Text: text, Title: title}
	if s.TextX = s.X + 3; widthOf(text) > s.W-4 {
		s.Text = ""
	}
	return s
}

func widthOf(text string) float64 { return float64(len(text)) * characterWidth }

// beside gives a span of a row, whose text did not fit, room behind or before it, if
// there is some. Spans are in the order of time.
func beside(spans []span, i int, text string) {
	s := &spans[i]
	from, to := 0.0, width
	if i > 0 {
		before := spans[i-1]
		from = max(before.X+before.W, before.TextX+widthOf(before.Text))
	}
	if i+1 < len(spans) {
		to = spans[i+1].X
	}
	switch {
	case s.Text != "":
	case s.X+s.W+3+widthOf(text) < to:
		s.Text, s.TextX = text, s.X+s.W+3
	case s.X-3-widthOf(text) > from:
		s.Text, s.TextX = text, s.X-3-widthOf(text)
	}
}

// rows are who led, whether each node served, and each kind of fault.
func (d *drawing) rows() {
	if len(d.Reigns) > 0 {
		d.Rows = append(d.Rows, row{Name: "who led (term)", Spans: d.led()})
	}
	nodes := make(map[string][]span)
	for _, l := range d.Lives {
		nodes[l.Node] = nil
	}
	for _, a := range d.absences() {
		s := d.span(a.Begin, a.End, "down", "down", fmt.Sprintf("%s does not serve from %s to %s", a.Node, clock(a.Begin), clock(a.End)))
		s.Mark = a.Back
		nodes[a.Node] = append(nodes[a.Node], s)
	}
	for _, node := range sortedKeys(nodes) {
		d.Rows = append(d.Rows, row{Name: node, Spans: nodes[node]})
	}
	d.faults()
	for i := range d.Rows {
		d.Rows[i].Y = rowHeight * float64(i)
	}
}

// faults are a row for each kind, in the order in which they came first, with what
// they were done to.
func (d *drawing) faults() {
	sorted := slices.Clone(d.Faults)
	slices.SortStableFunc(sorted, func(a, b Fault) int { return cmp.Compare(a.Begin, b.Begin) })
	first, to := len(d.Rows), make(map[string][]string)
	for _, f := range sorted {
		i := slices.IndexFunc(d.Rows[first:], func(r row) bool { return r.Name == f.Name })
		if i += first; i < first {
			i = len(d.Rows)
			d.Rows = append(d.Rows, row{Name: f.Name})
		}
		to[f.Name] = append(to[f.Name], f.To)
		d.Rows[i].Spans = append(d.Rows[i].Spans, d.span(f.Begin, f.End, "fault", f.To,
			fmt.Sprintf("%s from %s to %s", named(f.Name, f.To), clock(f.Begin), clock(f.End))))
	}
	for _, r := range d.Rows[first:] {
		for i := range r.Spans {
			beside(r.Spans, i, to[r.Name][i])
		}
	}
}

// led are the reigns, and what is between them.
func (d *drawing) led() (spans []span) {
	for i, r := range d.Reigns {
		class := fmt.Sprintf("reign reign%d", i%2) // two in a row can be told apart
		spans = append(spans, d.span(r.Begin, r.End, class, fmt.Sprintf("%s (%d)", r.Node, r.Term),
			fmt.Sprintf("%s led in term %d from %s to %s", r.Node, r.Term, clock(r.Begin), clock(r.End))))
	}
	for _, e := range d.elections() {
		s := d.span(min(e.Begin, e.End), e.End, "nobody", "", fmt.Sprintf("election: nobody led for %s, then %s in term %d", lasting(e.End-e.Begin), e.won.Node, e.won.Term))
		s.Mark = true
		spans = append(spans, s)
	}
	return spans
}

// A frame is what all drawings have behind them: the time, gaps, and when an election
// was won.
type frame struct {
	Height float64
	Ticks  []tick
	Gaps   []span
	Won    []float64
}

// Frame is that of a drawing of some height.
func (d *drawing) Frame(height float64) frame {
	f := frame{Height: height, Ticks: d.Time.Ticks}
	for _, g := range d.Gaps {
		f.Gaps = append(f.Gaps, d.span(g.Begin, g.End, "gap", "", fmt.Sprintf("no answer for %s from %s", lasting(g.End-g.Begin), clock(g.Begin))))
	}
	for _, e := range d.elections() {
		f.Won = append(f.Won, d.Time.at(e.End))
	}
	return f
}

// Left is how much room the names of rows take.
func (d *drawing) Left() float64 {
	left := 150.0
	for _, r := range d.Rows {
		left = max(left, widthOf(r.Name)+12)
	}
	return left
}

// Bottom is where the drawing of rows ends.
func (d *drawing) Bottom() float64 { return rowHeight * float64(len(d.Rows)) }

// A faultRow is a fault in the table of them.
type faultRow struct {
	Fault
	Answered string // how long after its end somebody had an answer
}

type reignRow struct {
	Reign
	Vacant string // how long nobody led before
}

// tables say what the rows show.
func (d *drawing) tables() {
	var answers []int64
	for i := range d.History {
		if o := &d.History[i]; answered(o) {
			answers = append(answers, o.Return)
		}
	}
	slices.Sort(answers)
	faults := slices.Clone(d.Faults)
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.Begin, b.Begin) })
	for _, f := range faults {
		r := faultRow{Fault: f, Answered: "not any more"}
		if at, _ := slices.BinarySearch(answers, f.End); at < len(answers) {
			r.Answered = lasting(answers[at] - f.End)
		}
		d.FaultsOf = append(d.FaultsOf, r)
	}
	vacant := make(map[uint64]string)
	for _, e := range d.elections() {
		vacant[e.won.Term] = lasting(e.End - e.Begin)
	}
	for _, r := range d.Reigns {
		d.ReignsOf = append(d.ReignsOf, reignRow{r, vacant[r.Term]})
	}
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
