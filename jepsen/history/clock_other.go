//go:build !linux

package history

import "time"

// MachineClock is one clock for all processes of a machine, in nanoseconds: the time
// of day, which nobody may set meanwhile.
func MachineClock() int64 { return time.Now().UnixNano() }
