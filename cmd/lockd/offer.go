package main

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/spf13/cobra"
)

const (
	// offerTimeout: somebody has pressed Tab, and looks at a prompt that stands still.
	offerTimeout = time.Second
	// offersMax is how many names are offered: more do not fit on a screen.
	offersMax = 100
)

// offer tells a shell which names begin like the word before the cursor, of
// those that are held or waited for now. It is for commands with one such word.
func (c *clientFlags) offer(command *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.names(command, begun), cobra.ShellCompDirectiveNoFileComp
}

// offer is clientFlags.offer for the names of run; what stands behind -- is the
// shell's own business.
func (f *runFlags) offer(command *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	_, elsewhere := os.LookupEnv(variable("backend"))
	// ArgsLenAtDash does not tell: cobra parses once with a -- of its own at the end.
	typed := os.Args[:len(os.Args)-1]
	switch {
	case slices.Contains(typed, "--"):
		return nil, cobra.ShellCompDirectiveDefault
	case command.Flags().Changed("backend"), elsewhere:
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	taken := func(name string) bool { return slices.Contains(args, name) }
	return slices.DeleteFunc(f.names(command, begun), taken), cobra.ShellCompDirectiveNoFileComp
}

// names asks any node, leader or not. It offers none, and says nothing, if that
// fails: an error would stand in the middle of what is being typed.
func (c *clientFlags) names(command *cobra.Command, begun string) []string {
	// What completes does not run, so nothing has read the environment.
	flags := command.Flags()
	if text, given := os.LookupEnv(variable("endpoints")); given && !flags.Changed("endpoints") && flags.Set("endpoints", text) != nil {
		return nil
	}
	b, err := c.dial()
	if err != nil {
		return nil
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(command.Context(), offerTimeout)
	defer cancel()
	view, err := b.Inspect(ctx, lockapi.Query{Prefix: begun, Limit: offersMax, Stale: true})
	if err != nil {
		return nil
	}
	var names []string
	for _, lock := range view.Locks {
		if printable(lock.Name) == lock.Name { // not one that would break the line
			names = append(names, lock.Name)
		}
	}
	return names
}
