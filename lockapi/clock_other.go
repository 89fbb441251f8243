//go:build !linux

package lockapi

import "time"

func systemClock() func() time.Duration { return processClock() }
