package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

A FILE in EDN is one that Jepsen has recorded, or whatever writes as it does: maps
with :process, :type and :f (:acquire, :release), with :client and :fence if there
are any. Any other FILE has an operation a line in JSON, as jepsen --out keeps it:

  {"client":1,"kind":"acquire","session":7,"wants":[{"name":"x","mode":"exclusive"}],
   "call":10,"return":25,"status":"ok"}

(on one line; times are nanoseconds on one clock). What a service does not tell is
left out: tokens, the numbers of grants, positions, TTLs. jepsen/README.md has more
of it. "-" is standard input.

It exits with 0 if there is an order, with 1 if there is none or none was found in
time, or if FILE is no history.`,
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
	if f.searchTime <= 0 {
		return usage("--search-time must be longer than 0")
	}
	if err := f.spares(path); err != nil {
		return err
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
		return &exitError{exitFailure, f.why(len(h), judged)}
	}
	return nil
}

// spares refuses an --out in which FILE would be written over, by what was
// understood of it.
func (f *judgeFlags) spares(path string) error {
	if f.out == "" || path == "-" {
		return nil
	}
	given, err := os.Stat(path)
	if err != nil {
		return nil // who reads it tells
	}
	for _, name := range []string{"history.jsonl", "history.edn", "history.html"} {
		if there, err := os.Stat(filepath.Join(f.out, name)); err == nil && os.SameFile(given, there) {
			return usage("--out %s: %s would be written over; take another directory", f.out, path)
		}
	}
	return nil
}

// why says what to make of a verdict that is no pass.
func (f *judgeFlags) why(operations int, judged verdict.Linear) error {
	switch {
	case operations == 0:
		return errors.New("there is nothing in it to judge")
	case judged.Verdict == verdict.Undecided:
		return errors.New("no order was found in time, nor that there is none: raise --search-time, or record no more than some seconds of each name")
	case f.out == "":
		return errors.New("the history is not one that a lock service may have; --out DIR draws it")
	case judged.Drawn():
		return fmt.Errorf("the history is not one that a lock service may have: see %s", filepath.Join(f.out, "history.html"))
	default:
		return errors.New("the history is not one that a lock service may have")
	}
}

func (f *judgeFlags) read(path string, stdin io.Reader) (history.History, error) {
	r := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		r = file
	}
	in := bufio.NewReader(r)
	begin := begins(in)
	switch {
	case strings.HasPrefix(begin, `[{"`):
		return nil, errors.New("a JSON array: operations are one a line, as jq -c '.[]' makes them")
	case strings.HasSuffix(path, ".edn") || isEDN(begin):
		return history.FromEDN(in, f.lock)
	case f.lock != (history.Lock{}):
		return nil, errors.New("--reentrant, --permits and --keyed are for a history in EDN: JSON says itself what is asked for")
	default:
		return history.Load(in)
	}
}

// begins is what a file begins with, without white space, which a comma is in EDN.
func begins(in *bufio.Reader) string {
	begin, _ := in.Peek(64)
	return strings.Join(strings.FieldsFunc(string(begin), func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) }), "")
}

// isEDN tells EDN from JSON lines: a vector, a map with a keyword, or a comment.
func isEDN(begin string) bool {
	return strings.HasPrefix(begin, "[") || strings.HasPrefix(begin, ";") || strings.HasPrefix(begin, "{:")
}
