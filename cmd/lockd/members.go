package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/spf13/cobra"
)

func newMembers() *cobra.Command {
	var l lookFlags
	command := &cobra.Command{
		Use:   "members",
		Short: "List the nodes of the cluster",
		Long: `members lists the nodes of the cluster as one node sees it: the first of
--endpoints that answers. A node that is alive has been heard from by the leader
within an election timeout; while nobody leads, none is. Of a node that is no
member yet it says what that waits for (with --json, on standard error).` + lookHelp,
		Example: `  lockd members
  lockd members --json | jq -r 'select(.alive | not) | .id'   # who is missing`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			return l.status(command.Context(), func(s lockapi.Status) error {
				if l.asJSON {
					waits(command.ErrOrStderr(), s)
					return membersJSON(command.OutOrStdout(), s)
				}
				w := table(command.OutOrStdout())
				printMembers(w, s)
				waits(w, s)
				return w.Flush()
			})
		},
	}
	l.add(command.Flags(), "one JSON object a line")
	return command
}

// A member is a node as scripts see it.
type member struct {
	lockapi.NodeStatus
	Leader bool `json:"leader"`
}

func membersJSON(out io.Writer, s lockapi.Status) error {
	lines := json.NewEncoder(out)
	for _, n := range s.Nodes {
		if err := lines.Encode(member{n, n.ID == s.Leader}); err != nil {
			return err
		}
	}
	return nil
}

// printMembers is the table for people.
func printMembers(w io.Writer, s lockapi.Status) {
	fmt.Fprintln(w, "NODE\tADDRESS\tROLE\tALIVE")
	for _, n := range s.Nodes {
		role := "joining"
		switch {
		case n.ID == s.Leader:
			role = "leader"
		case n.Voter:
			role = "voter"
		}
		alive := "no"
		if n.Alive {
			alive = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.ID, n.Address, role, alive)
	}
}
