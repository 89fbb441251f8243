package main

import (
	"context"
	"fmt"
	"io"

	"github.com/lockd-io/lockd/jepsen/workload"
	"github.com/spf13/cobra"
)

func newJepsenResource() *cobra.Command {
	return &cobra.Command{
		Use:   "resource ADDRESS",
		Short: "Share a resource among several jepsen --workload engine",
		Long: `resource is what the applications of several "lockd jepsen --workload engine --resource
ADDRESS" take turns at, so that each of these processes can be paused or killed while
it holds the lock. They need the same --prefix, and a --first-client each.

It looks at tokens, and has a twin that does not. When it is interrupted it says how
many updates each of them lost, and exits with 1 if the one that looks lost any.`,
		Example: `  lockd jepsen resource /tmp/resource &
  lockd jepsen --workload engine --resource /tmp/resource --prefix try/ --first-client 1 --ttl 2s &
  lockd jepsen --workload engine --resource /tmp/resource --prefix try/ --first-client 101 --ttl 2s &
  kill -STOP %2; sleep 5; kill -CONT %2`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, args []string) error {
			return failed(shareResource(command.Context(), args[0], command.OutOrStdout()))
		},
	}
}

// shareResource serves until it is interrupted.
func shareResource(ctx context.Context, address string, stdout io.Writer) error {
	l, err := workload.ListenAddress(address)
	if err != nil {
		return usage("resource: %w", err)
	}
	defer l.Close()
	ctx, _ = interruptible(ctx)
	resource := new(workload.Resource)
	failure := make(chan error, 1)
	go func() { failure <- resource.Serve(l) }()
	select {
	case err := <-failure:
		return err
	case <-ctx.Done():
	}
	tally, err := resource.Tally()
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, tally)
	if lost := tally.Lost(); lost > 0 {
		return &exitError{code: exitFailure, err: fmt.Errorf("the fenced resource lost %d of %d writes", lost, tally.Taken)}
	}
	return nil
}
