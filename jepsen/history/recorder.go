package history

import (
	"sync"
	"time"
)

// A Recorder writes a history while it happens. All operations are timed on one
// clock, so that what is before what is real. Any goroutine may use it.
type Recorder struct {
	start time.Time

	mu  sync.Mutex // guards the fields below
	ops History
	n   int
}

// NewRecorder begins a history now.
func NewRecorder() *Recorder { return &Recorder{start: time.Now()} }

// Began is when the history began, by the time of day.
func (r *Recorder) Began() time.Time { return r.start }

// Now is the time since the beginning, in nanoseconds, by the monotonic clock.
func (r *Recorder) Now() int64 { return int64(time.Since(r.start)) }

// Call numbers an operation and notes that it is sent now.
func (r *Recorder) Call(o Op) *Op {
	r.mu.Lock()
	r.n++
	o.ID = r.n
	r.mu.Unlock()
	o.Call = r.Now() // the last thing before it is sent
	return &o
}

// Return notes what came of the operation, now if its fate is known. It must be
// the first thing after the answer.
func (r *Recorder) Return(o *Op, status Status, code string) {
	o.Status, o.Code = status, code
	if status != Unknown {
		o.Return = r.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, *o)
}

// Len is how many operations were recorded so far.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ops)
}

// History is what was recorded so far, in the order of calls.
func (r *Recorder) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := append(History(nil), r.ops...)
	h.Sort()
	return h
}
