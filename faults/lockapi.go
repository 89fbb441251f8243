package main

import "slices"

const client = "./lockapi"

// lockapiFaults are those of the client engine.
func lockapiFaults() []fault {
	return slices.Concat(beliefFaults(), leavingFaults(), sessionFaults(), modeFaults(), warningFaults(), agentFaults(), resumeFaults(), engineFaults(), remoteFaults())
}

// beliefFaults concern when the client stops believing, and what it does then.
func beliefFaults() []fault {
	return []fault{
		{
			name: "client: a renewal counts from its answer", property: "S8: the client stops believing first",
			file: "lockapi/renew.go", old: "s.credit(sent, s.now(), r)",
			new: "s.credit(s.now(), s.now(), r)", pkg: client, test: "TestBeliefCountsFromTheFirstSending",
		},
		{
			name: "client: an acquire counts from its answer", property: "S8: the client stops believing first",
			file: "lockapi/acquire.go", old: "s.credit(a.sent, now, r)",
			new: "s.credit(now, now, r)", pkg: client, test: "TestAcquireRenewsBeforeItSucceeds",
		},
		{
			name: "client: old pairs speak for ever", property: "S8: the client stops believing first, whatever the rates of clocks",
			file: "lockapi/belief.go", old: "time.Duration(i - i/driftShare)",
			new: "time.Duration(i)", pkg: client, test: "TestBeliefForgetsOldPairs",
		},
		{
			name: "client: any pair will do", property: "S8: the client stops believing first",
			file: "lockapi/belief.go", old: "!b.known || offset > b.offset",
			new: "true", pkg: client, test: "TestBeliefUsesTheBestPair",
		},
		{
			name: "client: no margin", property: "S8: the client stops believing first",
			file: "lockapi/belief.go", old: "slow(u) - b.margin",
			new: "slow(u)", pkg: client, test: "TestBelief|TestLapsedGrant",
		},
		{
			name: "client: max hold is not counted", property: "S8: the client stops believing first",
			file: "lockapi/hold.go", old: "until = min(until, s.belief.until(g.until))",
			new: "_ = until", pkg: client, test: "TestMaxHold",
		},
		{
			name: "client: max hold has no timer", property: "S8: the context of a grant ends with it",
			file: "lockapi/hold.go", old: "heap.Push(&s.maxHolds, g)",
			new: "_ = g", pkg: client, test: "TestMaxHold",
		},
		{
			name: "client: an answer revives a lapsed grant", property: "a cancelled grant is never revived",
			file: "lockapi/send.go", old: "\ts.lapse(now)\n",
			new: "", pkg: client, test: "TestAnswerAfterTheBelief",
		},
		{
			name: "client: only a timer looks at the clock", property: "the belief is checked when it is used",
			file: "lockapi/grant.go", old: "defer s.unlock()\n\ts.lapse(s.now())\n\treturn g.cause == nil",
			new: "defer s.unlock()\n\treturn g.cause == nil", pkg: client, test: "TestValidLooksAtTheClock",
		},
		{
			name: "client: a lapsed grant is not released", property: "a lapsed hold does not outlive the belief for the life of the process",
			file: "lockapi/lapse.go", old: "s.drop(drop{grant: g.id, lapsed: true})",
			new: "_ = g", pkg: client, test: "TestLapsedGrant",
		},
		{
			name: "client: acquires overtake the release of a lapsed grant", property: "a lapsed grant is released before anything else",
			file: "lockapi/issue.go", old: "return s.lapsed == 0 && ",
			new: "return ", pkg: client, test: "TestLapsedGrant",
		},
		{
			name: "client: renewals overtake the release of a lapsed grant", property: "a lapsed grant is released before anything else",
			file: "lockapi/session.go", old: "if s.lapsed == 0 {\n\t\tstop = nil",
			new: "if true {\n\t\tstop = nil", pkg: client, test: "TestLapsedGrant",
		},
		{
			name: "client: acquire succeeds with a grant that is not valid", property: "acquire succeeds only with a valid grant",
			file: "lockapi/hold.go", old: "if now >= s.validUntil(g) {",
			new: "if now < 0 {", pkg: client, test: "TestAcquireRenews|TestMaxHoldPassed",
		},
	}
}

