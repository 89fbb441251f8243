package main

import (
	"fmt"
	"io"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/spf13/cobra"
)

func newStatus() *cobra.Command {
	var l lookFlags
	command := &cobra.Command{
		Use:   "status",
		Short: "Show the nodes of the cluster and who leads",
		Long: `status shows the cluster as one node sees it: the first of --endpoints that
answers. It needs no leader.` + lookHelp,
		Example: `  lockd status
  lockd status --json | jq -r .leader`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			return l.status(command.Context(), func(s lockapi.Status) error {
				if l.asJSON {
					return indented(command.OutOrStdout(), s)
				}
				return printStatus(command.OutOrStdout(), s)
			})
		},
	}
	l.add(command.Flags(), "one JSON object")
	return command
}

// printStatus is the status for people.
func printStatus(out io.Writer, s lockapi.Status) error {
	cluster, leader := s.ClusterID, s.Leader
	if cluster == "" {
		cluster = "none yet"
	}
	if leader == "" {
		leader = "nobody"
	}
	w := table(out)
	fmt.Fprintf(w, "cluster\t%s\nleader\t%s\nterm\t%d\napplied\t%d, says %s\nfeature level\t%d\n\n",
		cluster, leader, s.Term, s.AppliedIndex, s.Node, s.Level)
	if len(s.Nodes) > 0 {
		printMembers(w, s)
	}
	waits(w, s)
	return w.Flush()
}

// waits tells what the node that answers waits for before it can be of use.
func waits(out io.Writer, s lockapi.Status) {
	if s.Waiting != "" {
		fmt.Fprintf(out, "%s waits: %s\n", s.Node, s.Waiting)
	}
}
