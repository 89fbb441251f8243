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
	"text/tabwriter"
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
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tPROPERTY\tCAUGHT BY\tIN")
	planted, bad := 0, 0
	for _, f := range faults {
		if !match.MatchString(f.name) {
			continue
		}
		planted++
		v, err := g.plant(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			bad++
			fmt.Fprintf(w, "%s\t%s\tNOT CAUGHT: %v\t\n", f.name, f.property, err)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.name, f.property, v.test, v.took.Round(10*time.Millisecond))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	switch {
	case planted == 0:
		return fmt.Errorf("no fault is called like %q", only)
	case bad > 0:
		return fmt.Errorf("%d of %d faults were not caught", bad, planted)
	}
	fmt.Fprintf(out, "%d of %d faults were caught\n", planted, planted)
	return nil
}
