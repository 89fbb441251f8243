package lockapi

import "time"

// processClock is the runtime's monotonic time. On some systems it stands
// still while the machine sleeps: there, after a sleep, only the token helps.
func processClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