// leavingFaults concern what is left behind, and what is heard.
func leavingFaults() []fault {
	return []fault{
		{
			name: "client: a withdrawn acquire is not abandoned", property: "S10: a cancelled acquire leaves nothing",
			file: "lockapi/abandon.go", old: "s.spawn(func() { s.abandon(a) })",
			new: "_ = a", pkg: client, test: "TestCancelledWait|TestAbandon",
		},
		{
			name: "client: abandons wait for each other's room", property: "S10: a cancelled acquire leaves nothing",
			file: "lockapi/abandon.go", old: "if !ok && !a.resumed {",
			new: "if !ok && false {", pkg: client, test: "TestAbandonWithAFullWindow",
		},
		{
			name: "client: a context that has ended is somebody else's lock", property: "S20: who is told that somebody else holds it was told so by the machine",
			file: "lockapi/request.go", old: "return nil, q.wrapped(err) // nobody was asked",
			new: "return nil, q.wrapped(errors.Join(ErrNotAcquired, err)) // nobody was asked", pkg: client, test: "TestNotAcquired",
		},
		{
			name: "client: what was never sent is somebody else's lock", property: "S20: who is told that somebody else holds it was told so by the machine",
			file: "lockapi/acquire.go", old: "err = unsent(ctx, err)",
			new: "err = errors.Join(ErrNotAcquired, err)", pkg: client, test: "TestNotAcquired",
		},
		{
			name: "client: what was withdrawn is somebody else's lock", property: "S20: who is told that somebody else holds it was told so by the machine",
			file: "lockapi/abandon.go", old: "if a.parked || a.settled && errors.Is(ErrorOf(a.result), ErrNotAcquired) {",
			new: "if true {", pkg: client, test: "TestNotAcquired",
		},
		{
			name: "client: a release ends with its context", property: "a release goes on until it is answered",
			file: "lockapi/release.go", old: "s.spawn(func() {\n\t\t\tr, err := s.complete(&later, sent)\n\t\t\tg.released(r, err)\n\t\t})",
			new: "_ = later", pkg: client, test: "TestReleaseWhenNobodyAnswers",
		},
		{
			name: "client: a full channel is no reason to ask", property: "an event that found no room comes soon",
			file: "lockapi/event.go", old: "n > 0 && n+2 >= cap(events)",
			new: "n < 0", pkg: client, test: "TestEventsThatFindNoRoom",
		},
		{
			name: "client: a loss counts twice", property: "S9: a loss is heard once",
			file: "lockapi/event.go", old: "if _, again := s.ahead[e]; again || e <= s.seen {",
			new: "if _, again := s.ahead[e]; again {", pkg: client, test: "TestLossIsHeardOnce",
		},
		{
			name: "client: events are acknowledged over a gap", property: "S9: a loss is repeated until it is heard",
			file: "lockapi/event.go", old: "if e != s.seen+1 {",
			new: "if false {", pkg: client, test: "TestLossIsHeardOnce",
		},
		{
			name: "client: a loss that overtakes its grant is forgotten", property: "S9: a loss is heard",
			file: "lockapi/event.go", old: "s.lostEarly[o.Result.Grant] = earlyLoss{",
			new: "_ = earlyLoss{", pkg: client, test: "TestLossBeforeItsGrant",
		},
	}
}

