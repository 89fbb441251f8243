package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/cobra"
)

// pageSize is how many locks ls asks for at a time.
const pageSize = 1000

func newList() *cobra.Command {
	var l lookFlags
	command := &cobra.Command{
		Use:   "ls [PREFIX]",
		Short: "List the locks that are held or waited for",
		Long:  "ls lists the locks that are held or waited for, by name." + lookHelp,
		Example: `  lockd ls
  lockd ls jobs/
  lockd ls --json | jq -r 'select(.waiters != []) | .name'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: l.offer,
		RunE: func(command *cobra.Command, args []string) error {
			q := lockapi.Query{Limit: pageSize}
			if len(args) > 0 {
				q.Prefix = args[0]
			}
			return l.look(command.Context(), func(ctx context.Context, b *remote.Backend) error {
				return list(ctx, b, q, l.asJSON, command.OutOrStdout())
			})
		},
	}
	l.add(command.Flags(), "one JSON object a line")
	return command
}

// list prints page after page.
func list(ctx context.Context, b lockapi.Backend, q lockapi.Query, asJSON bool, out io.Writer) error {
	w := table(out)
	if !asJSON {
		fmt.Fprintln(w, "NAME\tHOLDER\tTOKEN\tHELD\tWAITING")
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
			row(w, lock)
		}
		if !view.More {
			return w.Flush()
		}
		q.After = view.Locks[len(view.Locks)-1].Name
	}
}

// row is one lock on one line: its first holder stands for all. The counts are
// of all, too: no more than fsm.ListedMax of them are listed.
func row(w io.Writer, lock fsm.LockView) {
	holder, token, held := "-", "-", "-"
	if len(lock.Holders) > 0 {
		h := lock.Holders[0]
		holder, token, held = h.Label, h.Token.String(), shown(h.Held)
	}
	if lock.Holds > 1 {
		holder += fmt.Sprintf(" and %d more", lock.Holds-1)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", printable(lock.Name), printable(holder), token, held, lock.Waits)
}
