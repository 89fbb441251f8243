package history

import (
	"fmt"
	"strings"
)

// String is the operation for people: what was asked, and what came of it.
func (o *Op) String() string {
	var asked string
	switch o.Kind {
	case Acquire:
		asked = "acquire " + wanted(o.Wants)
		switch {
		case o.Wait < 0:
			asked += ", wait"
		case o.Wait > 0:
			asked += fmt.Sprintf(", wait %.3fs", float64(o.Wait)/1e9)
		}
	case Release, Extend, Loss:
		asked = fmt.Sprintf("%s of #%d", o.Kind, o.Grant)
	case Inspect:
		asked = "inspect " + o.Name
	default:
		asked = string(o.Kind)
	}
	who := fmt.Sprintf("%d", o.Session)
	if o.Owner != "" {
		who += "/" + o.Owner
	}
	return fmt.Sprintf("%s: %s -> %s", who, asked, o.outcome())
}

func (o *Op) outcome() string {
	switch {
	case o.Status == Unknown:
		return "?"
	case o.Status == Fail:
		return o.Code
	case o.Kind == Acquire:
		text := fmt.Sprintf("#%d", o.Grant)
		if len(o.Tokens) > 0 {
			text += " tokens " + strings.Trim(fmt.Sprint(o.Tokens), "[]")
		}
		return text
	case o.Kind == Inspect:
		var seen []string
		for _, h := range o.Holders {
			seen = append(seen, fmt.Sprintf("%d/%s %s token %d", h.Session, h.Owner, h.Mode, h.Token))
		}
		return "held by [" + strings.Join(seen, ", ") + "]"
	default:
		return "ok"
	}
}

func wanted(wants []Want) string {
	var all []string
	for _, w := range wants {
		text := w.Name
		switch w.Mode {
		case Shared:
			text += " shared"
		case Permits:
			text += fmt.Sprintf(" %d of %d", w.Permits, w.Limit)
		}
		all = append(all, text)
	}
	return strings.Join(all, " + ")
}
