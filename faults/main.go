// Command faults shows that the tests can fail: it plants a known fault in
// the source, runs the test that guards the property, and wants it red. One
// fault at a time, by an overlay, so that the tree is never touched.
//
//	go run ./faults            all of them
//	go run ./faults -only REGEXP
//
// A fault counts as caught only if the test is green without it and red with
// it. A mutant that does not compile, a text that is not found exactly once
// and a pattern that matches no test are mistakes in the table, and fail too.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"time"
)

func main() {
	only := flag.String("only", "", "plant only the faults whose name matches this `regexp`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := plantAll(ctx, ".", table(), *only, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		stop()
		os.Exit(1)
	}
}

// plantAll plants the faults one by one in the module at root and prints what
// caught each. The error tells how many were not caught.
func plantAll(ctx context.Context, root string, faults []fault, only string, out io.Writer) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	g, err := newGarden(root)
	if err != nil {
		return err
	}
	defer g.close()
	faults = slices.DeleteFunc(faults, func(f fault) bool { return !match.MatchString(f.name) })
	line := columns(faults)
	fmt.Fprintf(out, line, "FAULT", "PROPERTY", "CAUGHT BY")
	bad := 0
	for _, f := range faults {
		v, err := g.plant(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		caught := fmt.Sprintf("%s in %s", v.test, v.took.Round(10*time.Millisecond))
		if err != nil {
			bad++
			caught = fmt.Sprintf("NOT CAUGHT: %v", err)
		}
		fmt.Fprintf(out, line, f.name, f.property, caught)
	}
	switch {
	case len(faults) == 0:
		return fmt.Errorf("no fault is called like %q", only)
	case bad > 0:
		return fmt.Errorf("%d of %d faults were not caught", bad, len(faults))
	}
	fmt.Fprintf(out, "%d of %d faults were caught\n", len(faults), len(faults))
	return nil
}

// columns is the format of a line that fits the faults, so that each can be
// printed when it is known.
func columns(faults []fault) string {
	name, property := 0, 0
	for _, f := range faults {
		name, property = max(name, len(f.name)), max(property, len(f.property))
	}
	return fmt.Sprintf("%%-%ds  %%-%ds  %%s\n", name, property)
}
