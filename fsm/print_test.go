package fsm

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// printState writes the whole state, a line for each thing in it.
func printState(b *strings.Builder, s *State) {
	fmt.Fprintf(b, "-- entry %d, term %d, time %s, last token %s\n",
		s.applied, s.term, instant(s.now), token(makeToken(s.epoch, s.lastToken)))
	s.members.Ascend(func(m *Member) bool {
		fmt.Fprintf(b, "member %s at %s, instance %x-%x\n", m.ID, m.Address, m.Instance.Hi, m.Instance.Lo)
		return true
	})
	s.sessions.Ascend(func(ss *session) bool {
		if ss.id != ReservedSession {
			printSession(b, s, ss)
		}
		return true
	})
	s.locks.Ascend(func(l *lock) bool {
		printHolders(b, s, l)
		return true
	})
}

func printSession(b *strings.Builder, s *State, ss *session) {
	fmt.Fprintf(b, "s%d ends %s, mark %d", ss.id, instant(ss.deadline), ss.mark)
	if ss.label != "" {
		fmt.Fprintf(b, ", label %s", ss.label)
	}
	var answered, waits, untold []string
	for _, a := range ss.window.living(ss.mark) {
		answered = append(answered, fmt.Sprintf("#%d %s", a.seq, brief(&a.result)))
	}
	for _, w := range s.waitersOf(ss.id) {
		var names []string
		for i := range w.wants {
			names = append(names, w.wants[i].Name)
		}
		waits = append(waits, fmt.Sprintf("#%d %s%s", w.seq, strings.Join(names, "+"), behalf(w.session, w.speaker)))
	}
	for _, e := range ss.events {
		acquire := ""
		if e.kind == OutcomeGranted {
			acquire = fmt.Sprintf("#%d ", e.seq)
		}
		untold = append(untold, fmt.Sprintf("%d=%s%s", e.id, acquire, brief(&e.result)))
	}
	printTrail(b, ", answered ", ", ", answered)
	printTrail(b, ", waits ", ", ", waits)
	printTrail(b, ", untold ", ", ", untold)
	b.WriteByte('\n')
}

// printTrail leaves out the middle of a long list.
func printTrail(b *strings.Builder, before, between string, items []string) {
	if n := len(items); n > 20 {
		items = []string{items[0], fmt.Sprintf("... %d more ...", n-2), items[n-1]}
	}
	if len(items) > 0 {
		b.WriteString(before + strings.Join(items, between))
	}
}

func brief(r *Result) string {
	if r.Grant != 0 {
		return r.Status.String() + " g" + r.Grant.String()
	}
	return r.Status.String()
}

func printHolders(b *strings.Builder, s *State, l *lock) {
	fmt.Fprintf(b, "%s:", l.name)
	if l.kind == KindSemaphore {
		fmt.Fprintf(b, " %d of %d", l.taken, l.limit)
	}
	var last *grant
	var grants, waiters []string
	s.held.AscendGreaterOrEqual(&grant{name: l.name}, func(g *grant) bool {
		if g.name != l.name {
			return false
		}
		if last == nil || l.kind == KindSemaphore || !sameHold(last, g) {
			printTrail(b, " by ", ", ", grants)
			grants = nil
			if last != nil {
				b.WriteByte(';')
			}
			fmt.Fprintf(b, " s%d%s%s %s", g.session, owner(g.owner), mode(g.mode, g.permits), token(g.token))
		}
		grants = append(grants, "g"+g.id.String()+until(g.until))
		last = g
		return true
	})
	printTrail(b, " by ", ", ", grants)
	s.walkQueue(new(standProbe), l.name, func(st *stand) bool {
		w := st.waiter
		waiters = append(waiters, fmt.Sprintf("s%d%s%s#%d%s%s", w.speaker, owner(w.owner),
			mode(st.want.Mode, st.want.Permits), w.seq, behalf(w.session, w.speaker), until(w.deadline)))
		return true
	})
	printTrail(b, " < ", " < ", waiters)
	b.WriteByte('\n')
}

// mode says nothing of the most frequent one.
func mode(m Mode, permits Permits) string {
	switch m {
	case Shared:
		return " shared"
	case Counted:
		return fmt.Sprintf(" %d", permits)
	}
	return ""
}

func behalf(session, speaker SessionID) string {
	switch session {
	case speaker:
		return ""
	case ReservedSession:
		return " for nobody"
	}
	return fmt.Sprintf(" for s%d", session)
}

func printOutcome(b *strings.Builder, s *State, commands []Command, o *Outcome) {
	switch o.Kind {
	case OutcomeAnswer:
		fmt.Fprintf(b, "%s: ", spoken(&commands[o.Pos]))
	case OutcomeGranted:
		fmt.Fprintf(b, "=> s%d event %d: #%d ", o.Key.Session, o.Event, o.Key.Seq)
	case OutcomeLoss:
		fmt.Fprintf(b, "=> s%d event %d: lost, ", o.Key.Session, o.Event)
	case OutcomeEnded:
		fmt.Fprintf(b, "=> s%d ended: ", o.Key.Session)
	}
	r := o.Result
	if o.Kind == OutcomeEnded {
		r.Session = 0 // said already
	}
	printResult(b, &r, s.Applied())
	b.WriteByte('\n')
}

// spoken names a command as its answer's line does.
func spoken(c *Command) string {
	switch k := c.Key(); {
	case c.Op == OpAttach || c.Op == OpResume:
		return fmt.Sprintf("s%d %s", c.Session, c.Op)
	case k.Class == ClassNonce:
		return c.Op.String()
	case k.Class == ClassRenewal:
		return fmt.Sprintf("s%d renew %d", c.Session, c.Seq)
	default:
		return fmt.Sprintf("s%d#%d", c.Session, c.Seq)
	}
}

