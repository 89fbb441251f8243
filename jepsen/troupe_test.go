//go:build jepsen

package jepsen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/rig"
	"github.com/lockd-io/lockd/jepsen/workload"
)

const (
	actors       = 5 // processes at a time
	actorClients = 2 // applications in each
	actorTTL     = 1500 * time.Millisecond
	// pauseMax is of one pause: most outlive the TTL, some end just before it.
	pauseMax = actorTTL * 5 / 2
	// pauseEvery is between two, at most, and they may overlap.
	pauseEvery = 1500 * time.Millisecond
	// wakeMax is between two pauses of which the second follows at once.
	wakeMax = 5 * time.Millisecond
	// aimMax is how long to wait for somebody who is at work: longer than a session
	// of one who is paused stands in the way.
	aimMax = 2 * actorTTL
	// lastAct is how long before the end nothing befalls anybody any more.
	lastAct = 5 * time.Second
)

// A troupe is processes that use one resource, and that are paused and killed.
type troupe struct {
	t        *testing.T
	r        *rig.Rig
	dir      string
	resource string     // its address
	working  func() int // client that is at work
	rng      *rand.Rand
	end      time.Time
	stage    [actors]*actor // those who live
	all      []*actor       // in the order of their births

	pauses, long, kills int
}

// An actor is one process, for one life.
type actor struct {
	first        int // number of its first client
	dir          string
	cmd          *exec.Cmd
	result, said bytes.Buffer
	done         chan error // how it ended
	resume       time.Time  // when it is to go on; zero while it does
	killed       bool
}

// newTroupe begins the performance.
func newTroupe(t *testing.T, r *rig.Rig, dir, resource string, working func() int) *troupe {
	tr := &troupe{t: t, r: r, dir: dir, resource: resource, working: working, rng: rand.New(rand.NewPCG(*seed, 3)), end: time.Now().Add(*lasts)}
	t.Cleanup(tr.kill) // before the resource wants everybody gone
	for i := range tr.stage {
		tr.enter(i)
	}
	return tr
}

// enter gives a place to a new process.
func (tr *troupe) enter(place int) {
	tr.t.Helper()
	a := &actor{first: 1 + len(tr.all)*actorClients, done: make(chan error, 1)}
	a.dir = filepath.Join(tr.dir, fmt.Sprintf("clients-%d", a.first))
	a.cmd = tr.r.Client(context.Background(), "jepsen", "--endpoints", tr.r.Endpoints(), "--workload", "engine", "--prefix", "pauses/",
		"--resource", tr.resource, "--first-client", fmt.Sprint(a.first), "--clients", fmt.Sprint(actorClients), "--ttl", actorTTL.String(),
		"--time", time.Until(tr.end).String(), "--seed", fmt.Sprint(*seed), "--out", a.dir, "--json")
	a.cmd.Stdout, a.cmd.Stderr = &a.result, &a.said
	if err := a.cmd.Start(); err != nil {
		tr.t.Fatal(err)
	}
	go func() { a.done <- a.cmd.Wait() }()
	tr.stage[place] = a
	tr.all = append(tr.all, a)
}

// perform pauses one process or the other, and now and then kills one, until
// lastAct before the end. Then all run. Two times of three it waits for one
// that is between reading and writing: most of the others only wait for the lock.
func (tr *troupe) perform() {
	next, aimed := time.Now(), false
	for now := next; time.Until(tr.end) > lastAct; now = time.Now() {
		for _, a := range tr.stage {
			if !a.resume.IsZero() && now.After(a.resume) {
				a.goOn()
				if tr.rng.IntN(3) == 0 { // it hardly wakes: what it was told before is heard late
					time.Sleep(time.Duration(tr.rng.Int64N(int64(wakeMax))))
					tr.pause(a, now)
				}
			}
		}
		place := tr.atWork()
		if now.After(next.Add(aimMax)) || !aimed {
			place = tr.rng.IntN(actors)
		}
		if now.After(next) && place >= 0 {
			if aimed { // it has just read: anywhere in its work
				time.Sleep(time.Duration(tr.rng.Int64N(int64(workload.SharedWork))))
			}
			tr.befall(place, now)
			if tr.rng.IntN(3) == 0 {
				tr.befall(tr.rng.IntN(actors), now)
			}
			next = now.Add(pauseEvery/3 + time.Duration(tr.rng.Int64N(int64(pauseEvery)*2/3)))
			aimed = tr.rng.IntN(3) > 0
		}
		time.Sleep(time.Millisecond)
	}
	for _, a := range tr.stage {
		a.goOn()
	}
}

// atWork is the place of the one who is between reading and writing and not paused;
// -1 if there is none.
func (tr *troupe) atWork() int {
	client := tr.working()
	for i, a := range tr.stage {
		if client >= a.first && client < a.first+actorClients && a.resume.IsZero() {
			return i
		}
	}
	return -1
}

func (tr *troupe) befall(place int, now time.Time) {
	a := tr.stage[place]
	if tr.rng.IntN(8) == 0 { // paused or not
		a.killed = true
		_ = a.cmd.Process.Kill()
		tr.kills++
		tr.enter(place)
		return
	}
	if a.resume.IsZero() {
		tr.pause(a, now)
	}
}

func (tr *troupe) pause(a *actor, now time.Time) {
	_ = a.cmd.Process.Signal(syscall.SIGSTOP)
	d := time.Duration(tr.rng.Int64N(int64(pauseMax)))
	a.resume = now.Add(d)
	tr.pauses++
	if d > actorTTL {
		tr.long++
	}
}

func (a *actor) goOn() {
	a.resume = time.Time{}
	_ = a.cmd.Process.Signal(syscall.SIGCONT)
}

// finish waits until all have ended, and wants what they say of themselves to be right.
func (tr *troupe) finish() {
	tr.t.Helper()
	for _, a := range tr.all {
		ended := <-a.done
		a.done <- ended
		if a.killed {
			continue
		}
		var got struct {
			Verdict    string
			Operations int
		}
		if err := json.Unmarshal(a.result.Bytes(), &got); err != nil {
			tr.t.Errorf("clients from %d: %v, %v: %s", a.first, ended, err, a.said.String())
			continue
		}
		// Who comes last may never have its turn.
		if got.Verdict != "pass" && !(got.Verdict == "undecided" && got.Operations == 0) {
			tr.t.Errorf("clients from %d: %v: %s", a.first, ended, a.result.String())
		}
	}
}

// kill ends whoever is left.
func (tr *troupe) kill() {
	for _, a := range tr.all {
		_ = a.cmd.Process.Kill()
		a.done <- <-a.done
	}
}

// beliefs are those of all, also of those who were killed.
func (tr *troupe) beliefs() (all []history.Belief) {
	tr.t.Helper()
	for _, a := range tr.all {
		file, err := os.Open(filepath.Join(a.dir, "beliefs.jsonl"))
		if errors.Is(err, os.ErrNotExist) && a.killed {
			continue // it was not there for long
		}
		if err != nil {
			tr.t.Error(err)
			continue
		}
		beliefs, err := history.LoadBeliefs(file)
		_ = file.Close()
		if err != nil {
			tr.t.Errorf("%s: %v", file.Name(), err)
		}
		all = append(all, beliefs...)
	}
	return all
}

func (tr *troupe) clients() int { return len(tr.all) * actorClients }

// told is what befell them.
func (tr *troupe) told() string {
	return fmt.Sprintf("%d pauses, %d of them longer than the TTL of %v, %d kills", tr.pauses, tr.long, actorTTL, tr.kills)
}
