package history

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// An ednEvent is one of the two ends of an operation.
type ednEvent struct {
	op   *Op
	time int64
	kind string
}

// WriteEDN writes the history as Jepsen's checkers read it: a vector of maps, an
// invocation and, if there was an answer, a completion of each operation, in the
// order of time. What befell a session without a call of its own is an operation
// of the process :nemesis. An operation whose effect is not known ends with :info,
// at the end of the history, so that its process asks for nothing any more.
func WriteEDN(w io.Writer, h History) error {
	var events []ednEvent
	last := int64(0)
	for i := range h {
		o := &h[i]
		last = max(last, o.Call, o.Return)
	}
	for i := range h {
		o := &h[i]
		events = append(events, ednEvent{o, o.Call, "invoke"})
		switch {
		case o.Status == Unknown:
			events = append(events, ednEvent{o, max(o.Return, last), "info"})
		default:
			events = append(events, ednEvent{o, o.Return, string(o.Status)})
		}
	}
	// At one time, calls are before answers: the two operations overlapped.
	slices.SortStableFunc(events, func(a, b ednEvent) int {
		if c := cmp.Compare(a.time, b.time); c != 0 {
			return c
		}
		return cmp.Compare(btoi(a.kind != "invoke"), btoi(b.kind != "invoke"))
	})
	out := bufio.NewWriter(w)
	out.WriteString("[")
	for i, e := range events {
		if i > 0 {
			out.WriteString("\n ")
		}
		fmt.Fprintf(out, "{:index %d, :time %d, :process %s, :type :%s, :f :%s, :value %s}",
			i, e.time, e.op.process(), e.kind, e.op.Kind, e.op.value(e.kind))
	}
	out.WriteString("]\n")
	return out.Flush()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (o *Op) process() string {
	if o.Kind == Loss || o.Kind == Ended {
		return ":nemesis"
	}
	return strconv.Itoa(o.Client)
}

// value is what was asked; in a completion, with what was answered.
func (o *Op) value(kind string) string {
	fields := []string{fmt.Sprintf(":session %d", o.Session)}
	if o.Owner != "" {
		fields = append(fields, ":owner "+ednString(o.Owner))
	}
	if len(o.Wants) > 0 {
		var wants []string
		for _, want := range o.Wants {
			text := fmt.Sprintf("{:name %s, :mode :%s", ednString(want.Name), want.Mode)
			if want.Mode == Permits {
				text += fmt.Sprintf(", :permits %d, :limit %d", want.Permits, want.Limit)
			}
			wants = append(wants, text+"}")
		}
		fields = append(fields, ":wants ["+strings.Join(wants, " ")+"]")
	}
	if o.Name != "" {
		fields = append(fields, ":name "+ednString(o.Name))
	}
	if o.Grant != 0 && (o.Kind != Acquire || kind == "ok") {
		fields = append(fields, fmt.Sprintf(":grant %d", o.Grant))
	}
	if kind == "ok" && len(o.Tokens) > 0 {
		fields = append(fields, fmt.Sprintf(":tokens %v", o.Tokens))
	}
	if kind == "ok" && o.Kind == Inspect {
		var holders []string
		for _, seen := range o.Holders {
			holders = append(holders, fmt.Sprintf("{:session %d, :owner %s, :mode :%s, :permits %d, :token %d}",
				seen.Session, ednString(seen.Owner), seen.Mode, seen.Permits, seen.Token))
		}
		fields = append(fields, ":holders ["+strings.Join(holders, " ")+"]")
	}
	if kind == "fail" {
		fields = append(fields, ":error :"+strings.ReplaceAll(o.Code, "_", "-"))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// ednString quotes text: EDN knows the escapes of \t, \r, \n, \\ and \", and
// \u with four digits.
func ednString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
