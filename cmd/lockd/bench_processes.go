package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/lockd-io/lockd/cmd/lockd/internal/bench"
	"github.com/spf13/cobra"
)

// spread measures one row in processes of their own.
func (f *benchFlags) spread(ctx context.Context, p bench.Plan, stderr io.Writer) (_ bench.Measurement, err error) {
	plans, err := p.Split(f.processes)
	if err != nil {
		return bench.Measurement{}, usage("%w", err)
	}
	var commands []*exec.Cmd
	var workers []bench.Worker
	defer func() {
		for i, c := range commands {
			_ = workers[i].In.Close() // and so it ends
			err = errors.Join(err, c.Wait())
		}
	}()
	for range plans {
		c, w, err := f.start(stderr)
		if err != nil {
			return bench.Measurement{}, err
		}
		commands, workers = append(commands, c), append(workers, w)
	}
	return bench.Fleet(ctx, plans, workers)
}

// start starts this program once more, as a worker.
func (f *benchFlags) start(stderr io.Writer) (*exec.Cmd, bench.Worker, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, bench.Worker{}, err
	}
	c := exec.Command(path, "bench", "--worker", "--endpoints", strings.Join(f.endpoints, ","))
	c.Args[0] = os.Args[0]
	c.Stderr = stderr
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "LOCKD_") })
	in, err := c.StdinPipe()
	if err != nil {
		return nil, bench.Worker{}, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, bench.Worker{}, err
	}
	return c, bench.Worker{In: in, Out: out}, c.Start()
}

// work is what such a process does. Ctrl-C goes to the whole group and is for the
// one that started it, which tells it to end by closing its input.
func (f *benchFlags) work(command *cobra.Command) error {
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	err := bench.Work(command.Context(), command.InOrStdin(), command.OutOrStdout(), f.backend)
	if err != nil {
		return &exitError{code: exitFailure} // it was told where it is known what to do
	}
	return nil
}