func printResult(b *strings.Builder, r *Result, applied Index) {
	b.WriteString(r.Status.String())
	for _, field := range []struct {
		set  bool
		name string
		text string
	}{
		{r.Session != 0, "session", "s" + r.Session.String()},
		{r.Term != 0, "term", strconv.FormatUint(uint64(r.Term), 10)},
		{r.Grant != 0, "grant", "g" + r.Grant.String()},
		{r.Token != 0, "token", token(r.Token)},
		{r.Rest != "", "and", tokens(r.Rest)},
		{r.Incarnation != 0, "incarnation", strconv.Itoa(int(r.Incarnation))},
		{r.Until != 0, "until", instant(r.Until)},
		{r.Count != 0, "count", strconv.Itoa(int(r.Count))},
		{r.Place != 0, "place", strconv.Itoa(int(r.Place))},
		{r.Value != 0, "value", strconv.FormatUint(r.Value, 10)},
		{r.Limit != 0, "of", r.Limit.String()},
	} {
		if field.set {
			fmt.Fprintf(b, " %s %s", field.name, field.text)
		}
	}
	if r.Index != 0 && r.Index != applied {
		fmt.Fprintf(b, " as of entry %d, %s", r.Index, instant(r.At))
	}
}

// printCounts says how often each kind of outcome came with each status.
func printCounts(b *strings.Builder, out []Outcome) {
	names := [...]string{"none", "answers", "events", "losses", "ends"}
	for kind := OutcomeAnswer; kind <= OutcomeEnded; kind++ {
		var counts [statusEnd]int
		for i := range out {
			if out[i].Kind == kind {
				counts[out[i].Result.Status]++
			}
		}
		for status, n := range counts {
			if n > 0 {
				fmt.Fprintf(b, "%s: %d %s\n", names[kind], n, Status(status))
			}
		}
	}
}

func printLock(b *strings.Builder, l LockView) {
	fmt.Fprintf(b, "%s kind %d", l.Name, l.Kind)
	if l.Limit > 0 {
		fmt.Fprintf(b, " limit %d", l.Limit)
	}
	if int(l.Holds) > len(l.Holders) || int(l.Waits) > len(l.Waiters) {
		fmt.Fprintf(b, ", the first of %d holders and %d waiters", l.Holds, l.Waits)
	}
	b.WriteByte('\n')
	for _, h := range l.Holders {
		fmt.Fprintf(b, "  s%d %q%s%s mode %d count %d token %s held %s expires in %s\n",
			h.Session, h.Label, owner(h.Owner), permits(h.Permits), h.Mode, h.Count, token(h.Token),
			time.Duration(h.Held), time.Duration(h.Expires))
	}
	for _, w := range l.Waiters {
		fmt.Fprintf(b, "  %d. s%d %q%s%s mode %d waiting %s\n",
			w.Position, w.Session, w.Label, owner(w.Owner), permits(w.Permits), w.Mode, time.Duration(w.Waiting))
	}
}

func countLock(b *strings.Builder, l LockView) {
	fmt.Fprintf(b, "%s: %d of %d holders, %d of %d waiters\n", l.Name, len(l.Holders), l.Holds, len(l.Waiters), l.Waits)
}

func permits(n Permits) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" permits %d", n)
}

func owner(o string) string {
	if o == "" {
		return ""
	}
	return "/" + o
}

func token(t Token) string {
	counter := uint64(t) & (1<<tokenCounterBits - 1)
	if t.Epoch() == 1 {
		return fmt.Sprintf("t%d", counter)
	}
	return fmt.Sprintf("t%d of epoch %d", counter, t.Epoch())
}

func tokens(list Tokens) string {
	var all []string
	for _, t := range list.All() {
		all = append(all, token(t))
	}
	return strings.Join(all, " ")
}

func until(i Instant) string {
	if i == 0 {
		return ""
	}
	return " until " + instant(i)
}

func instant(i Instant) string { return time.Duration(i).String() }

func printSessionView(b *strings.Builder, v *SessionView, more, found bool) {
	if !found {
		b.WriteString("no such session\n")
		return
	}
	fmt.Fprintf(b, "s%d incarnation %d, seen %d, ttl %s, ends in %s, more: %v\n", v.Session, v.Incarnation,
		v.Seen, time.Duration(v.TTL), time.Duration(v.Expires), more)
	for _, g := range v.Grants {
		fmt.Fprintf(b, "  g%d of #%d%s%s:", g.Grant, g.Seq, owner(g.Owner), until(g.Until))
		for i := range g.Names {
			fmt.Fprintf(b, " %s %s", want(&g.Names[i].Want), token(g.Names[i].Token))
		}
		b.WriteByte('\n')
	}
	for _, w := range v.Waits {
		fmt.Fprintf(b, "  #%d%s%s waits %s for", w.Seq, owner(w.Owner), until(w.Deadline), time.Duration(w.Waiting))
		for i := range w.Wants {
			b.WriteString(" " + want(&w.Wants[i]))
		}
		b.WriteByte('\n')
	}
}

func want(w *Want) string {
	if w.Kind == KindSemaphore {
		return fmt.Sprintf("%s(%d of %d)", w.Name, w.Permits, w.Limit)
	}
	return w.Name + strings.ReplaceAll(mode(w.Mode, 0), " ", ":")
}
