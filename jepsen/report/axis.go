package report

import (
	"fmt"
	"math"
	"strconv"
)

// Sizes of the drawings, in their own units.
const width, height = 1000.0, 160.0

// An axis is of time, from 0 to Last.
type axis struct {
	Last  float64 // seconds
	Step  float64
	Ticks []tick
}

type tick struct {
	At   float64 // on the drawing
	Text string
}

// timeAxis has a dozen ticks or so.
func timeAxis(last int64) axis {
	a := axis{Last: seconds(last), Step: 3600}
	for _, s := range []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800} {
		if a.Last/s <= 15 {
			a.Step = s
			break
		}
	}
	for t := 0.0; t <= a.Last; t += a.Step {
		a.Ticks = append(a.Ticks, tick{At: width * t / a.Last, Text: strconv.FormatFloat(t, 'f', -1, 64) + " s"})
	}
	return a
}

// at is where a time is drawn.
func (a axis) at(ns int64) float64 { return width * seconds(ns) / a.Last }

// round is a number not less than n of which there are few: 1, 2 or 5 and zeros.
func round(n float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(max(n, 1))))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= n {
			return m * power
		}
	}
	return 10 * power
}

// linear is an upright axis from 0 to at least the greatest, which is returned.
func linear(greatest float64) (top float64, ticks []tick) {
	top = round(greatest)
	for i := range 5 {
		n := top * float64(i) / 4
		ticks = append(ticks, tick{At: height * (1 - n/top), Text: strconv.FormatFloat(n, 'f', -1, 64)})
	}
	return top, ticks
}

// The upright axis of latencies is logarithmic.
const latencyMin, latencyMax = 1e5, 1e10 // nanoseconds

func logarithmic() (ticks []tick) {
	for ns := latencyMin; ns <= latencyMax; ns *= 10 {
		text := fmt.Sprintf("%g ms", ns/1e6)
		if ns >= 1e9 {
			text = fmt.Sprintf("%g s", ns/1e9)
		}
		ticks = append(ticks, tick{At: latencyAt(int64(ns)), Text: text})
	}
	return ticks
}

func latencyAt(took int64) float64 {
	share := math.Log10(math.Max(float64(took), latencyMin)/latencyMin) / math.Log10(latencyMax/latencyMin)
	return height * (1 - math.Min(1, share))
}
