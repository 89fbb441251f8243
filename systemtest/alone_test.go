//go:build system

package systemtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Three nodes, each told to found a cluster of one and to join the others, started
// in any order: never two clusters, never two holders of one lock. Nobody founds;
// where one has the word to found alone, at most that one does.
func TestClustersOfOne(t *testing.T) {
	for round := range roundsAsked(t, 2) {
		for _, word := range []string{"", "--bootstrap-alone"} {
			t.Run(fmt.Sprintf("%d%s", round, word), func(t *testing.T) { clustersOfOne(t, word) })
		}
	}
}

func clustersOfOne(t *testing.T, word string) {
	c := prepareCluster(t)
	for i, n := range c.nodes {
		n.flag("--bootstrap-expect", "1")
		n.flag("--heartbeat-timeout", "200ms")
		if i == 1 && word != "" {
			n.args = append(n.args, word)
		}
	}
	for _, i := range rand.Perm(3) {
		c.nodes[i].boot()
		time.Sleep(rand.N(50 * time.Millisecond)) // any order, nearly at once
	}
	eventually(t, "each node founds or says why not", func() bool {
		for _, n := range c.nodes {
			if n.said("could found a cluster")+n.said("founds a cluster")+n.said("stays out until") == 0 {
				return false
			}
		}
		return true
	})
	// Each client knows one node. Who gets the lock holds it until all have tried.
	inside := filepath.Join(t.TempDir(), "inside")
	var clients []*process
	for _, n := range c.nodes {
		clients = append(clients, startIn(t, nil, "run", "--endpoints", n.listen, "--wait", "1s", "x", "--",
			"sh", "-c", "echo in >> "+inside+"; sleep 2"))
	}
	for _, p := range clients {
		p.wait(t)
	}
	founded, holders := 0, 0
	for _, n := range c.nodes {
		founded += n.said("founds a cluster")
		n.kill()
	}
	if text, err := os.ReadFile(inside); err == nil {
		holders = strings.Count(string(text), "in\n")
	}
	if limit := len(word) / max(1, len(word)); founded > limit || holders > limit {
		t.Errorf("%d clusters, %d holders of one lock", founded, holders)
	}
}
