package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  lockd version
  lockd version --json | jq -r .version`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			if asJSON {
				return failed(indented(command.OutOrStdout(), thisBuild()))
			}
			_, err := fmt.Fprintln(command.OutOrStdout(), thisBuild())
			return failed(err)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return command
}

// A build is what this program was built from and for, as the go command
// recorded it.
type build struct {
	Version  string `json:"version"`            // the module's
	Revision string `json:"revision,omitempty"` // not known of what was built outside of a repository
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func thisBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the build in one line.
func (b build) String() string {
	text := fmt.Sprintf("lockd %s (%s %s/%s", b.Version, b.Go, b.OS, b.Arch)
	if b.Revision != "" {
		text += " " + b.Revision
	}
	if b.Modified {
		text += " modified"
	}
	return text + ")"
}
