package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// gapMin is the least time without an answer that needs a reason.
const gapMin = int64(1e9)

// A gap is a time in which nobody had an answer, or held anything.
type gap struct {
	Begin, End int64
	Reasons    []string // none: it is not explained
}

// An election is a time without a leader, or with one who had lost it: Begin is when
// the reign before was over, End when the next one began.
type election struct {
	Begin, End int64
	won        Reign
}

// elections are those of the time that is drawn: whoever led from the start was
// elected before.
func (p *Page) elections() (all []election) {
	over := int64(0)
	for _, r := range p.Reigns {
		if r.Begin > 0 {
			all = append(all, election{over, r.Begin, r})
		}
		over = max(over, r.End)
	}
	return all
}

// gaps are all longer than gapMin while clients were at work, and what was under way
// in each: faults, elections, and nodes that did not serve.
func (p *Page) gaps(first, last int64) (all []gap) {
	busy := []gap{{Begin: last, End: last}} // what is between these
	for i := range p.History {
		switch o := &p.History[i]; {
		case p.Holds:
			busy = append(busy, gap{Begin: o.Call, End: o.Return})
		case answered(o):
			busy = append(busy, gap{Begin: o.Return, End: o.Return})
		}
	}
	slices.SortFunc(busy, func(a, b gap) int { return cmp.Compare(a.Begin, b.Begin) })
	for _, b := range busy {
		if b.Begin-first > gapMin {
			all = append(all, gap{first, b.Begin, p.reasons(first, b.Begin)})
		}
		first = max(first, b.End)
	}
	return all
}

func (p *Page) reasons(begin, end int64) (why []string) {
	during := func(from, to int64) bool { return from < end && to > begin }
	for _, f := range p.Faults {
		if during(f.Begin, f.End) {
			why = append(why, named(f.Name, f.To))
		}
	}
	for _, e := range p.elections() {
		if during(e.Begin, e.End) || e.End >= begin && e.End < end {
			why = append(why, fmt.Sprintf("election: nobody led for %s, then %s (term %d) from %s", lasting(e.End-e.Begin), e.won.Node, e.won.Term, clock(e.End)))
		}
	}
	if n := len(p.Reigns); n > 0 && during(p.Reigns[n-1].End, end) {
		why = append(why, fmt.Sprintf("nobody led from %s", clock(p.Reigns[n-1].End)))
	}
	var down []string
	for _, d := range p.absences() {
		if during(d.Begin, d.End) && !slices.Contains(down, d.Node) {
			down = append(down, d.Node)
		}
	}
	if len(down) > 0 && len(why) == 0 {
		slices.Sort(down)
		why = append(why, "did not serve: "+strings.Join(down, " "))
	}
	return why
}

// An absence is a time in which a node did not serve: it was not there, or starting.
type absence struct {
	Node       string
	Begin, End int64
	Back       bool // it served again at End
}

func (p *Page) absences() (all []absence) {
	lives := slices.Clone(p.Lives)
	slices.SortStableFunc(lives, func(a, b Life) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Begin, b.Begin))
	})
	for i, l := range lives {
		begin := l.Begin
		if i > 0 && lives[i-1].Node == l.Node {
			begin = lives[i-1].End
		}
		before := len(all) - 1
		switch {
		case l.Ready > begin && before >= 0 && all[before].Node == l.Node && all[before].End == begin: // it died as it started
			all[before].End, all[before].Back = l.Ready, l.Ready < l.End
		case l.Ready > begin:
			all = append(all, absence{l.Node, begin, l.Ready, l.Ready < l.End})
		}
		if last := i == len(lives)-1 || lives[i+1].Node != l.Node; last && l.End < p.until {
			all = append(all, absence{l.Node, l.End, p.until, false})
		}
	}
	return all
}

func named(name, to string) string {
	if to == "" {
		return name
	}
	return name + " (" + to + ")"
}

// clock is a time for people.
func clock(ns int64) string { return fmt.Sprintf("%.1f s", seconds(ns)) }

func lasting(ns int64) string {
	if ns < 1e9 {
		return fmt.Sprintf("%d ms", ns/1e6)
	}
	return fmt.Sprintf("%.1f s", seconds(ns))
}
