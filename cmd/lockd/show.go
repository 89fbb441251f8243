package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/cobra"
)

func newShow() *cobra.Command {
	var l lookFlags
	command := &cobra.Command{
		Use:   "show NAME",
		Short: "Show who holds a lock and who waits for it",
		Long: `show shows who holds a lock and who waits for it, in the order of the queue. MODE
is exclusive, shared, or so many of a semaphore's permits. A free name is no
error: show says so and exits with 0; with --json its kind is "".` + lookHelp,
		Example: `  lockd show deploy
  lockd show deploy --json | jq -r '.holders[0].token'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("which lock? give one name: lockd show NAME (lockd ls lists them)")
			}
			return nil
		},
		ValidArgsFunction: l.offer,
		RunE: func(command *cobra.Command, args []string) error {
			if !fsm.ValidName(args[0]) {
				return usage("%q is no name: %s", args[0], fsm.LimitName)
			}
			return l.look(command.Context(), func(ctx context.Context, b *remote.Backend) error {
				view, err := b.Inspect(ctx, lockapi.Query{Name: args[0]})
				if err != nil {
					return err
				}
				lock := fsm.LockView{Name: args[0]}
				if len(view.Locks) > 0 {
					lock = view.Locks[0]
				}
				if l.asJSON {
					return indented(command.OutOrStdout(), lockapi.LockJSON(lock))
				}
				return show(command.OutOrStdout(), lock)
			})
		},
	}
	l.add(command.Flags(), "one JSON object")
	return command
}

// show prints one lock for people.
func show(out io.Writer, lock fsm.LockView) error {
	w := table(out)
	if len(lock.Holders)+len(lock.Waiters) == 0 {
		fmt.Fprintf(w, "%s is free\n", printable(lock.Name))
		return w.Flush()
	}
	fmt.Fprintln(w, "\tLABEL\tOWNER\tSESSION\tMODE\tTOKEN\tFOR\tEXPIRES IN")
	for _, h := range lock.Holders {
		fmt.Fprintf(w, "held by\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(h.Label), printable(lockapi.GivenOwner(h.Owner)), h.Session,
			mode(h.Mode, h.Permits, lock.Limit), h.Token, shown(h.Held), shown(h.Expires))
	}
	unlisted(w, "held by", lock.Holds, len(lock.Holders))
	for _, p := range lock.Waiters {
		fmt.Fprintf(w, "%d. waits\t%s\t%s\t%s\t%s\t\t%s\t\n", p.Position, printable(p.Label), printable(lockapi.GivenOwner(p.Owner)), p.Session,
			mode(p.Mode, p.Permits, lock.Limit), shown(p.Waiting))
	}
	unlisted(w, "wait", lock.Waits, len(lock.Waiters))
	return w.Flush()
}

// mode says why who waits cannot go beside who holds.
func mode(m fsm.Mode, permits, limit fsm.Permits) string {
	switch m {
	case fsm.Exclusive:
		return "exclusive"
	case fsm.Shared:
		return "shared"
	case fsm.Counted:
		return fmt.Sprintf("%d of %d", permits, limit)
	}
	return "" // of a newer node
}

// unlisted tells of the holders, or waiters, that a list leaves out.
func unlisted(w io.Writer, what string, all uint32, listed int) {
	if more := int(all) - listed; more > 0 {
		fmt.Fprintf(w, "%s\t%d more\t\t\t\t\t\t\n", what, more)
	}
}
