// Package report draws what befell the clients of a service and what was done to
// it meanwhile, as one page of HTML that needs nothing else.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// A Fault is something that was done to the service, on the clock of the history.
type Fault struct {
	Name  string
	To    string
	Begin int64 // nanoseconds
	End   int64
}

// A Page is what there is to be drawn.
type Page struct {
	Title    string
	Verdict  string
	Facts    []string // a line each
	Findings []string
	History  history.History
	Faults   []Fault
}

// Sizes of the drawing, in its own units.
const (
	width, height = 1000.0, 180.0
	rowHeight     = 14.0
)

type bar struct{ X, Y, W, H float64 }

type dot struct {
	X, Y float64
	Kind string
}

type row struct {
	Name  string
	Y     float64
	Spans []bar
}

type drawing struct {
	Page
	Seconds   float64
	Ticks     []float64
	Rate      []bar // answered operations, in each of the parts of the time
	RateMax   int
	Dots      []dot // how long each operation took
	Rows      []row // the faults, by name
	RowsH     float64
	Width     float64
	Height    float64
	LatencyMS [2]float64 // of the axis, from and to
}

// Write draws the page.
func (p Page) Write(w io.Writer) error {
	d := drawing{Page: p, Width: width, Height: height}
	last := int64(1)
	for i := range p.History {
		last = max(last, p.History[i].Call, p.History[i].Return)
	}
	for _, f := range p.Faults {
		last = max(last, f.End)
	}
	d.Seconds = float64(last) / 1e9
	for t := 0.0; t <= d.Seconds; t += step(d.Seconds) {
		d.Ticks = append(d.Ticks, t)
	}
	d.rate(last)
	d.latencies(last)
	d.faults(last)
	return page.Execute(w, d)
}

// step is a round number of seconds, of which a dozen or so are the whole.
func step(seconds float64) float64 {
	for _, s := range []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800} {
		if seconds/s <= 15 {
			return s
		}
	}
	return 3600
}

func (d *drawing) rate(last int64) {
	const parts = 200
	var counts [parts]int
	for i := range d.History {
		o := &d.History[i]
		if o.Status != history.Unknown && o.Code != history.Unavailable && o.Return > 0 {
			counts[min(parts-1, int(float64(o.Return)/float64(last)*parts))]++
		}
	}
	d.RateMax = max(1, slices.Max(counts[:]))
	for i, n := range counts {
		h := height * float64(n) / float64(d.RateMax)
		d.Rate = append(d.Rate, bar{X: width / parts * float64(i), Y: height - h, W: width / parts, H: h})
	}
}

// dotsMax: of more operations than that only some are drawn.
const dotsMax = 6000

// latencies are on a logarithmic axis, from 0.1 ms to 10 s.
func (d *drawing) latencies(last int64) {
	d.LatencyMS = [2]float64{0.1, 10000}
	each := 1 + len(d.History)/dotsMax
	for i := range d.History {
		o := &d.History[i]
		if i%each != 0 && o.Status != history.Unknown {
			continue
		}
		took, kind := float64(o.Return-o.Call)/1e6, string(o.Status)
		if o.Status == history.Unknown {
			took = d.LatencyMS[1]
		}
		y := math.Log10(max(took, d.LatencyMS[0])/d.LatencyMS[0]) / math.Log10(d.LatencyMS[1]/d.LatencyMS[0])
		d.Dots = append(d.Dots, dot{X: width * float64(o.Call) / float64(last), Y: height * (1 - min(1, y)), Kind: kind})
	}
}

func (d *drawing) faults(last int64) {
	at := make(map[string]int)
	for _, f := range d.Page.Faults {
		i, known := at[f.Name]
		if !known {
			i = len(d.Rows)
			at[f.Name] = i
			d.Rows = append(d.Rows, row{Name: f.Name, Y: rowHeight * float64(i)})
		}
		x := width * float64(f.Begin) / float64(last)
		d.Rows[i].Spans = append(d.Rows[i].Spans, bar{X: x, Y: d.Rows[i].Y, W: max(1, width*float64(f.End)/float64(last)-x), H: rowHeight - 3})
	}
	d.RowsH = rowHeight * float64(len(d.Rows))
}

// At is where a second is on the axis.
func (d drawing) At(second float64) string { return fmt.Sprintf("%.1f", width*second/d.Seconds) }