// sessionFaults concern how a session numbers, repeats and ends.
func sessionFaults() []fault {
	return []fault{
		{
			name: "client: the window is one too wide", property: "S3: no command is beyond the machine's window",
			file: "lockapi/window.go", old: "int(w.next-w.mark) < fsm.WindowSize-reserve",
			new: "int(w.next-w.mark) <= fsm.WindowSize-reserve", pkg: client, test: "TestWindowIsFull",
		},
		{
			name: "client: nothing holds commands back", property: "S3: no command is beyond the machine's window",
			file: "lockapi/window.go", old: "return int(w.next-w.mark) < fsm.WindowSize-reserve",
			new: "return true", pkg: client, test: "TestWindowIsNeverExceeded|TestAbandonWithAFullWindow",
		},
		{
			name: "client: a parked wait keeps its place in the window", property: "a wait of an hour does not block the window",
			file: "lockapi/acquire.go", old: "a.parked = true\n\t\ts.settleSeq(a.cmd.Seq)",
			new: "a.parked = true", pkg: client, test: "TestALongWait",
		},
		{
			name: "client: a later refusal hides the first doubt", property: "what may have been done is not said to be undone",
			file: "lockapi/send.go", old: "sent = sent || !unavailable && !refused",
			new: "sent = !unavailable && !refused", pkg: client, test: "TestRefusalAfterADoubt",
		},
		{
			name: "client: what went over a link that broke was never sent", property: "what may have been done is not said to be undone",
			file: "lockapi/remote/call.go", old: "a.doubt = a.doubt || a.sent != nil",
			new: "a.doubt = a.doubt && a.sent != nil", pkg: "./lockapi/remote", test: "TestRefusalAfterADoubt",
		},
		{
			name: "client: a doubt goes with the caller who had it", property: "what may have been done is not said to be undone",
			file: "lockapi/remote/call.go", old: "heir.carried = a.carried",
			new: "heir.carried = a.carried\n\t\their.doubt = false", pkg: "./lockapi/remote", test: "TestDoubtIsHandedOn",
		},
		{
			name: "client: a doubt is left in a call that is used again", property: "definite and unknown are different",
			file: "lockapi/remote/call.go", old: "*a = call{ready: a.ready}",
			new: "*a = call{ready: a.ready, carried: carried{doubt: a.doubt}}", pkg: "./lockapi/remote", test: "TestUsedAgainIsNew",
		},
		{
			name: "client: a refusal for good hides the first doubt", property: "what may have been done is not said to be undone",
			file: "lockapi/remote/receive.go", old: "if a.doubt { // a node before this one may have",
			new: "if false {", pkg: "./lockapi/remote", test: "TestRefusedForGoodAfterADoubt",
		},
		{
			name: "client: who has given up is answered", property: "an answer is told to who asked",
			file: "lockapi/remote/call.go", old: "before.also = a.also",
			new: "_ = a.also", pkg: "./lockapi/remote", test: "TestGivesUpBeside",
		},
		{
			name: "client: a doubt takes the same path", property: "a stuck node does not cost the session",
			file: "lockapi/remote/call.go", old: "if first.sent != nil && first.sent == b.link {",
			new: "if false {", pkg: "./lockapi/remote", test: "TestDoubtOfANodeThatIsHeard",
		},
		{
			name: "client: no doubt about a slow answer", property: "a stuck node does not cost the session",
			file: "lockapi/send.go", old: "time.AfterFunc(s.ttl/doubtShare,",
			new: "time.AfterFunc(s.ttl*doubtShare,", pkg: client, test: "TestRenewalIsSentAgain",
		},
		{
			name: "client: a waiting acquire dies with the session", property: "an acquire queues again under the next session",
			file: "lockapi/request.go", old: "if !errors.Is(err, ErrSessionGone) {",
			new: "if !errors.Is(err, ErrUnsupported) {", pkg: client, test: "TestSessionEnds",
		},
		{
			name: "client: goroutines share an owner", property: "S1: at most one owner holds a lock",
			file: "lockapi/acquire.go", old: "strconv.FormatUint(uint64(c.Seq), 10)",
			new: "\"1\"", pkg: client, test: "TestEveryAcquireIsItsOwnOwner|TestWindowIsNeverExceeded",
		},
		{
			name: "client: grants outlive Close", property: "S8: the client stops believing first",
			file: "lockapi/session.go", old: "s.finish(g, ErrClosed)\n\t}\n\ts.unlock()",
			new: "_ = g\n\t}\n\ts.unlock()", pkg: client, test: "TestClose",
		},
		{
			name: "client: a fenced client goes on", property: "a session that another process took over is left alone",
			file: "lockapi/client.go", old: "case errors.Is(cause, ErrFenced):",
			new: "case errors.Is(cause, ErrClosed):", pkg: client, test: "TestCloneIsFenced",
		},
		{
			name: "client: a client looks twice at whether it is fenced", property: "a session that another process took over is left alone",
			file: "lockapi/client.go", old: "case cause == nil:",
			new: "case c.current.cause() == nil:", pkg: client, test: "TestFencedClientBeginsNothing",
		},
	}
}

// modeFaults concern what is acquired.
func modeFaults() []fault {
	return []fault{
		{
			name: "client: readers ask for the lock alone", property: "readers share",
			file: "lockapi/rwmutex.go", old: "q.want.Mode = fsm.Shared",
			new: "_ = fsm.Shared", pkg: client, test: "TestReadersAndWriters",
		},
		{
			name: "client: tokens of several names are in another order", property: "S2: every hold has its token",
			file: "lockapi/grant.go", old: "g.rest[i].Token = tokens[i]",
			new: "g.rest[i].Token = tokens[len(tokens)-1-i]", pkg: client, test: "TestAll",
		},
		{
			name: "client: an overloaded node is asked again at once", property: "who is refused comes back when he was told to",
			file: "lockapi/overload.go", old: "asked > 0 {",
			new: "asked < 0 {", pkg: client, test: "TestOverloadIsHeeded|TestPauseAfter",
		},
	}
}

// warningFaults concern what is told before a loss.
func warningFaults() []fault {
	return []fault{
		{
			name: "client: a danger is told again and again", property: "a warning comes once",
			file: "lockapi/warning.go", old: "append(h.queue, w)",
			new: "append(h.queue, w, w)", pkg: client, test: "TestWarning$",
		},
		{
			name: "client: a warning has no timer", property: "a warning comes so long before the loss",
			file: "lockapi/renew.go", old: "nap = min(nap, at-now)",
			new: "_ = at", pkg: client, test: "TestWarning$",
		},
		{
			name: "client: what was averted is not told", property: "each danger is told to have ended",
			file: "lockapi/send.go", old: "\ts.averted(now)\n",
			new: "", pkg: client, test: "TestWarning$",
		},
		{
			name: "client: what was lost is not told", property: "each danger is told to have ended",
			file: "lockapi/lapse.go", old: "\t\ts.perish(cause)\n",
			new: "", pkg: client, test: "TestWarning$",
		},
	}
}

