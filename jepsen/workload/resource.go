package workload

import (
	"fmt"
	"sync"
)

// A Resource is what applications take turns at: a number that each reads, works on,
// and writes back greater by one. There are two of them. The fenced one refuses a
// write with a token that is less than the greatest it has seen. Its twin takes every
// write, and shows what the token is for.
//
// The fenced one sees the token with the read already, and that it must: s1 reads
// with token 1 and is paused, its session ends, s2 reads with token 2, and s1 wakes
// and writes. Were tokens only seen with writes, s1's would be the greatest still.
// It would be told that it has written, and s2, who read before, would undo it.
//
// Any number of applications may use it. The zero value has nothing in it.
type Resource struct {
	mu    sync.Mutex // guards the fields below
	fence uint64     // the greatest token that was seen
	tally Tally
}

// A Look is an application's, who says who it is and what it may.
type Look struct {
	Client int
	Token  uint64
}

// A Reading is what an application sees of a resource.
type Reading struct {
	Overtaken bool // a greater token was seen before
	Fenced    int
	Unfenced  int
}

// A Writing is what an application makes of a reading.
type Writing struct {
	Client           int
	Token            uint64
	Fenced, Unfenced int
}

// A Tally is what came of a resource, and who is at it. Each write adds one to what was read, so that
// a number is as many as its writes if each was of what the one before had left. As
// many as it is short of that were lost, for good: what is written on what was read
// before a loss makes up for that loss, but never for the first.
type Tally struct {
	AtWork   int // client that read last; 0 when it has written
	Fenced   int
	Taken    int // writes that made Fenced
	Refused  int
	Unfenced int
	Written  int // writes that made Unfenced
}

// Lost is how many writes the fenced resource took and has nothing of.
func (t Tally) Lost() int { return t.Taken - t.Fenced }

// TwinLost is how many writes the unfenced twin took and has nothing of.
func (t Tally) TwinLost() int { return t.Written - t.Unfenced }

// String is the tally in a line.
func (t Tally) String() string {
	return fmt.Sprintf("unfenced twin: %d of %d updates lost; fenced: %d lost, %d refused", t.TwinLost(), t.Written, t.Lost(), t.Refused)
}

// Read shows both numbers, and the token to the fence.
func (r *Resource) Read(by Look) (Reading, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	overtaken := by.Token < r.fence
	r.fence = max(r.fence, by.Token)
	r.tally.AtWork = by.Client
	return Reading{Overtaken: overtaken, Fenced: r.tally.Fenced, Unfenced: r.tally.Unfenced}, nil
}

// Write replaces the twin's number, and the fenced one if nobody has come since
// with a greater token.
func (r *Resource) Write(w Writing) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tally.AtWork == w.Client {
		r.tally.AtWork = 0
	}
	r.tally.Unfenced = w.Unfenced
	r.tally.Written++
	if w.Token < r.fence {
		r.tally.Refused++
		return nil
	}
	r.fence = w.Token
	r.tally.Fenced = w.Fenced
	r.tally.Taken++
	return nil
}

// Tally is what came of it so far.
func (r *Resource) Tally() (Tally, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally, nil
}
