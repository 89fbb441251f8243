package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lockd-io/lockd/cmd/lockd/internal/child"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/cobra"
)

// Exit codes, after BSD's sysexits. A script may rely on them.
const (
	exitFailure     = 1
	exitUsage       = 64
	exitUnavailable = 69 // no node with a leader was found
	exitSoftware    = 70 // a node stopped by itself
	exitLost        = 74 // the lock was lost before the command ended
	exitNotAcquired = 75 // not acquired in time, since somebody else holds it
	exitNoExecute   = 126
	exitNoCommand   = 127
	exitSignal      = 128 // + n: by signal n
)

// An exitError ends the program with a code. Without err it is silent.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is an error of who called the program.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// execute runs one command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return 0
	}
	code := codeOf(err)
	var by *signalEnd
	if errors.As(err, &by) {
		child.EndBy(by.signal, by.typed)
		return code
	}
	var exit *exitError
	if errors.As(err, &exit) && exit.err == nil {
		return code
	}
	fmt.Fprintln(stderr, "lockd:", err)
	if code == exitUsage {
		fmt.Fprintf(stderr, "See '%s --help'.\n", command.CommandPath())
	}
	return code
}

// codeOf finds the exit code of an error. What is not marked never reached a
// command's own code: it is cobra's, about the command line.
func codeOf(err error) int {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return exitUsage
}

// failed marks an error of a command's work with the exit code of its kind.
func failed(err error) error {
	var exit *exitError
	var nobody *remote.UnreachedError
	switch {
	case err == nil, errors.As(err, &exit):
		return err
	case errors.As(err, &nobody):
		return unreached(nobody)
	case errors.Is(err, lockapi.ErrInvalid):
		return &exitError{exitUsage, err}
	case errors.Is(err, lockapi.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return &exitError{exitUnavailable, err}
	}
	return &exitError{exitFailure, err}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "lockd",
		Short: "Locks that many machines agree on",
		Long: `lockd serves locks that many machines agree on, and uses them.

Every flag can also be given in the environment: --node-id is LOCKD_NODE_ID.
A flag on the command line wins.`,
		Example: `  lockd dev                        # a cluster in this terminal
  lockd run demo -- sleep 10       # in another: hold "demo" for ten seconds
  lockd ls                         # who holds what
  source <(lockd completion bash)  # or zsh, fish, powershell: see its --help`,
		Version:           thisBuild().Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: fromEnvironment,
	}
	root.SetVersionTemplate(thisBuild().String() + "\n")
	root.AddCommand(newDev(), newServe(), newRun(), newList(), newShow(), newStatus(), newMembers(), newBench(), newJepsen(), newVersion())
	return root
}