// agentFaults concern what is acquired for others.
func agentFaults() []fault {
	return []fault{
		{
			name: "agent: all agents are one owner", property: "S1: at most one owner holds a lock",
			file: "lockapi/acquire.go", old: "kind, by = ownerPrefix+\"a\", uint64(c.Session)",
			new: "kind = ownerPrefix+\"a\"", pkg: client, test: "TestAgentsAreDifferentOwners",
		},
		{
			name: "agent: what was granted is not known under the next session", property: "S3: a command takes effect once",
			file: "lockapi/agent.go", old: "r.Key = randomNonce() // so",
			new: "// so", pkg: client, test: "TestAgentOutlivesItsSession",
		},
		{
			name: "agent: a withdrawn grant of another is released as its own", property: "S10: a cancelled acquire leaves nothing",
			file: "lockapi/lapse.go", old: "c.Behalf, c.For, c.Secret, c.Wants = of.Behalf, of.For, of.Secret, of.Wants[:1]",
			new: "_ = of", pkg: client, test: "TestAgentWithdrawsFromAFullWindow",
		},
		{
			name: "agent: a request with a key is begun twice", property: "S3: a command takes effect once",
			file: "lockapi/agent_key.go", old: "a.flights[at] = f",
			new: "_ = at", pkg: client, test: "TestAgentKeys",
		},
	}
}

// resumeFaults concern what a process leaves to the one after it.
func resumeFaults() []fault {
	return []fault{
		{
			name: "resume: a clone that is not fenced", property: "a session is one process's",
			file: "fsm/session.go", old: "case c.Op != OpResume && c.Incarnation != ss.incarnation:",
			new: "case c.Op != OpResume && c.Incarnation > ss.incarnation:", pkg: client, test: "TestCloneIsFenced",
		},
		{
			name: "resume: a loss is not kept for a session that attaches again", property: "S9: a loss is told until it is heard",
			file: "fsm/session.go", old: "for _, e := range ss.events[:min(len(ss.events), EventsRepeated)] {",
			new: "for _, e := range ss.events[:0] {", pkg: client, test: "TestDroppedEventComesAgain|TestEventsWhileResuming",
		},
		{
			name: "resume: events are taken for heard", property: "S9: a loss is told until it is heard",
			file: "lockapi/resume.go", old: "newWindow(fsm.Seq(r.Value)), left.Seen",
			new: "newWindow(fsm.Seq(r.Value)), left.Seen+1000", pkg: client, test: "TestEventsWhileResuming",
		},
		{
			name: "resume: numbers begin anew", property: "S3: a command takes effect once",
			file: "lockapi/resume.go", old: "newWindow(fsm.Seq(r.Value)), left.Seen",
			new: "newWindow(1), left.Seen", pkg: client, test: "TestResume$",
		},
		{
			name: "resume: a retry is another resume", property: "a late copy of a resume fences nobody",
			file: "lockapi/resume.go", old: "case c.resumes == (fsm.Nonce{}):",
			new: "case true:", pkg: client, test: "TestResumeErrors",
		},
		{
			name: "resume: the session is not written down", property: "what is acquired is found after a crash",
			file: "lockapi/session.go", old: "if err := s.client.fileSession(s); err != nil {",
			new: "if err := error(nil); err != nil {", pkg: client, test: "TestResume$|TestCrashAtEveryStep",
		},
		{
			name: "resume: the session of another process is overwritten", property: "what is acquired is found after a crash",
			file: "lockapi/session_file.go", old: "case there == ours:",
			new: "case true:", pkg: client, test: "TestResumeErrors",
		},
		{
			name: "resume: a session shows itself to anybody", property: "what a session holds is told to who has its secret",
			file: "lockapi/query.go", old: "case !v.Proves(q.Session, sha256.Sum256(q.Secret[:])):",
			new: "case q.Secret == (fsm.Secret(sha256.Sum256(nil))):", pkg: "./lockapi/mem", test: "TestContract/a_session_shows",
		},
		{
			name: "resume: a wait that was granted meanwhile is one still", property: "what Resume returns is so",
			file: "lockapi/adopt.go", old: "if granted[v.Seq] {",
			new: "if false {", pkg: client, test: "TestEventsWhileResuming",
		},
		{
			name: "client: its clock stands while the machine sleeps", property: "S8: the client stops believing first",
			file: "lockapi/clock_boot_linux.go", old: "(wall-monotonic-last.drift).Abs() > askJitter", new: "(wall-monotonic-last.drift).Abs() > 1e6*askJitter",
			pkg: "./lockapi", test: "TestBootClock",
		},
	}
}
