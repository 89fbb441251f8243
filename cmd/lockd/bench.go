package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/lockd-io/lockd/cmd/lockd/internal/bench"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/spf13/cobra"
)

// A benchFlags is the command line of bench.
type benchFlags struct {
	clientFlags
	clients   []int
	processes int
	plan      bench.Plan
	asJSON    bool
	profile   string
	worker    bool // one of the processes that a bench has started
}

func newBench() *cobra.Command {
	var f benchFlags
	command := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast locks are",
		Long: `bench acquires and releases locks as fast as it can, and tells how many such
cycles a second there were and how long they took. A client is a goroutine that
does one cycle after the other; all clients of a stream share a session and a
connection. Each client has a name of its own unless --contended: then all want
the same one, and the cycles per second are hand-overs per second.

A cycle counts if its acquire and its release ended within --duration. Times are
in milliseconds, right within 1 %. GAP is the longest time without the end of any
cycle. FAIRNESS is the cycles of the client that had most by those of the client
that had fewest.

It checks what it is given: tokens rise, and no name is held twice. If not, it says
so and exits with 1. Ctrl-C prints what was measured so far and exits with 130.`,
		Example: `  lockd bench
  lockd bench --clients 1,16,64,256,1024 --duration 5s --json
  lockd bench --contended --clients 16
  lockd bench --clients 1024 --processes 2     # when one process is too slow`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			if f.worker {
				return f.work(command)
			}
			return failed(f.run(command.Context(), command.OutOrStdout(), command.ErrOrStderr()))
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.IntSliceVar(&f.clients, "clients", []int{64}, "`N,...` goroutines; one row for each number")
	flags.IntVar(&f.plan.Streams, "streams", 0, "sessions, each with a connection, that clients share (default: one for every 512)")
	flags.IntVar(&f.processes, "processes", 1, "processes that clients and streams are divided among")
	flags.BoolVar(&f.plan.Contended, "contended", false, "all clients want one name")
	flags.DurationVar(&f.plan.Duration, "duration", 10*time.Second, "how long to measure")
	flags.DurationVar(&f.plan.Warmup, "warmup", time.Second, "how long to run before")
	flags.StringVar(&f.plan.Prefix, "prefix", "", "what names begin with (default: bench/ and a random word)")
	flags.BoolVar(&f.asJSON, "json", false, "one JSON object a row")
	flags.StringVar(&f.profile, "cpuprofile", "", "`FILE` for a CPU profile of the clients, of one process")
	f.clientFlags.add(flags)
	flags.BoolVar(&f.worker, "worker", false, "")
	_ = flags.MarkHidden("worker") // there is such a flag
	return command
}

// check sees that every row can be run before the first is.
func (f *benchFlags) check() error {
	if f.plan.Prefix == "" {
		f.plan.Prefix = ownPrefix("bench")
	}
	if len(f.clients) == 0 {
		return usage("--clients: how many?")
	}
	if f.profile != "" && f.processes > 1 {
		return usage("--cpuprofile is of one process; --processes %d are more", f.processes)
	}
	for _, n := range f.clients {
		p := f.plan
		p.Clients = n
		if err := p.Check(); err != nil {
			return usage("%w", err)
		}
		if _, err := p.Split(f.processes); err != nil {
			return usage("%w", err)
		}
	}
	return nil
}

// ownPrefix is for names that nobody else uses.
func ownPrefix(of string) string { return of + "/" + strings.ToLower(rand.Text()[:8]) + "/" }

// run measures row by row.
func (f *benchFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.found(ctx); err != nil {
		return err
	}
	ctx, came := interruptible(ctx)
	stop, err := profileTo(f.profile)
	if err != nil {
		return err
	}
	defer stop()
	print := printRow
	if f.asJSON {
		print = func(w io.Writer, r bench.Row) { _ = json.NewEncoder(w).Encode(r) }
	} else {
		printHead(stdout)
	}
	for _, n := range f.clients {
		m, err := f.measure(ctx, n, stderr)
		if sig := came(); sig != nil && err != nil {
			return bySignal(sig)
		}
		if err != nil {
			return err
		}
		row := m.Row()
		print(stdout, row)
		if row.Errors > 0 && !f.asJSON {
			fmt.Fprintf(stderr, "lockd: %d errors, the first of them: %s\n", row.Errors, row.FirstError)
		}
		if m.Violation != "" {
			return &exitError{exitFailure, fmt.Errorf("the locks are broken: %s", m.Violation)}
		}
		if sig := came(); sig != nil {
			return bySignal(sig)
		}
	}
	return nil
}

// measure makes one row.
func (f *benchFlags) measure(ctx context.Context, clients int, stderr io.Writer) (bench.Measurement, error) {
	p := f.plan
	p.Clients = clients
	defer progress(ctx, stderr, p)()
	if f.processes > 1 {
		return f.spread(ctx, p, stderr)
	}
	within, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	b, err := bench.Open(within, p, f.backend)
	if err != nil {
		return bench.Measurement{}, err
	}
	m := b.Run(ctx, time.Now())
	farewell, done := context.WithTimeout(context.WithoutCancel(ctx), bench.CloseTimeout)
	defer done()
	return m, b.Close(farewell)
}

// backend dials for a stream.
func (f *benchFlags) backend() (lockapi.Backend, error) {
	b, err := f.dial()
	if err != nil {
		return nil, err // and no backend, not one that is nil
	}
	return b, nil
}

// profileTo begins a CPU profile, unless path is empty; stop ends it.
func profileTo(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, usage("--cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	}, nil
}

// progress tells a person at a terminal how far the row is, until stop.
func progress(ctx context.Context, w io.Writer, p bench.Plan) (stop func()) {
	if !onTerminal(w) {
		return func() {}
	}
	begun, whole := time.Now(), p.Warmup+p.Duration
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	tick := time.NewTicker(time.Second)
	go func() {
		defer close(done)
		defer tick.Stop()
		defer fmt.Fprint(w, "\r\x1b[K")
		for {
			fmt.Fprintf(w, "\r\x1b[K%d clients: %v of %v", p.Clients, time.Since(begun).Round(time.Second), whole)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

const rowFormat = "%8s %7s %5s %10s %9s %9s %9s %9s %9s %9s %7s %8s %6s\n"

func printHead(w io.Writer) {
	fmt.Fprintf(w, rowFormat, "", "", "", "CYCLES", "ACQUIRE", "", "", "CYCLE", "", "", "", "", "")
	fmt.Fprintf(w, rowFormat, "CLIENTS", "STREAMS", "PROCS", "PER SECOND", "P50 MS", "P99", "MAX", "P50 MS", "P99", "MAX",
		"GAP MS", "FAIRNESS", "ERRORS")
}

func printRow(w io.Writer, r bench.Row) {
	fairness := "-"
	if r.Fairness.Ratio != nil {
		fairness = fmt.Sprintf("%.2f", *r.Fairness.Ratio)
	}
	cells := []any{fmt.Sprint(r.Clients), fmt.Sprint(r.Streams), fmt.Sprint(r.Processes), fmt.Sprintf("%.0f", r.CyclesPerSecond)}
	for _, s := range []bench.Spread{r.Acquire, r.Cycle} {
		cells = append(cells, fmt.Sprintf("%.2f", s.P50), fmt.Sprintf("%.2f", s.P99), fmt.Sprintf("%.2f", s.Max))
	}
	fmt.Fprintf(w, rowFormat, append(cells, fmt.Sprint(r.LongestGap), fairness, fmt.Sprint(r.Errors))...)
}
