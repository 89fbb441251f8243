package cluster

import (
	"sync"
	"time"
)

// watchLooks is how many looks a watchdog takes before it barks.
const watchLooks = 8

// A watchdog barks once something has been under way for too long. It counts short
// looks, and not the time: a process that is stopped and goes on sees one timer end,
// however long that was, and its disk did nothing wrong.
type watchdog struct {
	nap  time.Duration
	bark func()

	mu    sync.Mutex // guards the fields below
	timer *time.Timer
	looks int
	over  bool
}

// watch barks after patience, from a goroutine of its own, unless it is stopped
// before.
func watch(patience time.Duration, bark func()) *watchdog {
	w := &watchdog{nap: patience / watchLooks, bark: bark}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.nap, w.look)
	return w
}

func (w *watchdog) look() {
	w.mu.Lock()
	w.looks++
	late := !w.over && w.looks == watchLooks
	if !w.over && !late {
		w.timer.Reset(w.nap)
	}
	w.mu.Unlock()
	if late {
		w.bark()
	}
}

// stop ends the watch. A bark may be under way.
func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true // also for a look that has begun and waits
	w.timer.Stop()
}
