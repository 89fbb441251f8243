//go:build jepsen

package jepsen_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	steps = flag.Bool("clock", false, "let TestWallClock set this machine's clock")
	far   = flag.Duration("step", 10*time.Minute, "how far, at most, to and fro")
)

// TestWallClock steps the time of day of the whole machine to and fro while clients
// work. Nothing may come of it: no TTL, timeout or token may look at it. It is not
// run without -clock, since everybody on the machine notices.
func TestWallClock(t *testing.T) {
	if !*steps {
		t.Fatal("this sets the machine's clock, and sets it right again in the end: say -clock, as make jepsen-clock does")
	}
	choose()
	right, err := timeOfDay()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := right.set(0); err != nil {
			t.Errorf("THE CLOCK OF THIS MACHINE IS WRONG NOW: %v", err)
		}
	}()
	if err := right.set(0); err != nil {
		t.Fatalf("the clock cannot be set on this machine, so nothing was tried: %v", err)
	}
	ctx, done := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer done()
	dir := *kept
	if dir == "" {
		dir = t.TempDir()
	}
	rng := rand.New(rand.NewPCG(*seed, 3))
	made := 0
	for i, workload := range []string{"mixed", "engine"} {
		run := trial{t: t, dir: filepath.Join(dir, "clock", workload), binary: lockdBinary(t), workload: workload, number: i, stepped: true}
		var all figures
		run.under(ctx, &all, func(ctx context.Context) {
			for end := time.Now().Add(*lasts - quiet); time.Until(end) > 0 && ctx.Err() == nil; made++ { // by the monotonic clock
				by := time.Duration(rng.Int64N(int64(2**far))) - *far
				if rng.IntN(2) == 0 {
					by /= 1000 // and small steps
				}
				if err := right.set(by); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
			}
			if err := right.set(0); err != nil {
				t.Error(err)
			}
		})
		t.Logf("%d steps of the clock so far; %v", made, &all)
	}
}

// A wallClock is how far the time of day is from the time since boot, in truth.
type wallClock struct{ ahead time.Duration }

func timeOfDay() (w wallClock, err error) {
	wall, err := clock(unix.CLOCK_REALTIME)
	if err != nil {
		return w, err
	}
	boot, err := clock(unix.CLOCK_BOOTTIME)
	return wallClock{wall - boot}, err
}

func clock(id int32) (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(id, &t)
	return time.Duration(t.Nano()), err
}

// set makes the time of day wrong by so much.
func (w wallClock) set(by time.Duration) error {
	boot, err := clock(unix.CLOCK_BOOTTIME)
	if err != nil {
		return err
	}
	t := unix.NsecToTimespec(int64(boot + w.ahead + by))
	return unix.ClockSettime(unix.CLOCK_REALTIME, &t)
}
