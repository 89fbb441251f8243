//go:build planted

package jepsen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/rig"
	"github.com/lockd-io/lockd/jepsen/verdict"
)

const (
	// calm is how long a cluster is left alone at the end of a round.
	calm = 3 * time.Second
	// searchMax is for each group of names: what is wrong shows in some of them.
	searchMax  = "5s"
	sessionTTL = time.Second
)

// round lets clients work for a while, and tells how a fault shows, if it does.
func (b *bout) round(t *testing.T, lasts time.Duration) (shows string) {
	t.Helper()
	b.rounds++
	finding := ""
	if b.paused {
		finding = b.believe(t, lasts)
	} else {
		c := b.work(t, lasts)
		b.disturb(t, lasts-calm)
		finding = c.finding(t)
	}
	if finding != "" {
		t.Logf("%v: %.300s", lasts, finding)
		return kindOf(finding)
	}
	if err := b.ready(); err != nil {
		t.Logf("%v: %v\n%s", lasts, err, b.last(t))
		return b.stopped(t)
	}
	if agreed := b.agreed(t); agreed.Verdict == verdict.Violated {
		t.Logf("%v: %v", lasts, agreed.Findings[0])
		return "the nodes' journals differ"
	}
	return ""
}

// clients are a `lockd jepsen` that runs.
type clients struct {
	cmd          *exec.Cmd
	result, said bytes.Buffer
}

func (b *bout) work(t *testing.T, lasts time.Duration, more ...string) *clients {
	t.Helper()
	patience := 2 * time.Second
	if b.patience > 0 {
		patience = b.patience
	}
	args := append([]string{b.clients, "jepsen", "--endpoints", b.nodes.Endpoints(), "--workload", b.workload,
		"--seed", fmt.Sprint(b.seed*100 + b.rounds), "--time", lasts.String(), "--clients", "12", "--ttl", sessionTTL.String(),
		"--patience", patience.String(), "--search-time", searchMax, "--json"}, more...)
	c := &clients{cmd: b.nodes.Among(context.Background(), args...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.result, &c.said
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// finding waits for the judgement, and is the first thing that cannot be, if there is
// one. Clients that found nobody to talk to have found nothing.
func (c *clients) finding(t *testing.T) string {
	t.Helper()
	ended := c.cmd.Wait()
	var got struct {
		Verdict  string
		Findings []string
	}
	if err := json.Unmarshal(c.result.Bytes(), &got); err != nil {
		t.Logf("the clients: %v: %s", ended, c.said.String())
		return ""
	}
	if got.Verdict != verdict.Violated.String() {
		return ""
	}
	for _, found := range got.Findings {
		if !strings.Contains(found, " found in ") { // the search for another order took too long
			return found
		}
	}
	return got.Findings[0]
}

// disturb does to the cluster what the fault needs to show.
func (b *bout) disturb(t *testing.T, lasts time.Duration) {
	t.Helper()
	r, _ := b.nodes.(*rig.Rig)
	if r == nil {
		return
	}
	ctx, done := context.WithTimeout(context.Background(), lasts)
	defer done()
	n := rig.Nemesis{Rig: r, Faults: troubles(t, b.trouble), Seed: uint64(b.seed*100 + b.rounds), Hold: 2 * time.Second, Rest: time.Second,
		Tell: func(text string) { t.Log(text) }}
	if _, err := n.Run(ctx, lasts); err != nil {
		t.Fatal(err)
	}
}

// kinds are what findings say, without what is different each time.
func kinds() map[string]string {
	return map[string]string{
		"no order of":               "no order",
		"of its TTL left":           "a session was over before its time",
		"was overtaken by":          "a waiter was overtaken",
		"cannot be:":                "an answer that cannot be at its position",
		"was answered before":       "positions disagree with the clock",
		"answered twice":            "one command had two answers",
		"was sure of the lock":      "two were sure of the lock at one time",
		"is sure of the lock":       "one was sure of a lock that another had",
		"held the lock with token":  "a later holder had a smaller token",
		"the fenced resource lost":  "a write was lost",
		"never given":               "a grant was released that its session never had",
		"nobody held it":            "somebody was refused because of nobody",
		"after everybody has left ": "locks outlived their sessions",
	}
}

func kindOf(finding string) string {
	for text, kind := range kinds() {
		if strings.Contains(finding, text) {
			return kind
		}
	}
	return finding
}

// stopped is why the nodes do not come back. That a disk is slow is no fault that was
// planted.
func (b *bout) stopped(t *testing.T) string {
	t.Helper()
	for _, said := range b.logs(t) {
		if strings.Contains(said, "storage:") {
			t.Fatal("a node gave up its disk: this round says nothing")
		}
	}
	for _, said := range b.logs(t) {
		if why := regexp.MustCompile(`\b(diverged:|corrupt:|panicked:|panic:)`).FindString(said); why != "" {
			return "a node stops: " + strings.TrimSuffix(why, ":")
		}
	}
	return "the nodes do not come back to a leader"
}

// agreed compares what the nodes have written down of their states so far.
func (b *bout) agreed(t *testing.T) verdict.Agreed {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "*", "journal"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no journals in %s: %v", b.dir, err)
	}
	readers := make(map[string]io.Reader)
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		readers[name] = file
	}
	agreed, err := verdict.Agree(readers)
	if err != nil {
		t.Fatal(err)
	}
	return agreed
}
