//go:build linux

package rig

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Told is what the nodes' logs tell of their lives, by the time of day.
type Told struct {
	Lives     []Life  // in the order of nodes
	Reigns    []Reign // in the order of terms
	Installed int     // snapshots that one had from another, instead of from its disk
}

// A Life is one process of a node.
type Life struct {
	Node  string
	Began time.Time
	Ready time.Time // it had caught up with a leader; zero if it never had
	Over  time.Time // zero if it was not
}

// A Reign is a term in which a node led: from when its first entry was committed
// until it gave up, ended, or a later one began. A leader that is stopped gives up
// late, so that a later reign tells the end of its own.
type Reign struct {
	Node  string
	Term  uint64
	Began time.Time
	Over  time.Time // zero if it was not
}

// Told reads the logs of all nodes.
func (r *Rig) Told() (t Told, err error) {
	for _, n := range r.Nodes {
		log, err := os.Open(n.log.Name())
		if err != nil {
			return t, err
		}
		err = t.read(n.ID, log)
		_ = log.Close()
		if err != nil {
			return t, fmt.Errorf("%s: %w", log.Name(), err)
		}
	}
	t.succeed()
	return t, nil
}

// read takes the log of a node.
func (t *Told) read(node string, log io.Reader) error {
	first, firstReign := len(t.Lives), len(t.Reigns)
	started := false // what is restored before is from its own disk
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20) // a panic's stack
	for lines.Scan() {
		line := lines.Text()
		mark, rest, _ := strings.Cut(strings.TrimPrefix(line, markPrefix), " ")
		switch {
		case strings.HasPrefix(line, markPrefix):
			at, err := time.Parse(time.RFC3339Nano, rest)
			if err != nil {
				return err
			}
			started = false
			if mark == lifeMark {
				t.Lives = append(t.Lives, Life{Node: node, Began: at})
				continue
			}
			if len(t.Lives) == first {
				return fmt.Errorf("%q comes before any life", line)
			}
			life := &t.Lives[len(t.Lives)-1]
			switch mark {
			case readyMark:
				life.Ready, started = at, true
			case overMark:
				life.Over = at
				t.gaveUp(firstReign, at)
			}
		case strings.Contains(line, "msg=started "):
			started = true
		case strings.Contains(line, "msg=leading "):
			reign := Reign{Node: node}
			if err := reign.begin(line); err != nil {
				return err
			}
			t.Reigns = append(t.Reigns, reign)
		case strings.Contains(line, `msg="leading no more" `):
			at, err := timeOf(line)
			if err != nil {
				return err
			}
			t.gaveUp(firstReign, at)
		case strings.Contains(line, `msg="snapshot restored"`) && started:
			t.Installed++
		}
	}
	return lines.Err()
}

// gaveUp ends the last reign of the node whose first one is at that place, if it is
// not over.
func (t *Told) gaveUp(first int, at time.Time) {
	if last := len(t.Reigns) - 1; last >= first && t.Reigns[last].Over.IsZero() {
		t.Reigns[last].Over = at
	}
}

// succeed puts reigns into the order of terms: who is followed rules no more.
func (t *Told) succeed() {
	slices.SortFunc(t.Reigns, func(a, b Reign) int { return cmp.Compare(a.Term, b.Term) })
	for i := range t.Reigns[:max(0, len(t.Reigns)-1)] {
		r, next := &t.Reigns[i], t.Reigns[i+1].Began
		if r.Over.IsZero() || r.Over.After(next) {
			r.Over = next
		}
	}
}

func (r *Reign) begin(line string) (err error) {
	if r.Began, err = timeOf(line); err != nil {
		return err
	}
	_, err = fmt.Sscan(valueOf(line, "term="), &r.Term)
	return err
}

func timeOf(line string) (time.Time, error) {
	return time.Parse(time.RFC3339Nano, valueOf(line, "time="))
}

// valueOf is what follows a key, up to the next space.
func valueOf(line, key string) string {
	_, rest, _ := strings.Cut(line, key)
	value, _, _ := strings.Cut(rest, " ")
	return value
}
