package fsm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// locks says who holds and who waits, as locksOf does of a View.
func (o *oracle) locks() string {
	used := map[string]bool{}
	for _, g := range o.grants {
		for _, p := range g.parts {
			used[p.Name] = true
		}
	}
	for _, w := range o.waits {
		for _, want := range w.wants {
			used[want.Name] = true
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(used)) {
		o.printName(&b, name)
	}
	return b.String()
}

func (o *oracle) printName(b *strings.Builder, name string) {
	is, waiters := o.use(name), o.queue(name)
	var holds []string
	owned := o.holders(name)
	slices.SortStableFunc(owned, func(a, b *given) int {
		return cmp.Or(cmp.Compare(a.session, b.session), cmp.Compare(a.owner, b.owner))
	})
	for i := 0; i < len(owned); {
		g, count := owned[i], 1
		if is.Kind == KindLock {
			count = len(o.hold(name, g.session, g.owner))
		}
		p := g.of(name)
		holds = append(holds, fmt.Sprintf(" s%d/%s %d:%d %d x%d", g.session, g.owner, p.Mode, p.Permits, p.token, count))
		i += count
	}
	fmt.Fprintf(b, "%s %d of %d, %d+%d:%s", name, is.Kind, is.Limit, len(holds), len(waiters), strings.Join(holds, ""))
	for _, w := range waiters {
		want := w.want(name)
		fmt.Fprintf(b, " < s%d/%s %d:%d", w.session, w.owner, want.Mode, want.Permits)
	}
	b.WriteByte('\n')
}

func locksOf(v *View) string {
	var b strings.Builder
	page, _ := v.Locks("", "", 1<<30)
	for _, l := range page {
		fmt.Fprintf(&b, "%s %d of %d, %d+%d:", l.Name, l.Kind, l.Limit, l.Holds, l.Waits)
		for _, h := range l.Holders {
			fmt.Fprintf(&b, " s%d/%s %d:%d %d x%d", h.Session, h.Owner, h.Mode, h.Permits, h.Token, h.Count)
		}
		for _, w := range l.Waiters {
			fmt.Fprintf(&b, " < s%d/%s %d:%d", w.Session, w.Owner, w.Mode, w.Permits)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// session says what a session holds and waits for, as sessionOf does of a View.
func (o *oracle) session(cl *client) string {
	var b strings.Builder
	fmt.Fprintf(&b, "incarnation %d, seen %d, ends %d\n", cl.incarnation, cl.seen, cl.deadline)
	for _, g := range o.grants {
		if g.session == cl.id {
			fmt.Fprintf(&b, "g%d #%d/%s %d: %v\n", g.id, g.seq, g.owner, g.until, g.sorted())
		}
	}
	own := slices.SortedFunc(slices.Values(o.waits), func(a, b *wish) int { return cmp.Compare(a.seq, b.seq) })
	for _, w := range own {
		if w.session == cl.id && w.speaker == cl.id {
			fmt.Fprintf(&b, "#%d/%s %d %d: %v\n", w.seq, w.owner, w.maxHold, w.deadline, w.wants)
		}
	}
	return b.String()
}

// sessionOf reads a session page by page.
func sessionOf(v *View, id SessionID, limit int) string {
	var b strings.Builder
	grant, wait := GrantID(0), Seq(0)
	for {
		page, more, found := v.Session(id, grant, wait, limit)
		if !found {
			return "gone"
		}
		if grant == 0 && wait == 0 {
			fmt.Fprintf(&b, "incarnation %d, seen %d, ends %d\n", page.Incarnation, page.Seen, v.Now().Add(page.Expires))
		}
		for _, g := range page.Grants {
			var parts []part
			for _, h := range g.Names {
				parts = append(parts, part{h.Want, h.Token})
			}
			fmt.Fprintf(&b, "g%d #%d/%s %d: %v\n", g.Grant, g.Seq, g.Owner, g.Until, parts)
			grant = g.Grant
		}
		for _, w := range page.Waits {
			fmt.Fprintf(&b, "#%d/%s %d %d: %v\n", w.Seq, w.Owner, w.MaxHold, w.Deadline, w.Wants)
			wait = w.Seq
		}
		if !more {
			return b.String()
		}
	}
}
