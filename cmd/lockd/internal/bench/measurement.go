package bench

import (
	"cmp"
	"slices"
	"time"
)

// A Measurement is what a run has measured. It travels between processes as
// JSON.
type Measurement struct {
	Streams   int
	Processes int
	Contended bool
	Elapsed   time.Duration // that counts; less than planned if the run was ended
	Acquire   *Histogram
	Cycle     *Histogram
	Ends      *Timeline // of cycles
	Cycles    []uint64  // of each client
	Errors    uint64    // of acquires and releases, the warm-up's included

	FirstError string // "" if there was none
	Violation  string // of what locks promise; "" as it should be
}

// Merge adds what another process measured at the same time.
func (m *Measurement) Merge(other *Measurement) {
	m.Streams += other.Streams
	m.Processes += other.Processes
	m.Elapsed = max(m.Elapsed, other.Elapsed)
	m.Acquire.Merge(other.Acquire)
	m.Cycle.Merge(other.Cycle)
	m.Ends.merge(other.Ends)
	m.Cycles = append(m.Cycles, other.Cycles...)
	m.Errors += other.Errors
	m.FirstError = cmp.Or(m.FirstError, other.FirstError)
	m.Violation = cmp.Or(m.Violation, other.Violation)
}

// A Row is what people and scripts read of a Measurement.
type Row struct {
	Clients         int      `json:"clients"`
	Streams         int      `json:"streams"`
	Processes       int      `json:"processes"`
	Contended       bool     `json:"contended"`
	Seconds         float64  `json:"seconds"`
	Cycles          uint64   `json:"cycles"`
	CyclesPerSecond float64  `json:"cycles_per_second"`
	Acquire         Spread   `json:"acquire_ms"`
	Cycle           Spread   `json:"cycle_ms"`
	LongestGap      int64    `json:"longest_gap_ms"` // without the end of a cycle, in whole ms
	Fairness        Fairness `json:"fairness"`
	Errors          uint64   `json:"errors"`
	FirstError      string   `json:"first_error,omitempty"`
}

// A Spread is of durations, in milliseconds.
type Spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Fairness compares the cycles of the clients. Ratio is most by fewest, and nil
// where a client had none.
type Fairness struct {
	Fewest uint64   `json:"fewest"`
	Most   uint64   `json:"most"`
	Ratio  *float64 `json:"ratio"`
}

// Row sums up.
func (m *Measurement) Row() Row {
	r := Row{
		Clients: len(m.Cycles), Streams: m.Streams, Processes: m.Processes, Contended: m.Contended,
		Seconds: m.Elapsed.Seconds(), Cycles: m.Cycle.Count(),
		Acquire: spreadOf(m.Acquire), Cycle: spreadOf(m.Cycle),
		LongestGap: m.Ends.longestGap(m.Elapsed).Milliseconds(),
		Errors:     m.Errors, FirstError: m.FirstError,
	}
	if m.Elapsed > 0 {
		r.CyclesPerSecond = float64(r.Cycles) / m.Elapsed.Seconds()
	}
	if len(m.Cycles) > 0 {
		r.Fairness = Fairness{Fewest: slices.Min(m.Cycles), Most: slices.Max(m.Cycles)}
	}
	if f := &r.Fairness; f.Fewest > 0 {
		ratio := float64(f.Most) / float64(f.Fewest)
		f.Ratio = &ratio
	}
	return r
}

func spreadOf(h *Histogram) Spread {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return Spread{ms(h.Quantile(0.5)), ms(h.Quantile(0.99)), ms(h.Max())}
}
