package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// fromEnvironment sets the flags that the command line did not, from
// LOCKD_* and then from the file that --config names.
func fromEnvironment(command *cobra.Command, _ []string) error {
	for _, name := range unknownVariables(command.Root(), os.Environ()) {
		fmt.Fprintf(command.ErrOrStderr(), "lockd: %s is set, but there is no flag of that name\n", name)
	}
	var wrong []error
	command.Flags().VisitAll(func(f *pflag.Flag) {
		text, given := os.LookupEnv(variable(f.Name))
		if f.Changed || !given || f.Name == "help" || f.Name == "version" {
			return
		}
		if err := command.Flags().Set(f.Name, text); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", variable(f.Name), err))
		}
	})
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	if f := command.Flags().Lookup("config"); f != nil && f.Value.String() != "" {
		return fromFile(command.Flags(), f.Value.String())
	}
	return nil
}

// unknownVariables are those LOCKD_* of the environment that no command knows:
// mistyped, most likely. What run sets is known, and so is what Kubernetes sets
// beside a service that is called lockd.
func unknownVariables(root *cobra.Command, environment []string) []string {
	known := map[string]bool{"LOCKD_NAME": true, "LOCKD_TOKEN": true, "LOCKD_GRANTS": true, aroundVariable: true}
	var know func(*cobra.Command)
	know = func(command *cobra.Command) {
		command.LocalFlags().VisitAll(func(f *pflag.Flag) { known[variable(f.Name)] = true })
		for _, below := range command.Commands() {
			know(below)
		}
	}
	know(root)
	var unknown []string
	for _, v := range environment {
		name, _, _ := strings.Cut(v, "=")
		kubernetes := strings.HasPrefix(name, "LOCKD_SERVICE_") || strings.HasPrefix(name, "LOCKD_PORT")
		if strings.HasPrefix(name, "LOCKD_") && !known[name] && !kubernetes {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// variable is the environment's name of a flag.
func variable(flag string) string {
	return "LOCKD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromFile sets the flags that are not set yet from a YAML file, whose keys
// are the flags' names.
func fromFile(flags *pflag.FlagSet, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	var keys map[string]yaml.Node
	if err := yaml.Unmarshal(text, &keys); err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	var wrong []error
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		f, value := flags.Lookup(key), keys[key]
		if f == nil || key == "config" || key == "help" {
			wrong = append(wrong, fmt.Errorf("--config %s:%d: unknown key %q", path, value.Line, key))
			continue
		}
		text, err := flagText(&value)
		if err == nil && !f.Changed {
			err = flags.Set(key, text)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("--config %s:%d: %w", path, value.Line, err))
		}
	}
	return errors.Join(wrong...)
}

// flagText is a YAML value as it would stand on the command line.
func flagText(n *yaml.Node) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, nil
	case yaml.SequenceNode:
		var items []string
		if err := n.Decode(&items); err != nil {
			return "", err
		}
		return strings.Join(items, ","), nil
	default:
		return "", errors.New("neither a value nor a list of values")
	}
}

// A logFlags makes the logger of a server, and the level that it has.
type logFlags struct{ level, format string }

func (l *logFlags) add(command *cobra.Command, level string) {
	flags := command.Flags()
	flags.StringVar(&l.level, "log-level", level, "least of debug, info, warn, error to log")
	flags.StringVar(&l.format, "log-format", "text", "text or json")
	complete(command, "log-level", "debug", "info", "warn", "error")
	complete(command, "log-format", "text", "json")
}

// complete has a shell offer the values of a flag.
func complete(command *cobra.Command, flag string, values ...string) {
	offer := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	if err := command.RegisterFlagCompletionFunc(flag, offer); err != nil {
		panic("lockd: " + err.Error()) // no such flag
	}
}

func (l *logFlags) logger(w io.Writer) (*slog.Logger, *slog.LevelVar, error) {
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, nil, usage("--log-level %q: not one of debug, info, warn, error", l.level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), level, nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), level, nil
	}
	return nil, nil, usage("--log-format %q: neither text nor json", l.format)
}

// A patience is a duration that may be absent, which is for ever.
type patience struct {
	limit   time.Duration
	limited bool
}

// Set implements pflag.Value.
func (p *patience) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	p.limit, p.limited = d, true
	return err
}

// String implements pflag.Value.
func (p *patience) String() string {
	if !p.limited {
		return ""
	}
	return p.limit.String()
}

// Type implements pflag.Value.
func (p *patience) Type() string { return "duration" }
