package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Timeline notes in which milliseconds anything happened: 7.5 KB a minute,
// whatever the rate, and the union of two is exact.
type Timeline struct{ Words []uint64 }

func newTimeline(length time.Duration) *Timeline {
	return &Timeline{make([]uint64, length.Milliseconds()/64+1)}
}

// mark notes that something happened; what is outside is left out.
func (t *Timeline) mark(at time.Duration) {
	ms := at.Milliseconds()
	if at < 0 || ms/64 >= int64(len(t.Words)) {
		return
	}
	word, bit := &t.Words[ms/64], uint64(1)<<(ms%64)
	if atomic.LoadUint64(word)&bit == 0 {
		atomic.OrUint64(word, bit)
	}
}

// merge is the union; timelines of one bench are equally long.
func (t *Timeline) merge(other *Timeline) {
	for i := range min(len(t.Words), len(other.Words)) {
		t.Words[i] |= other.Words[i]
	}
}

// longestGap is the longest run of whole milliseconds, of the first length, in
// which nothing happened.
func (t *Timeline) longestGap(length time.Duration) time.Duration {
	var longest, run int64
	for ms := range min(length.Milliseconds(), int64(len(t.Words))*64) {
		if bits.RotateLeft64(t.Words[ms/64], -int(ms%64))&1 != 0 {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return time.Duration(longest) * time.Millisecond
}
