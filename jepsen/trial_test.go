//go:build jepsen

package jepsen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/report"
	"github.com/lockd-io/lockd/jepsen/rig"
)

// A trial is one workload on one cluster that is maltreated.
type trial struct {
	t        *testing.T
	dir      string
	binary   string
	workload string
	number   int // among the workloads: each begins with other faults
	rig      *rig.Rig
	events   []rig.Event
	stepped  bool // the time of day was stepped, so that logs cannot be compared with the history
	page     report.Page
}

// trialClients are at work at a time.
const trialClients = 20

// quiet is how long clients go on after the last fault.
const quiet = 15 * time.Second

// A judgement is what `lockd jepsen --json` says.
type judgement struct {
	Verdict    string
	Began      time.Time
	Operations int
	Searched   int
	Shown      int
	Witnessed  int
	Expired    int
	Outcomes   report.Outcomes
	Idle       float64 `json:"idle_seconds"`
	Findings   []string
}

// maltreat adds to all what the trial came to.
func (run *trial) maltreat(ctx context.Context, all *figures) {
	run.under(ctx, all, func(ctx context.Context) {
		faults, missing := possible(run.t, run.rig)
		run.page.Facts = append(run.page.Facts, missing...)
		run.events = run.trouble(ctx, faults)
	})
}

// under is a trial under whatever trouble there is, from which the cluster is to
// recover by itself.
func (run *trial) under(ctx context.Context, all *figures, trouble func(context.Context)) {
	t := run.t
	if err := os.MkdirAll(run.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if run.rig, err = rig.New(run.dir, run.binary, 3, "--snapshot-bytes", "50000", "--trailing-logs", "16"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := run.rig.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := run.rig.Start(); err != nil {
		t.Fatal(err)
	}
	ready(t, run.rig)
	work := run.clients()
	trouble(ctx)
	ready(t, run.rig)
	got := work(ctx)
	if got.Idle > quiet.Seconds()/2 {
		t.Errorf("left alone, nobody has had the lock for %.1f s: somebody has it who does not know", got.Idle)
	}
	agreed := run.leftAlone()

	told, err := run.rig.Told()
	if err != nil {
		t.Error(err)
	}
	sum := figures{
		operations: got.Operations, searched: got.Searched, shown: got.Shown, witnessed: got.Witnessed, expired: got.Expired,
		reigns: len(told.Reigns), installed: told.Installed, lives: len(told.Lives), compared: agreed.Entries,
	}
	for _, e := range run.events {
		sum.fault(e.Fault)
	}
	all.add(&sum)
	t.Logf("seed %d: %s: %v; %v", *seed, got.Verdict, &sum, got.Outcomes)
	run.befell(got.Began)
	if !run.stepped {
		run.led(told, got.Began)
	}
	run.page.Title, run.page.Service, run.page.Verdict, run.page.Findings = "lockd, "+run.workload, "lockd", got.Verdict, got.Findings
	run.page.Findings = append(run.page.Findings, findingsOf(agreed)...)
	run.page.Facts = append(run.page.Facts, fmt.Sprintf("again: make jepsen SEED=%d WORKLOAD=%s LASTS=%v", *seed, run.workload, *lasts))
	run.page.Clients, run.page.Figures, run.page.Outcomes = trialClients, sum.list(), got.Outcomes
	run.draw()
	if t.Failed() {
		t.Logf("again: make jepsen SEED=%d WORKLOAD=%s LASTS=%v", *seed, run.workload, *lasts)
	}
}

// clients begins their work. What is returned waits for its end, and for the
// judgement.
func (run *trial) clients() func(context.Context) judgement {
	t := run.t
	ttl := "1s" // short, so that many expire
	if run.workload == "engine" {
		ttl = "4s" // its clients mean to keep what they hold
	}
	var result, said bytes.Buffer
	cmd := run.rig.Client(context.Background(), "jepsen", "--endpoints", run.rig.Endpoints(), "--workload", run.workload, "--seed", fmt.Sprint(*seed),
		"--time", lasts.String(), "--clients", fmt.Sprint(trialClients), "--ttl", ttl, "--wait", "100ms", "--patience", "2s", "--out", filepath.Join(run.dir, "history"), "--json")
	cmd.Stdout, cmd.Stderr = &result, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is told to it once its cluster is well again
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // if nobody has waited for it
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return func(ctx context.Context) (got judgement) {
		stopping := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) })
		defer stopping()
		ended := cmd.Wait()
		if err := json.Unmarshal(result.Bytes(), &got); err != nil {
			t.Fatalf("%v (%v): %s %s", err, ended, result.String(), said.String())
		}
		if got.Verdict != "pass" {
			t.Errorf("%s", result.String())
		}
		if exit, ok := ended.(*exec.ExitError); ended != nil && (!ok || got.Verdict == "pass" && ctx.Err() == nil) {
			t.Errorf("the clients: %v %v\n%s", ended, exit, said.String())
		}
		return got
	}
}

// trouble is what befalls the cluster, and at its end the power fails everywhere.
func (run *trial) trouble(ctx context.Context, faults []rig.Fault) []rig.Event {
	t := run.t
	some := *lasts - quiet
	trouble, done := context.WithTimeout(ctx, some)
	defer done()
	n := rig.Nemesis{
		Rig: run.rig, Faults: faults, Seed: *seed, Skip: run.number * len(faults) / 6, Hold: 4 * time.Second, Rest: 2 * time.Second,
		Tell: func(text string) { t.Log(text) },
	}
	events, err := n.Run(trouble, some)
	if err != nil {
		t.Fatalf("the nemesis, after %v: %v", events, err)
	}
	if *only == "" {
		at := time.Now()
		if err := run.rig.PowerCut(run.rig.Nodes...); err != nil {
			t.Fatal(err)
		}
		events = append(events, rig.Event{Fault: powerCut, To: "all nodes", Begin: at, End: time.Now()})
	}
	if err := run.rig.Start(); err != nil {
		t.Fatal(err)
	}
	return events
}
