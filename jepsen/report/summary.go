package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lockd-io/lockd/jepsen/history"
)

// summary is what was tried, what was found, and the verdict, for somebody who
// reads no further.
func (p *Page) summary(last int64) string {
	all, nodes := make(map[int]bool), make(map[string]bool)
	for i := range p.History {
		all[p.History[i].Client] = true
	}
	for _, l := range p.Lives {
		nodes[l.Node] = true
	}
	clients := cmp.Or(p.Clients, len(all))
	service := cmp.Or(p.Service, "the service")
	of := service
	if len(nodes) > 0 {
		of = Many(len(nodes), "node", "nodes") + " of " + service
	}
	asked := fmt.Sprintf("asked %s for locks %s", of, Many(len(p.History), "time", "times"))
	if p.Holds {
		asked = fmt.Sprintf("held a lock of %s %s", of, Many(len(p.History), "time", "times"))
	}
	text := fmt.Sprintf("For %.0f seconds %s %s", seconds(last), Many(clients, "client", "clients"), asked)
	kinds := make(map[string]bool)
	for _, f := range p.Faults {
		kinds[f.Name] = true
	}
	switch {
	case len(p.Faults) == 0:
		text += ", and it was left alone. "
	case len(p.Faults) == 1:
		text += fmt.Sprintf(", while 1 thing was done to it: %s. ", p.Faults[0].Name)
	default:
		text += fmt.Sprintf(", while %d things of %s were done to it, such as %q. ", len(p.Faults), Many(len(kinds), "kind", "kinds"), p.Faults[0].Name)
	}
	if n := len(p.elections()); n > 0 {
		text += fmt.Sprintf("Another leader took over %s. ", Many(n, "time", "times"))
	}
	switch n := len(p.Findings); {
	case p.Verdict == "pass" && n == 0:
		text += "Nothing was found that must not be: no lock was two's at one time, and every answer can be explained."
	case p.Verdict == "undecided":
		text += "It could not be found out whether all of it can be explained; a run like that counts as failed."
	case n == 0:
		text += "No reason was told for the verdict."
	default:
		text += fmt.Sprintf("%s found that must not be; the first: %s.", Many(n, "thing was", "things were"), strings.TrimSuffix(p.Findings[0], "."))
	}
	return text + " Verdict: " + p.Verdict + "."
}

// Many is a number of things, in words: "1 kill", "1,402 kills".
func Many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + more
}

// grouped is a number with its thousands apart.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }

// Outcomes are how often something was asked for and answered so: "acquire busy".
type Outcomes map[string]int

type kindOutcomes struct {
	Kind    string
	Total   int
	Answers []outcome
}

type outcome struct {
	Answer, Meaning string
	Count           int
	Share           float64 // of its kind, in percent
}

// meanings of answers, for who does not know the codes.
var meanings = map[string]string{
	string(history.OK):      "done",
	string(history.Unknown): "no answer came: nobody knows whether it was done",
	history.Busy:            "refused: somebody else had it, or it was not its turn",
	history.Timeout:         "refused: it waited in vain",
	history.NotHeld:         "refused: it was not held, or no longer",
	history.Abandoned:       "withdrawn by its client",
	history.Unavailable:     "nobody took it: it was not done",
	history.NoSession:       "refused: the client's session was over",
	"mode_conflict":         "refused: its owner had it in another mode",
	"overtaken":             "refused by the resource: a later holder had written",
}

// kinds are the outcomes by what was asked for, the most frequent answer first.
func (o Outcomes) kinds() (all []kindOutcomes) {
	at := make(map[string]int)
	for what, n := range o {
		kind, answer, _ := strings.Cut(what, " ")
		i, known := at[kind]
		if !known {
			i = len(all)
			at[kind] = i
			all = append(all, kindOutcomes{Kind: kind})
		}
		all[i].Total += n
		all[i].Answers = append(all[i].Answers, outcome{Answer: strings.ReplaceAll(answer, "_", " "), Meaning: meanings[answer], Count: n})
	}
	slices.SortFunc(all, func(a, b kindOutcomes) int { return cmp.Compare(a.Kind, b.Kind) })
	for i := range all {
		k := &all[i]
		slices.SortFunc(k.Answers, func(a, b outcome) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Answer, b.Answer))
		})
		for j := range k.Answers {
			k.Answers[j].Share = 100 * float64(k.Answers[j].Count) / float64(max(1, k.Total))
		}
	}
	return all
}

// String is the outcomes in a line, for a log.
func (o Outcomes) String() string {
	var lines []string
	for _, k := range o.kinds() {
		var answers []string
		for _, a := range k.Answers {
			answers = append(answers, strings.TrimSpace(grouped(a.Count)+" "+a.Answer))
		}
		lines = append(lines, k.Kind+": "+strings.Join(answers, ", "))
	}
	return strings.Join(lines, "; ")
}
