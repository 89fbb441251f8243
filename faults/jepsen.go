package main

// checkerFaults are those of the suite that judges lock services: a checker that
// finds nothing proves nothing.
func checkerFaults() []fault {
	const verdicts, property = "./jepsen/verdict", "bad histories are refused, good ones are not"
	return []fault{
		{
			name: "checker: a writer may be beside a reader", property: property,
			file: "jepsen/model/model.go", old: "case want.Mode == history.Exclusive || h.want.Mode == history.Exclusive:", new: "case want.Mode == h.want.Mode && want.Mode == history.Exclusive:",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: a semaphore has one permit more", property: property,
			file: "jepsen/model/model.go", old: "taken <= uint64(want.Limit)", new: "taken <= uint64(want.Limit)+1",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: what was withdrawn may come later", property: property,
			file: "jepsen/model/model.go", old: "BinarySearch(s.burnt, o.Grant); burnt {", new: "BinarySearch(s.burnt, o.Grant); burnt && at < 0 {",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: who has no session is whoever has none", property: property,
			file: "jepsen/history/history.go", old: "if nobody.Client != o.Client {", new: "if false {",
			pkg: "./jepsen/history", test: "TestLoadRefuses",
		},
		{
			name: "checker: a lock that outlived its TTL may be given back", property: property,
			file: "jepsen/verdict/sessions.go", old: "s.by == math.MaxInt64 && s.last <= earliest &&", new: "s.by == math.MaxInt64 &&",
			pkg: "./jepsen/workload", test: "TestLeases$",
		},
		{
			name: "leases: a service that is down gets doubts without end", property: property,
			file: "jepsen/workload/leases.go", old: "pause(ctx, l.TTL/4)", new: "pause(ctx, l.TTL/400)",
			pkg: "./jepsen/workload", test: "TestLeasesOfAServiceThatIsDown",
		},
		{
			name: "checker: a lease that ran out was not over", property: "a lease that is none is found out",
			file: "jepsen/workload/leases.go", old: "lost := history.NoSession // it ran out", new: "lost := history.NotHeld",
			pkg: "./jepsen/workload", test: "TestLeases$",
		},
		{
			name: "checker: who gave it back has it still", property: "a finding says what speaks against the answer",
			file: "jepsen/verdict/against.go", old: "case history.Release, history.Loss:", new: "case history.Loss:",
			pkg: verdicts, test: "TestAgainst",
		},
		{
			name: "checker: tokens may repeat", property: property,
			file: "jepsen/model/model.go", old: "if token <= next.token {", new: "if token < next.token {",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: re-entry may tell an old token", property: property,
			file: "jepsen/model/model.go", old: "if token <= g.holds[j].after {", new: "if token < g.holds[j].after {",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: locks of others are re-entrant", property: property,
			file: "jepsen/history/foreign.go", old: "if !f.lock.Reentrant {", new: "if false {",
			pkg: verdicts, test: "TestForeignLocks",
		},
		{
			name: "checker: what is open is over at once", property: property,
			file: "jepsen/verdict/linear.go", old: "end = last + 1 // after", new: "end = o.Call // after",
			pkg: verdicts, test: "TestForeignRegisters",
		},
		{
			name: "checker: an order that is shown need not agree with the answers' times", property: property,
			file: "jepsen/verdict/narrow.go", old: "case o.End() >= now:", new: "case o.End() > 0:",
			pkg: verdicts, test: "TestNarrowedFindsNoOrderThatIsNone",
		},
		{
			name: "checker: an order that is shown need not agree with the calls' times", property: property,
			file: "jepsen/verdict/narrow.go", old: "now = max(now, o.Call)", new: "now = max(now, 0)",
			pkg: verdicts, test: "TestNarrowedFindsNoOrderThatIsNone",
		},
		{
			name: "checker: what explains others is not in the order that is shown", property: property,
			file: "jepsen/verdict/explain.go", old: "w.note(u)", new: "_ = u",
			pkg: verdicts, test: "TestNarrowedFindsTheWitnesssOrder",
		},
		{
			name: "checker: no order is shown", property: property,
			file: "jepsen/verdict/linear.go", old: "narrowed(part, taken()); agrees &&", new: "narrowed(part, taken()); agrees && false &&",
			pkg: verdicts, test: "TestShownOrderDecides",
		},
		{
			name: "checker: out of time is a pass", property: property,
			file: "jepsen/verdict/linear.go", old: "out.Verdict = Undecided", new: "out.Verdict = Pass",
			pkg: verdicts, test: "TestUndecided",
		},
		{
			name: "checker: who has no session is given locks", property: property,
			file: "jepsen/model/model.go", old: "if s.hasEnded(o.Session) {\n\t\treturn s, false", new: "if false {\n\t\treturn s, false",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: sessions may end whenever", property: property,
			file: "jepsen/verdict/sessions.go", old: "s.alive + int64(float64(s.ttl)*(1-drift))", new: "s.alive",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: what is not known has happened", property: property,
			file: "jepsen/model/model.go", old: "case history.Unknown:\n\t\tif !admitted {\n\t\t\treturn s, true", new: "case history.Unknown:\n\t\tif !admitted {\n\t\t\treturn s, false",
			pkg: verdicts, test: "TestGoodHistories|TestHistoriesOfTheMachine",
		},
		{
			name: "checker: an end without an answer comes at once", property: property,
			file: "jepsen/history/history.go", old: "return math.MaxInt64", new: "return o.Call",
			pkg: verdicts, test: "TestGoodHistories|TestHistoriesOfTheMachine",
		},
		{
			name: "checker: half of what was asked for together is judged alone", property: property,
			file: "jepsen/verdict/parts.go", old: "names.join(all[0], name)", new: "names.join(name, name)",
			pkg: verdicts, test: "TestGoodHistories|TestBadHistories",
		},
		{
			name: "checker: whoever waits may be overtaken", property: property,
			file: "jepsen/verdict/order.go", old: "position(o).Compare(position(last)) < 0 && !sameOwner(o, last)", new: "position(o).Compare(position(last)) < 0 && false && !sameOwner(o, last)",
			pkg: verdicts, test: "TestWitness",
		},
		{
			name: "checker: whoever waits may wait for nobody", property: property,
			file: "jepsen/verdict/idle.go", old: "if len(w.state.Holders(name)) == 0 {", new: "if len(w.state.Holders(name)) < 0 {",
			pkg: verdicts, test: "TestWitness",
		},
		{
			name: "checker: who may hold it in doubt does not count", property: property,
			file: "jepsen/verdict/idle.go", old: "w.mayBeHeld(name, o) || !w.alone[name]", new: "!w.alone[name]",
			pkg: verdicts, test: "TestWitness",
		},
		{
			name: "checker: positions need not agree with the clock", property: property,
			file: "jepsen/verdict/order.go", old: "byReturn[next].Return < o.Call", new: "next < 0",
			pkg: verdicts, test: "TestWitness",
		},
		{
			name: "checker: whatever the witness cannot explain is left out", property: property,
			file: "jepsen/verdict/witness.go", old: "if w.explain(o) {", new: "if w.explain(o) || true {",
			pkg: verdicts, test: "TestWitness|TestWitnessOfLies",
		},
		{
			name: "checker: \"not held\" may always be the answer to a release", property: property,
			file: "jepsen/model/model.go", old: "return s, o.Code != history.NotHeld || s.find(o.Session, o.Grant) < 0", new: "return s, true",
			pkg: verdicts, test: "TestBadHistories|TestWitnessRules",
		},
		{
			name: "checker: a first grant is a re-entry, which may overtake", property: property,
			file: "jepsen/verdict/order.go", old: "if o.Count > 1 {", new: "if o.Count > 0 {",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a re-entry may not pass who waits", property: property,
			file: "jepsen/verdict/order.go", old: "if o.Count > 1 {", new: "if o.Count > 9 {",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: owners of one session overtake each other", property: property,
			file: "jepsen/verdict/order.go", old: "return a.Session == b.Session && a.Owner == b.Owner", new: "return a.Session == b.Session",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: two that come one after the other have one place", property: property,
			file: "jepsen/verdict/order.go", old: "c > 0 || c == 0 && o.Kind != history.Inspect", new: "c > 0",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a doubt that is settled excuses a refusal later", property: property,
			file: "jepsen/verdict/idle.go", old: "d.from <= o.Return && d.to >= o.Call", new: "d.from <= o.Return",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a doubt that arises later excuses a refusal", property: property,
			file: "jepsen/verdict/idle.go", old: "d.from <= o.Return && d.to >= o.Call", new: "d.to >= o.Call",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: every doubt is for ever", property: property,
			file: "jepsen/verdict/idle.go", old: "if o.Status == history.OK {", new: "if true {",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a grant of no place is over at once", property: property,
			file: "jepsen/verdict/idle.go", old: "if o.Status == history.OK {", new: "if false {",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a refusal of no place is a doubt", property: property,
			file: "jepsen/verdict/witness.go", old: "o.At == nil && o.Status == history.OK", new: "o.At == nil",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a grant of no place is none", property: property,
			file: "jepsen/verdict/witness.go", old: "case o.Doubtful() || o.At == nil && o.Status == history.OK:", new: "case o.Doubtful():",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: who is seen to live later may be over", property: property,
			file: "jepsen/verdict/witness.go", old: "w.alive[o.Session] = at", new: "_ = at",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: what one look shows may be over at another of the same entry", property: property,
			file: "jepsen/verdict/witness.go", old: "return p.Compare(position(o)) < 0", new: "return p.Compare(position(o)) <= 0",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: who closes his session later may be over before", property: property,
			file: "jepsen/verdict/explain.go", old: "s == nil || s.closed || !over", new: "s == nil || !over",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: who lives was closed before", property: property,
			file: "jepsen/verdict/explain.go", old: "u.Kind == history.Close && over(w.alive[u.Session], o)", new: "u.Kind == history.Close",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a withdrawal without an answer has a place", property: property,
			file: "jepsen/verdict/abandoned.go", old: "if o.At == nil || o.Status == history.Unknown {", new: "if o.At == nil {",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: who waits for several names stands in line for the first", property: property,
			file: "jepsen/verdict/order.go", old: "len(o.Wants) == 1 && came(o) != nil", new: "came(o) != nil",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: what is being withdrawn excuses nobody", property: property,
			file: "jepsen/verdict/abandoned.go", old: "\tw.doubt(o)\n", new: "",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: what explains once explains again", property: property,
			file: "jepsen/verdict/explain.go", old: "w.forget(u)", new: "_ = u",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: tokens that are not told are one", property: property,
			file: "jepsen/verdict/explain.go", old: "token != 0 && !over", new: "!over",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a loss is a sign of life", property: property,
			file: "jepsen/verdict/sessions.go", old: "o.Kind != history.Loss && o.Kind != history.Inspect:", new: "o.Kind != history.Inspect:",
			pkg: verdicts, test: "TestWitnessRules",
		},
		{
			name: "checker: a session is over when it is told for the last time", property: property,
			file: "jepsen/verdict/sessions.go", old: "s.by = min(s.by, o.Return)", new: "s.by = o.Return",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: the last call is that of the last line", property: property,
			file: "jepsen/verdict/sessions.go", old: "s.alive = max(s.alive, o.Call)", new: "s.alive = o.Call",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: what is over may be closed", property: property,
			file: "jepsen/verdict/sessions.go", old: "if s.closed && s.by < s.closing {", new: "if false {",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: a session that was closed had its TTL left", property: property,
			file: "jepsen/verdict/sessions.go", old: "if s.closed || s.ttl == 0 {", new: "if s.ttl == 0 {",
			pkg: verdicts, test: "TestGoodHistories",
		},
		{
			name: "checker: what is closed may be closed again", property: property,
			file: "jepsen/model/model.go", old: "return s, o.Status != history.OK || o.Kind == history.Ended", new: "return s, true",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: the next token need not be greater than one that was learnt", property: property,
			file: "jepsen/model/model.go", old: "s.token = max(s.token, token)", new: "_ = token",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: \"not held\" may always be the answer to an extension", property: property,
			file: "jepsen/model/model.go", old: "return s.find(o.Session, o.Grant) < 0\n", new: "return true\n",
			pkg: verdicts, test: "TestBadHistories",
		},
		{
			name: "checker: two may be sure at once", property: "no two are sure of one lock at one time",
			file: "jepsen/verdict/belief.go", old: "case reaches.To >= after.From &&", new: "case reaches.To > after.To &&",
			pkg: verdicts, test: "TestApart",
		},
		{
			name: "checker: a long belief is forgotten behind a short one", property: "no two are sure of one lock at one time",
			file: "jepsen/verdict/belief.go", old: "if after.To > reaches.To {", new: "if true {",
			pkg: verdicts, test: "TestApart",
		},
		{
			name: "checker: two clients may have one token", property: "no two are sure of one lock at one time",
			file: "jepsen/verdict/belief.go", old: " || before.Token == after.Token && before.Client != after.Client", new: "",
			pkg: verdicts, test: "TestApart",
		},
		{
			name: "checker: a token may fall within one client", property: "no two are sure of one lock at one time",
			file: "jepsen/verdict/belief.go", old: "case before.Token > after.Token ||", new: "case before.Token > after.Token && before.Client != after.Client ||",
			pkg: verdicts, test: "TestApart",
		},
		{
			name: "checker: a belief ends when it was told of first", property: "what a process that was killed believed is judged",
			file: "jepsen/history/belief.go", old: "max(all[i].To, b.To)", new: "all[i].To",
			pkg: "./jepsen/history", test: "TestBeliefs",
		},
		{
			name: "checker: the resource takes every write", property: "a fenced resource loses nothing",
			file: "jepsen/workload/resource.go", old: "if w.Token < r.fence {", new: "if false {",
			pkg: "./jepsen/workload", test: "TestResource",
		},
		{
			name: "checker: the resource does not see tokens with reads", property: "a fenced resource loses nothing",
			file: "jepsen/workload/resource.go", old: "r.fence = max(r.fence, by.Token)", new: "_ = by",
			pkg: "./jepsen/workload", test: "TestResource",
		},
		{
			name: "checker: nobody asks whether a believer was overtaken", property: "who believes was not overtaken",
			file: "jepsen/workload/engine.go", old: "if sure && seen.Overtaken {", new: "if false {",
			pkg: "./jepsen/workload", test: "TestEngineWhoIsOvertaken",
		},
	}
}
