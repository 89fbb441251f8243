package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// parts: each power of two is cut into so many buckets, of which the middle
	// is off by at most 1/128 of a value, 0.8 %.
	partsBits = 6
	parts     = 1 << partsBits
	buckets   = (63 - partsBits + 1) * parts // every duration has one; 29 KiB
)

// A Histogram counts durations in fixed memory. Its quantiles are off by less
// than 1 %, its maximum is exact, and merging two loses nothing. The zero value is
// empty; any number of goroutines may Record.
type Histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64
}

// Record counts a duration; a negative one is 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(1)
	for known := h.max.Load(); int64(d) > known && !h.max.CompareAndSwap(known, int64(d)); known = h.max.Load() {
	}
}

// bucketOf: the first two rows of parts are exact, each later one is a power of
// two.
func bucketOf(d time.Duration) int {
	shift := max(0, bits.Len64(uint64(d))-partsBits-1)
	return shift*parts + int(uint64(d)>>shift)
}

// middleOf is the middle of a bucket, of which the least value is known by
// turning bucketOf around.
func middleOf(bucket int) time.Duration {
	shift := max(0, bucket/parts-1)
	least := int64(bucket-shift*parts) << shift
	return time.Duration(least + (int64(1)<<shift)/2)
}

// Count is how many durations there are.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Max is the longest duration; 0 if there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Quantile is the duration number p*n of n in order, from 0; the last if there is
// no such, and 0 if there is none at all.
func (h *Histogram) Quantile(p float64) time.Duration {
	n := h.Count()
	rank := min(uint64(math.Floor(p*float64(n))), max(n, 1)-1)
	var seen uint64
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen > rank {
			return min(middleOf(i), h.Max())
		}
	}
	return h.Max()
}

// Merge counts what another histogram has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i := range h.counts {
		h.counts[i].Add(other.counts[i].Load())
	}
	h.max.Store(max(h.max.Load(), other.max.Load()))
}

// A written is a Histogram as JSON: of the buckets, those that are not empty.
type written struct {
	Max    int64          `json:"max"`
	Counts map[int]uint64 `json:"counts"`
}

// MarshalJSON implements json.Marshaler.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	w := written{h.max.Load(), map[int]uint64{}}
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			w.Counts[i] = n
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var w written
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	for i, n := range w.Counts {
		if i < 0 || i >= buckets {
			return fmt.Errorf("bench: a histogram has no bucket %d", i)
		}
		h.counts[i].Store(n)
	}
	h.max.Store(w.Max)
	return nil
}
