// Package verdict judges histories. A verdict is one of three things, and only
// one of them is good news: a checker that ran out of time has found nothing out.
package verdict

import (
	"fmt"
	"strings"
)

// A Verdict is what a checker says of a history.
type Verdict int

// Verdicts.
const (
	Undecided Verdict = iota // out of time; a run with one has failed
	Pass
	Violated
)

// String is the verdict in a word.
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Violated:
		return "violated"
	default:
		return "undecided"
	}
}

// A Finding is one thing that cannot be.
type Finding struct {
	What string
	Ops  []int // by their ID, the first few
}

func (f Finding) String() string {
	if len(f.Ops) == 0 {
		return f.What
	}
	return fmt.Sprintf("%s (operations %s)", f.What, strings.Trim(fmt.Sprint(f.Ops), "[]"))
}
