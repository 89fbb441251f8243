package cluster

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// histogramFirst is the upper bound of the first bucket: the fastest disk
	// flushes in about that time. Each bound is twice the one before.
	histogramFirst = 250 * time.Microsecond
	// histogramBuckets reach 4.096 s; one more bucket has what takes longer.
	histogramBuckets = 15
)

// A Histogram counts durations since the node was opened.
type Histogram struct {
	// Buckets are counts, none of which contains another: Buckets[i] is of the
	// durations over Bound(i-1), and up to Bound(i); the last of those that are
	// over all bounds.
	Buckets [histogramBuckets + 1]uint64
	// Sum is of all durations.
	Sum time.Duration
}

// Bound is the upper bound of a bucket: 250 us, 500 us, 1 ms and so on, twice as
// much each time, up to 4.096 s; 0 for the last, which has none.
func (Histogram) Bound(bucket int) time.Duration {
	if bucket < 0 || bucket >= histogramBuckets {
		return 0
	}
	return histogramFirst << bucket
}

// Count is how many durations were counted.
func (h Histogram) Count() uint64 {
	sum := uint64(0)
	for _, n := range h.Buckets {
		sum += n
	}
	return sum
}

// A histogram is one that is being counted. Its zero is ready, and nil counts
// nothing.
type histogram struct {
	buckets [histogramBuckets + 1]atomic.Uint64
	sum     atomic.Int64
}

func (h *histogram) observe(d time.Duration) {
	if h == nil {
		return
	}
	bucket := 0
	if d > histogramFirst {
		bucket = min(bits.Len64(uint64((d-1)/histogramFirst)), histogramBuckets)
	}
	h.buckets[bucket].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) read() Histogram {
	out := Histogram{Sum: time.Duration(h.sum.Load())}
	for i := range h.buckets {
		out.Buckets[i] = h.buckets[i].Load()
	}
	return out
}
