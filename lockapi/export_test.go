package lockapi

import "time"

// WithNow is o with another clock.
func (o Options) WithNow(now func() time.Duration) Options {
	o.now = now
	return o
}

// Names of the engine that tests of other packages must know.
const (
	Grace      = grace
	DriftShare = driftShare
)

// MarginOf is how long before a deadline a client stops believing.
func MarginOf(ttl time.Duration) time.Duration { return marginOf(ttl) }
