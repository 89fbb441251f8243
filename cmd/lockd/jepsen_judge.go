package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/spf13/cobra"
)

// A judgeFlags is the command line of jepsen judge.
type judgeFlags struct {
	jepsenFlags
	lock history.Lock // of a history in EDN
}

func newJudge() *cobra.Command {
	var f judgeFlags
	command := &cobra.Command{
		Use:   "judge FILE",
		Short: "Judge a history that was recorded before, of any lock service",
		Long: `judge looks for an order that explains a history, and needs no service.

A FILE that ends in .edn is one that Jepsen has recorded, or whatever writes as it
does: maps with :process, :type and :f (:acquire, :release), with :client and
:fence if there are any. Any other FILE has an operation a line in JSON, as jepsen
--out keeps it; "-" is standard input. What a service does not tell is left out
there: tokens, the numbers of grants, positions, TTLs.

Exit codes are those of jepsen: 0 if there is an order, else 1.`,
		Example: `  lockd jepsen --out /tmp/history; lockd jepsen judge /tmp/history/history.jsonl
  lockd jepsen judge store/latest/history.edn --reentrant
  lockd jepsen judge --permits 2 --out /tmp/picture semaphore.edn`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return failed(f.run(args[0], command.InOrStdin(), command.OutOrStdout()))
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.lock.Reentrant, "reentrant", false, "EDN: whoever holds the lock may acquire it again")
	flags.Uint32Var(&f.lock.Limit, "permits", 0, "EDN: it is a semaphore of so many permits, and each acquire is of one")
	flags.BoolVar(&f.lock.Keyed, "keyed", false, "EDN: values are [name value], and each name is a lock")
	f.judging(flags)
	return command
}

func (f *judgeFlags) run(path string, stdin io.Reader, stdout io.Writer) error {
	if f.limit <= 0 {
		return usage("--limit is longer than 0")
	}
	h, err := f.read(path, stdin)
	if err != nil {
		return &exitError{exitFailure, fmt.Errorf("%s: %w", path, err)}
	}
	result, judged := f.judge(h, nil)
	if err := f.keep(h, judged); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if err := printJepsen(stdout, result, f.asJSON); err != nil {
		return err
	}
	if result.Verdict != verdict.Pass.String() {
		return &exitError{code: 1, err: errors.New("the history is not one that a lock service may have, or that is not known: " + result.Verdict)}
	}
	return nil
}

func (f *judgeFlags) read(path string, stdin io.Reader) (history.History, error) {
	edn := strings.HasSuffix(path, ".edn")
	if f.lock != (history.Lock{}) && !edn {
		return nil, errors.New("--reentrant, --permits and --keyed are for a file that ends in .edn: JSON says itself what is asked for")
	}
	r := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		r = file
	}
	if edn {
		return history.FromEDN(r, f.lock)
	}
	return history.Load(r)
}
