//go:build linux

package rig

import (
	"bufio"
	"os"
	"strings"
)

// Told is what the nodes' logs tell of their lives.
type Told struct {
	Lives     int // processes that were started
	Reigns    int // times that one of them led
	Installed int // snapshots that one had from another, instead of from its disk
}

// Told reads the logs of all nodes.
func (r *Rig) Told() (t Told, err error) {
	for _, n := range r.Nodes {
		if err := n.told(&t); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (n *Node) told(t *Told) error {
	log, err := os.Open(n.log.Name())
	if err != nil {
		return err
	}
	defer log.Close()
	started := false // what is restored before is from its own disk
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20) // a panic's stack
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, lifeMark):
			t.Lives++
			started = false
		case strings.Contains(line, "msg=started "):
			started = true
		case strings.Contains(line, "msg=leading "):
			t.Reigns++
		case strings.Contains(line, `msg="snapshot restored"`) && started:
			t.Installed++
		}
	}
	return lines.Err()
}
