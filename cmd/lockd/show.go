package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/cobra"
)

// pageSize is how many locks ls asks for at a time.
const pageSize = 1000

func newList() *cobra.Command {
	var c clientFlags
	var asJSON bool
	command := &cobra.Command{
		Use:   "ls [PREFIX]",
		Short: "List the locks that are held or waited for",
		Long:  "ls lists the locks that are held or waited for, by name." + lookHelp,
		Example: `  lockd ls
  lockd ls jobs/
  lockd ls --json | jq -r 'select(.waiters != []) | .name'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.offer,
		RunE: func(command *cobra.Command, args []string) error {
			q := lockapi.Query{Limit: pageSize}
			if len(args) > 0 {
				q.Prefix = args[0]
			}
			return c.look(command.Context(), func(ctx context.Context, b *remote.Backend) error {
				return list(ctx, b, q, asJSON, command.OutOrStdout())
			})
		},
	}
	c.add(command.Flags())
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return command
}

// list prints page after page.
func list(ctx context.Context, b lockapi.Backend, q lockapi.Query, asJSON bool, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(table, "NAME\tHOLDER\tTOKEN\tHELD\tWAITING")
	}
	for {
		view, err := b.Inspect(ctx, q)
		if err != nil {
			return err
		}
		for _, lock := range view.Locks {
			if asJSON {
				if err := json.NewEncoder(out).Encode(lockapi.LockJSON(lock)); err != nil {
					return err
				}
				continue
			}
			row(table, lock)
		}
		if !view.More {
			return table.Flush()
		}
		q.After = view.Locks[len(view.Locks)-1].Name
	}
}

// row is one lock on one line: its first holder stands for all.
func row(w io.Writer, lock fsm.LockView) {
	holder, token, held := "-", "-", "-"
	if len(lock.Holders) > 0 {
		h := lock.Holders[0]
		holder, token, held = h.Label, h.Token.String(), shown(h.Held)
	}
	if more := len(lock.Holders) - 1; more > 0 {
		holder += fmt.Sprintf(" and %d more", more)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", printable(lock.Name), printable(holder), token, held, len(lock.Waiters))
}

func newShow() *cobra.Command {
	var c clientFlags
	var asJSON bool
	command := &cobra.Command{
		Use:   "show NAME",
		Short: "Show who holds a lock and who waits for it",
		Long: `show shows who holds a lock and who waits for it, in the order of the queue. A
free name is no error: show says so and exits with 0; with --json its kind is "".` + lookHelp,
		Example: `  lockd show deploy
  lockd show deploy --json | jq -r '.holders[0].token'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("which lock? give one name: lockd show NAME (lockd ls lists them)")
			}
			return nil
		},
		ValidArgsFunction: c.offer,
		RunE: func(command *cobra.Command, args []string) error {
			if !fsm.ValidName(args[0]) {
				return usage("%q is no name: %s", args[0], fsm.LimitName)
			}
			return c.look(command.Context(), func(ctx context.Context, b *remote.Backend) error {
				view, err := b.Inspect(ctx, lockapi.Query{Name: args[0]})
				if err != nil {
					return err
				}
				lock := fsm.LockView{Name: args[0]}
				if len(view.Locks) > 0 {
					lock = view.Locks[0]
				}
				if asJSON {
					return indented(command.OutOrStdout(), lockapi.LockJSON(lock))
				}
				return show(command.OutOrStdout(), lock)
			})
		},
	}
	c.add(command.Flags())
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return command
}

// show prints one lock for people.
func show(out io.Writer, lock fsm.LockView) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	if len(lock.Holders)+len(lock.Waiters) == 0 {
		fmt.Fprintf(w, "%s is free\n", printable(lock.Name))
		return w.Flush()
	}
	fmt.Fprintln(w, "\tLABEL\tOWNER\tSESSION\tTOKEN\tFOR\tEXPIRES IN")
	for _, h := range lock.Holders {
		fmt.Fprintf(w, "held by\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(h.Label), printable(h.Owner), h.Session, h.Token,
			shown(h.Held), shown(h.Expires))
	}
	for _, p := range lock.Waiters {
		fmt.Fprintf(w, "%d. waits\t%s\t%s\t%s\t\t%s\t\n", p.Position, printable(p.Label), printable(p.Owner), p.Session,
			shown(p.Waiting))
	}
	return w.Flush()
}

// shown is a duration for people: machine time is not worth more digits.
func shown(d fsm.Duration) string {
	return time.Duration(d).Round(100 * time.Millisecond).String()
}

// indented prints a document for a person or a script.
func indented(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(document)
}
