package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/lockd-io/lockd/fsm"
	"golang.org/x/term"
)

// table lines up cells that tabs end, once it is flushed.
func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 8, 2, ' ', 0) }

// shown is a duration for people: machine time is not worth more digits.
func shown(d fsm.Duration) string {
	return time.Duration(d).Round(100 * time.Millisecond).String()
}

// indented prints a document for a person or a script.
func indented(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(document)
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

// onTerminal tells whether a person reads what is written.
func onTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
