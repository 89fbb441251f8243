package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/spf13/cobra"
)

func newStatus() *cobra.Command {
	var c clientFlags
	var asJSON bool
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
			return c.look(command.Context(), func(ctx context.Context, b *remote.Backend) error {
				s, err := b.Status(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return indented(command.OutOrStdout(), s)
				}
				return printStatus(command.OutOrStdout(), s)
			})
		},
	}
	c.add(command.Flags())
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return command
}

// printStatus is the status for people.
func printStatus(out io.Writer, s lockapi.Status) error {
	leader := s.Leader
	if leader == "" {
		leader = "nobody"
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "cluster\t%s\nleader\t%s\nterm\t%d\napplied\t%d, says %s\nlevel\t%d\n\n",
		s.ClusterID, leader, s.Term, s.AppliedIndex, s.Node, s.Level)
	printMembers(w, s)
	return w.Flush()
}

// printable keeps what others chose (names, labels, owners) from steering the
// terminal that shows it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
