package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lockd-io/lockd/jepsen/history"
)

// A chart is drawn over the time, with an axis of its own.
type chart struct {
	Ticks   []tick
	Bars    string // a path
	Dots    []dots
	Summary string
}

// dots are all of one kind, as one path: a dot is a line of no length.
type dots struct {
	Kind string // ok, fail or unknown
	Path string
}

// barsMax is how many bars a chart of rates has.
const barsMax = 200

func (d *drawing) rate() {
	var counts [barsMax]int
	total := 0
	for i := range d.History {
		if o := &d.History[i]; answered(o) {
			counts[min(barsMax-1, int(float64(o.Return)/float64(d.until)*barsMax))]++
			total++
		}
	}
	perSecond := barsMax / d.Time.Last
	most := float64(slices.Max(counts[:])) * perSecond
	top, ticks := linear(most)
	d.Rate.Ticks = ticks
	var path strings.Builder
	for i, n := range counts {
		if n > 0 {
			fmt.Fprintf(&path, "M%g %gh%gV%gh-%gz", width/barsMax*float64(i), height, width/barsMax, height*(1-float64(n)*perSecond/top), width/barsMax)
		}
	}
	d.Rate.Bars = path.String()
	d.Rate.Summary = fmt.Sprintf("%s a second on the average, %s at most", grouped(int(float64(total)/d.Time.Last+.5)), grouped(int(most+.5)))
}

// dotsMax: of more operations than that only some are drawn.
const dotsMax = 6000

func (d *drawing) latencies() {
	d.Latency.Ticks = logarithmic()
	each := 1 + len(d.History)/dotsMax
	paths := make(map[string]*strings.Builder)
	var took []int64
	unknown := 0
	for i := range d.History {
		o := &d.History[i]
		y := 0.0
		if o.Status == history.Unknown {
			unknown++
		} else {
			took = append(took, o.Return-o.Call)
			y = latencyAt(o.Return - o.Call)
		}
		if i%each != 0 && o.Status != history.Unknown {
			continue
		}
		kind := string(o.Status)
		if paths[kind] == nil {
			paths[kind] = new(strings.Builder)
		}
		shape := "h0"
		if o.Status == history.Unknown {
			shape = "m-3 -3l6 6m0 -6l-6 6"
		}
		fmt.Fprintf(paths[kind], "M%.1f %.1f%s", d.Time.at(o.Call), y, shape)
	}
	for _, kind := range sortedKeys(paths) {
		d.Latency.Dots = append(d.Latency.Dots, dots{kind, paths[kind].String()})
	}
	slices.Sort(took)
	if n := len(took); n > 0 {
		d.Latency.Summary = fmt.Sprintf("half at most %s, 99 of 100 at most %s, the longest %s", lasting(took[n/2]), lasting(took[n*99/100]), lasting(took[n-1]))
	}
	if unknown > 0 && !d.Holds {
		d.Latency.Summary += fmt.Sprintf("; %s had no answer", Many(unknown, "operation", "operations"))
	}
}

// A part is a line of the table that says what the charts show: the time between
// two ticks.
type part struct {
	From, To        string
	Answers         int
	PerSecond       float64
	Unknown         int
	Median, Slowest string
}

func (d *drawing) parts() {
	n := max(1, int(math.Ceil(d.Time.Last/d.Time.Step-.05))) // what is left over belongs to the last
	all := make([]part, n)
	took := make([][]int64, n)
	at := func(ns int64) int { return min(n-1, int(seconds(ns)/d.Time.Step)) }
	for i := range d.History {
		o := &d.History[i]
		switch {
		case answered(o):
			all[at(o.Return)].Answers++
			took[at(o.Return)] = append(took[at(o.Return)], o.Return-o.Call)
		case o.Status == history.Unknown:
			all[at(o.Call)].Unknown++
		}
	}
	for i := range all {
		from := d.Time.Step * float64(i)
		to := from + d.Time.Step
		if i == n-1 {
			to = d.Time.Last
		}
		s := &all[i]
		s.From, s.To, s.PerSecond = fmt.Sprintf("%.0f", from), fmt.Sprintf("%.0f", to), float64(s.Answers)/(to-from)
		if slices.Sort(took[i]); len(took[i]) > 0 {
			s.Median, s.Slowest = lasting(took[i][len(took[i])/2]), lasting(took[i][len(took[i])-1])
		}
	}
	d.Parts = all
}
