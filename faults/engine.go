package main

// engineFaults are those of lines of the client engine on which little else rests.
func engineFaults() []fault {
	return []fault{
		{
			name: "client: a hold is judged by the margin of another TTL", property: "what is acquired outlives its margin",
			file: "lockapi/acquire.go", old: "validHold(q.maxHold, s.ttl)",
			new: "validHold(q.maxHold, s.client.options.TTL)", pkg: client, test: "TestMarginOfAResumedSession",
		},
		{
			name: "client: a hold is refused for the margin of another TTL", property: "what outlives its margin is acquired",
			file: "lockapi/request.go", old: "if c.current != nil {\n\t\treturn 0\n\t}",
			new: "_ = c.current", pkg: client, test: "TestMarginOfAResumedSession",
		},
		{
			name: "client: an extension is judged by the margin of another TTL", property: "what is extended outlives its margin",
			file: "lockapi/grant.go", old: "validHold(d, g.session.ttl)",
			new: "validHold(d, g.session.client.options.TTL)", pkg: client, test: "TestMarginOfAResumedSession",
		},
		{
			name: "resume: the margin is that of another TTL", property: "S8: the client stops believing first",
			file: "lockapi/resume.go", old: "s.belief.margin = marginOf(s.ttl)",
			new: "_ = marginOf", pkg: client, test: "TestMarginOfAResumedSession",
		},
		{
			name: "resume: what was read slowly is given up", property: "S15: who resumes has all that the session holds",
			file: "lockapi/adopt.go", old: "enough := now < s.belief.sessionUntil()",
			new: "enough := now >= 0", pkg: client, test: "TestResumeReadsSlowly",
		},
		{
			name: "resume: what was found is not told apart", property: "S15: who resumes has all that the session holds",
			file: "lockapi/event.go", old: "if o.Result.Index <= s.foundAt {",
			new: "if false {", pkg: client, test: "TestGrantThatIsNotUnderstood",
		},
		{
			name: "client: an older answer takes back when the session ends", property: "a healthy session is believed in",
			file: "lockapi/belief.go", old: "b.ends = max(b.ends, at.Add(fsm.Duration(ttl)))",
			new: "b.ends = at.Add(fsm.Duration(ttl))", pkg: client, test: "TestBeliefDoesNotMoveBack",
		},
		{
			name: "client: an older answer takes back an extension", property: "a deadline is never moved nearer",
			file: "lockapi/grant.go", old: " && r.Until > g.until:",
			new: ":", pkg: client, test: "TestExtensionsOutOfOrder",
		},
		{
			name: "client: the keeper sleeps on when the machine wakes", property: "S8: the context of a grant ends with it",
			file: "lockapi/renew.go", old: "nap := s.ttl / doubtShare",
			new: "nap := s.ttl * doubtShare", pkg: client, test: "TestKeeperLooksAtTheClock",
		},
		{
			name: "client: what was granted to another incarnation is heard", property: "S16: a session is one process's",
			file: "lockapi/event.go", old: " || o.Key.Incarnation != s.incarnation {",
			new: " {", pkg: client, test: "TestEventOfAnotherIncarnation",
		},
		{
			name: "client: a grant that nobody asked for is kept", property: "S10: a cancelled acquire leaves nothing",
			file: "lockapi/event.go", old: "s.drop(drop{grant: o.Result.Grant})",
			new: "_ = o", pkg: client, test: "TestGrantOfNobody",
		},
		{
			name: "client: a grant that comes while closing is valid", property: "S8: the client stops believing first",
			file: "lockapi/acquire.go", old: "case s.closing:\n\t\ts.finish(g, ErrClosed)",
			new: "case s.closing:", pkg: client, test: "TestGrantWhileClosing",
		},
		{
			name: "client: an abandoned number is settled at once", property: "S10: a cancelled acquire leaves nothing",
			file: "lockapi/abandon.go", old: "if _, err := s.complete(&c, sent); err != nil {\n\t\treturn // with",
			new: "s.mu.Lock()\n\ts.settleSeq(a.cmd.Seq)\n\ts.unlock()\n\tif _, err := s.complete(&c, sent); err != nil {\n\t\treturn // with",
			pkg: client, test: "TestAbandonedNumberStays",
		},
		{
			name: "client: an acquire that was never sent keeps its number", property: "the window does not fill for good",
			file: "lockapi/abandon.go", old: "\t\ts.settleSeq(a.cmd.Seq)\n\t\ts.unlock()\n\t\treturn unsent(ctx, why)",
			new: "\t\ts.unlock()\n\t\treturn unsent(ctx, why)", pkg: client, test: "TestNeverSentIsSettled",
		},
		{
			name: "client: an extension that was never sent keeps its number", property: "the window does not fill for good",
			file: "lockapi/hold.go", old: "\ts.settleSeq(c.Seq)\n",
			new: "", pkg: client, test: "TestNeverSentIsSettled",
		},
		{
			name: "client: a number that came too late is kept", property: "the window does not fill for good",
			file: "lockapi/issue.go", old: "s.settleSeq(t.seq) // it came",
			new: "_ = t.seq // it came", pkg: client, test: "TestNumberThatCameTooLate",
		},
		{
			name: "resume: the file of another process is overwritten as it comes", property: "what is acquired is found after a crash",
			file: "lockapi/session_file.go", old: "err = os.Link(f.Name(), path)",
			new: "err = os.Rename(f.Name(), path)", pkg: client, test: "TestOneFileForSeveralAtOnce",
		},
	}
}
