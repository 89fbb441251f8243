package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/lockd-io/lockd/jepsen/workload"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A jepsenFlags is the command line of jepsen.
type jepsenFlags struct {
	clientFlags
	load       workload.Load
	workload   string
	prefix     string
	out        string
	searchTime time.Duration
	asJSON     bool
	resource   string // of the workload engine; "" is one of its own
	first      int
}

func newJepsen() *cobra.Command {
	var f jepsenFlags
	command := &cobra.Command{
		Use:   "jepsen",
		Short: "Judge a running cluster by what befalls its clients",
		Long: `jepsen uses a cluster as clients would that do not trust it: they contend for few
names, forget what they hold, go away without a word, send commands twice by two
nodes, and let their sessions expire. It records every call and every answer, and
looks for an order that explains them all by what a lock service may answer:
docs/guarantees.md, of which the model knows nothing else. It also holds each answer
against the position in the log that the service says it has. --workload engine is
another kind: applications with the Go client take turns at a resource; no two may
be sure of the lock at one time, and no write may be lost.

It does no harm to the cluster by itself: kill and cut off nodes meanwhile, as you
like. Its names begin with --prefix; whatever is left of them ends with their
sessions, within --ttl.

It exits with 0 if there is an order, with 1 if there is none or none was found in
time. With --out it keeps the history, as JSON lines and as EDN for Jepsen's own
checkers, and a picture of the part that has no order. Ctrl-C judges what there is.`,
		Example: `  lockd jepsen
  lockd jepsen --endpoints 10.0.0.1:7600,10.0.0.2:7600 --workload rwlock --time 5m --out /tmp/history
  lockd jepsen --json | jq .verdict`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			return failed(f.run(command.Context(), command.OutOrStdout(), command.ErrOrStderr()))
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.workload, "workload", "mixed", "what is asked for: "+strings.Join(workload.Workloads(), ", "))
	flags.DurationVar(&f.load.Time, "time", 30*time.Second, "how long")
	flags.IntVar(&f.load.Clients, "clients", 8, "clients at a time")
	flags.DurationVar(&f.load.TTL, "ttl", time.Second, "of sessions, half as long to twice as long: short, so that many expire")
	flags.DurationVar(&f.load.Wait, "wait", 200*time.Millisecond, "of acquires that wait")
	flags.DurationVar(&f.load.Patience, "patience", 3*time.Second, "after which a client takes an answer for lost")
	flags.Uint64Var(&f.load.Seed, "seed", 0, "of what clients do (default: a random one)")
	flags.StringVar(&f.prefix, "prefix", "", "what names begin with (default: jepsen/ and a random word)")
	f.judging(flags)
	flags.StringVar(&f.resource, "resource", "", "`ADDRESS` of the resource that several of --workload engine share (see lockd jepsen resource)")
	flags.IntVar(&f.first, "first-client", 1, "number of the first client: those who share a resource differ in it")
	f.clientFlags.add(flags)
	command.AddCommand(newJudge(), newJepsenResource())
	return command
}

// judging are the flags of whatever judges a history.
func (f *jepsenFlags) judging(flags *pflag.FlagSet) {
	flags.StringVar(&f.out, "out", "", "`DIR` for the history, and a picture of what has no order")
	flags.DurationVar(&f.searchTime, "search-time", 2*time.Minute, "how long to look for an order of each group of names")
	flags.BoolVar(&f.asJSON, "json", false, "one JSON object")
}

func (f *jepsenFlags) check() error {
	if f.prefix == "" {
		f.prefix = ownPrefix("jepsen")
	}
	if f.load.Names = workload.Names(f.workload, f.prefix); f.load.Names == nil && f.workload != workload.EngineName {
		return usage("--workload %s: there are %s", f.workload, strings.Join(workload.Workloads(), ", "))
	}
	switch {
	case f.load.Clients < 1 || f.load.Clients > 1000:
		return usage("--clients %d: 1 to 1000", f.load.Clients)
	case f.resource != "" && f.workload != workload.EngineName:
		return usage("--resource is of --workload %s", workload.EngineName)
	case f.first < 1:
		return usage("--first-client %d: 1 at least", f.first)
	case f.load.Time <= 0 || f.load.Wait <= 0 || f.load.Patience <= 0 || f.searchTime <= 0:
		return usage("--time, --wait, --patience and --search-time must each be longer than 0")
	}
	if err := checkTTL(f.load.TTL); err != nil {
		return err
	}
	if f.load.Seed == 0 {
		n, err := rand.Int(rand.Reader, big.NewInt(1<<53)) // as JSON has numbers
		if err != nil {
			return err
		}
		f.load.Seed = n.Uint64() + 1
	}
	return nil
}

func (f *jepsenFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.out != "" { // better now than when there is a history to be lost
		if err := os.MkdirAll(f.out, 0o700); err != nil {
			return usage("--out: %w", err)
		}
	}
	if err := f.found(ctx); err != nil {
		return err
	}
	ctx, came := interruptible(ctx)
	result, err := f.judged(ctx, stderr)
	if err != nil {
		return err
	}
	if err := printJepsen(stdout, result, f.asJSON); err != nil {
		return err
	}
	if sig := came(); sig != nil && result.Verdict == verdict.Pass.String() {
		return bySignal(sig)
	}
	if result.Verdict != verdict.Pass.String() {
		return &exitError{exitFailure, errors.New("the cluster is not what it promises, or that is not known: " + result.Verdict)}
	}
	return nil
}

// judged lets clients, or applications, work, and judges what befell them.
func (f *jepsenFlags) judged(ctx context.Context, stderr io.Writer) (jepsenResult, error) {
	if f.workload == workload.EngineName {
		return f.engine(ctx, stderr)
	}
	close, err := f.ways()
	if err != nil {
		return jepsenResult{}, err
	}
	defer close()
	// What contends for one name in two TTLs is little enough for an order to be found.
	f.load.Renamed = 2 * f.load.TTL
	record := history.NewRecorder()
	stop := f.progress(record, stderr)
	told := f.load.Run(ctx, record)
	if told == nil {
		told = f.load.Left(ctx)
	}
	stop()
	h := record.History()
	result, judged := f.judge(h, told)
	result.Began = record.Began()
	if err := f.keep(h, judged); err != nil {
		return result, fmt.Errorf("--out: %w", err)
	}
	return result, nil
}

// ways opens a way through each endpoint, and one that finds its own.
func (f *jepsenFlags) ways() (close func(), err error) {
	var all []*remote.Backend
	close = func() {
		for _, b := range all {
			b.Close()
		}
	}
	routes := [][]string{f.endpoints}
	for _, endpoint := range f.endpoints {
		routes = append(routes, []string{endpoint})
	}
	for _, route := range routes {
		b, err := remote.Open(route, remote.Options{})
		if err != nil {
			close()
			return nil, usage("--endpoints: %w", err)
		}
		all = append(all, b)
		f.load.Ways = append(f.load.Ways, b)
	}
	f.load.Pinned = min(len(f.endpoints), f.load.Clients/2)
	return close, nil
}
