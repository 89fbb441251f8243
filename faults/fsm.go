package main

import "slices"

const (
	machine = "./fsm"
	stories = "TestStories|TestProperties|TestHonestClients"
)

// fsmFaults are those of the lock machine.
func fsmFaults() []fault {
	alone := slices.Concat(memoryFaults(), grantFaults(), lifeFaults())
	return append(alone, replicated(alone)...)
}

// replicated are faults of the machine that its simulation must notice too: what it
// checks is only seen there, by processes and replicas.
func replicated(alone []fault) []fault {
	var all []fault
	for _, f := range alone {
		switch f.name {
		case "machine: a stamp of another term counts",
			"machine: what is due expires before who speaks is renewed",
			"machine: remembered answers are not in the snapshot",
			"machine: an abandon burns nothing",
			"machine: extend may shorten",
			"machine: a release frees the first name alone",
			"machine: a permit too many",
			"machine: a clone is not fenced",
			"machine: a copy of a resume begins another incarnation",
			"machine: a wait outlives the one for whom it is",
			"machine: copies that wait are granted each",
			"machine: anybody speaks for a session":
			f.name += ", replicated"
			f.pkg, f.test = "./fsm/sim", "TestSimulation"
			all = append(all, f)
		}
	}
	return all
}

// memoryFaults concern time, and what is remembered.
func memoryFaults() []fault {
	const pkg = machine
	return []fault{
		{
			name: "machine: the end of a passed wait is an answer", property: "every bound holds",
			file: "fsm/wait.go", old: "if w.seq >= ss.mark {", new: "if true {",
			pkg: "./fsm", test: "TestEndOfAPassedWait",
		},
		{
			name: "machine: events take no places of waits", property: "every bound holds",
			file: "fsm/wait.go", old: "int(ss.waiting) + len(ss.events) + len", new: "int(ss.waiting) + len",
			pkg: "./fsm", test: "TestEventsTakePlacesOfWaits",
		},
		{
			name: "machine: dedupe is skipped", property: "S3: once or never",
			file: "fsm/window.go", old: "if a := ss.window.get(c.Seq); a != nil && c.Seq >= ss.mark {",
			new: "if a := ss.window.get(c.Seq); a != nil && c.Seq < ss.mark {",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: the last in line is granted first", property: "S5: first come, first served (I6)",
			file: "fsm/wait.go", old: "turn: s.lastWaiter}", new: "turn: 1<<40 - s.lastWaiter}",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: time goes back", property: "S7: no session ends early",
			file: "fsm/apply.go", old: "if e.Term == term && e.Now > s.now {", new: "if e.Term == term {",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: a stamp of another term counts", property: "S7: no session ends early",
			file: "fsm/apply.go", old: "if e.Term == term && e.Now > s.now {", new: "if e.Now > s.now {",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: what is due expires before who speaks is renewed", property: "S7: no session ends early",
			file: "fsm/apply.go",
			old:  "\tfor i := range e.Commands {\n\t\ts.renewSpeaker(&e.Commands[i])\n\t}\n\ts.pos = -1\n\ts.sweep()\n",
			new:  "\ts.pos = -1\n\ts.sweep()\n\tfor i := range e.Commands {\n\t\ts.renewSpeaker(&e.Commands[i])\n\t}\n",
			pkg:  pkg, test: stories,
		},
		{
			name: "machine: tokens begin again after a restore", property: "S2: tokens rise for ever (I3)",
			file: "fsm/restore.go", old: "s.lastToken = r.limited(1<<tokenCounterBits - 1)",
			new: "r.limited(1<<tokenCounterBits - 1)",
			pkg: pkg, test: "TestStoriesAcrossRestore|TestProperties",
		},
		{
			name: "machine: an abandoned waiter stays in the queue", property: "S10: neither hold nor place",
			file: "fsm/abandon.go", old: "\t\ts.withdraw(w)\n\t\ts.stirAll(w)\n", new: "\t\ts.stirAll(w)\n",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: an abandon burns nothing", property: "S10: neither hold nor place",
			file: "fsm/abandon.go", old: "if target >= ss.mark {\n\t\tss.window.put(", new: "if target > ss.lastSeq {\n\t\tss.window.put(",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: the queue is not in the snapshot", property: "S4: nothing acknowledged is lost",
			file: "fsm/snapshot.go", old: "v.parked.Ascend(func(w *waiter) bool { return writeWaiter(sw, w) })", new: "_ = writeWaiter",
			pkg: pkg, test: "TestStoriesAcrossRestore|TestProperties",
		},
		{
			name: "machine: remembered answers are not in the snapshot", property: "S3: once or never",
			file: "fsm/snapshot.go", old: "living := ss.window.living(ss.mark)", new: "living := ss.window.living(ss.mark)[:0]",
			pkg: pkg, test: "TestStoriesAcrossRestore|TestProperties",
		},
		{
			name: "machine: a loss is told once and not kept", property: "S9: losses are told until acknowledged",
			file: "fsm/session.go", old: "ss.events = append(ss.events, e)", new: "if kind != OutcomeLoss {\n\t\tss.events = append(ss.events, e)\n\t}",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: extend may shorten", property: "S8: the client stops believing first",
			file: "fsm/grant.go", old: "if g.until == 0 || until <= g.until {", new: "if g.until == 0 {",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: a freed lock stays free while others wait", property: "S6: no waiter waits for nobody (I2)",
			file: "fsm/grant.go", old: "l.leave(row.permits)\n\t\t\ts.stir(l.name)\n", new: "l.leave(row.permits)\n",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: a changed lock shows in older views", property: "a view does not change",
			file: "fsm/state.go", old: "if l.era == s.era {", new: "if l.era <= s.era {",
			pkg: pkg, test: "TestViewBesideApply|TestProperties",
		},
	}
}

// grantFaults concern who is granted what, and when.
func grantFaults() []fault {
	return []fault{
		{
			name: "machine: a reader overtakes a writer who waits", property: "S5: first come, first served (I6)",
			file: "fsm/acquire.go", old: "return l.fits(w.Mode, w.Permits) && !s.outrun(l, r.turn), Result{}",
			new: "return l.fits(w.Mode, w.Permits) && (w.Mode == Shared || !s.outrun(l, r.turn)), Result{}",
			pkg: machine, test: "TestStories/shared",
		},
		{
			name: "machine: a small request overtakes a big one", property: "S5: first come, first served (I6)",
			file: "fsm/acquire.go", old: "return l.fits(w.Mode, w.Permits) && !s.outrun(l, r.turn), Result{}",
			new: "return l.fits(w.Mode, w.Permits) && (w.Mode == Counted || !s.outrun(l, r.turn)), Result{}",
			pkg: machine, test: "TestStories/semaphore",
		},
		{
			name: "machine: readers come in one by one", property: "readers next to each other are granted together",
			file: "fsm/lock.go", old: "return l.mode != Exclusive", new: "return l.holds == 0",
			pkg: machine, test: "TestStories/shared",
		},
		{
			name: "machine: a writer beside readers", property: "S1: a writer holds alone (I1)",
			file: "fsm/lock.go", old: "default:\n\t\treturn l.holds == 0", new: "default:\n\t\treturn l.mode != Exclusive",
			pkg: machine, test: "TestStories/shared",
		},
		{
			name: "machine: a permit too many", property: "S1: a semaphore's limit (I1)",
			file: "fsm/lock.go", old: "return l.taken+uint64(permits) <= uint64(l.limit)",
			new: "return l.taken+uint64(permits) <= uint64(l.limit)+1",
			pkg: machine, test: "TestStories/semaphore",
		},
		{
			name: "machine: the last permit is nobody's", property: "a semaphore's limit can be had",
			file: "fsm/lock.go", old: "return l.taken+uint64(permits) <= uint64(l.limit)",
			new: "return l.taken+uint64(permits) < uint64(l.limit)",
			pkg: machine, test: "TestStories/semaphore",
		},
		{
			name: "machine: permits are freed one by one", property: "a session's end frees what it held",
			file: "fsm/lock.go", old: "l.taken -= uint64(permits)", new: "l.taken -= min(1, uint64(permits))",
			pkg: machine, test: "TestStories/semaphore",
		},
		{
			name: "machine: an acquire-all is granted when its first name is free", property: "all of the names, or none",
			file: "fsm/acquire.go", old: "\tfor i := range w.wants {\n\t\twant := &w.wants[i]\n\t\tl := s.lock(want.Name)\n\t\tswitch {",
			new: "\tfor i := range w.wants[:1] {\n\t\twant := &w.wants[i]\n\t\tl := s.lock(want.Name)\n\t\tswitch {",
			pkg: machine, test: "TestStories/acquire_all",
		},
		{
			name: "machine: an acquire-all waits in its first queue alone", property: "S5: first come, first served (I6)",
			file: "fsm/acquire.go", old: "return l.fits(w.Mode, w.Permits) && !s.outrun(l, r.turn), Result{}",
			new: "return l.fits(w.Mode, w.Permits) && (l.holds == 0 || !s.outrun(l, r.turn)), Result{}",
			pkg: machine, test: "TestStories/acquire_all",
		},
		{
			name: "machine: a release frees the first name alone", property: "one release frees all",
			file: "fsm/grant.go", old: "\tfor _, row := range rows {\n\t\ts.grants.Delete(row)",
			new: "\tfor _, row := range rows[:1] {\n\t\ts.grants.Delete(row)",
			pkg: machine, test: "TestStories/acquire_all",
		},
		{
			name: "machine: the names of a waiter move up alone", property: "S6: no waiter waits for nobody (I2)",
			file: "fsm/handover.go", old: "\tfor i := range w.wants {\n\t\ts.stir(w.wants[i].Name)",
			new: "\tfor i := range w.wants[:1] {\n\t\ts.stir(w.wants[i].Name)",
			pkg: machine, test: "TestStories/acquire_all",
		},
		{
			name: "machine: tokens in another order than the names", property: "S2: every hold has a token, and it is told",
			file: "fsm/grant.go", old: "rest = g.token.append(rest)\n\t\t}\n\t}\n\tresult.Rest",
			new: "rest = append(g.token.append(nil), rest...)\n\t\t}\n\t}\n\tresult.Rest",
			pkg: machine, test: "TestStories/acquire_all",
		},
		{
			name: "machine: re-entry stands in the queue", property: "no owner waits for itself",
			file: "fsm/acquire.go", old: "\t\treturn true, Result{}\n\t}\n\treturn l.fits(",
			new: "\t\treturn !s.outrun(l, r.turn), Result{}\n\t}\n\treturn l.fits(",
			pkg: machine, test: "TestStories/reentry",
		},
		{
			name: "machine: who waits for another name is not passed over", property: "no owner stands in the way where it holds",
			file: "fsm/acquire.go", old: "outrun = passed > PassedMax || !s.reenters(l, &st.waiter.request, st.want.Mode)",
			new: "outrun = true", pkg: machine, test: "TestStories/reentry_all",
		},
		{
			name: "machine: a waiter is passed over for ever", property: "S5: first come, first served (I6)",
			file: "fsm/acquire.go", old: "outrun = passed > PassedMax || !s.reenters(l, &st.waiter.request, st.want.Mode)",
			new: "outrun = passed > PassedMax || len(st.waiter.wants) == 1 && !s.reenters(l, &st.waiter.request, st.want.Mode)",
			pkg: machine, test: "TestStories/reentry_all",
		},
		{
			name: "machine: a full hold is entered", property: "a hold has ReentryMax grants",
			file: "fsm/acquire.go", old: "case s.ownHold(l, &w.request) != nil: // in another mode, or full: nobody's but its own way\n\t\t\treturn false\n", new: "",
			pkg: machine, test: "TestStories/reentry_all",
		},
		{
			name: "machine: nobody looks when a full hold has room", property: "S6: no waiter waits for nobody (I2)",
			file: "fsm/grant.go", old: "left == ReentryMax-1", new: "left > ReentryMax",
			pkg: machine, test: "TestStories/reentry_all",
		},
	}
}

// lifeFaults concern incarnations, and what is done on somebody's behalf.
func lifeFaults() []fault {
	return []fault{
		{
			name: "machine: a clone is not fenced", property: "one process lives a session",
			file: "fsm/session.go", old: "c.Incarnation != ss.incarnation:", new: "c.Incarnation > ss.incarnation:",
			pkg: machine, test: "TestStories/resume",
		},
		{
			name: "machine: a copy of a resume begins another incarnation", property: "S3: once or never",
			file: "fsm/session.go", old: "if !slices.Contains(ss.resumes, c.Nonce) {", new: "if true {",
			pkg: machine, test: "TestStories/resume",
		},
		{
			name: "machine: a late copy of a resume takes the session over", property: "S3: once or never",
			file: "fsm/session.go", old: "return i >= 0 && i < len(ss.resumes)-1", new: "return false && i > 0",
			pkg: machine, test: "TestStories/resume",
		},
		{
			name: "machine: the numbers of the process before are not settled", property: "S3: once or never",
			file: "fsm/session.go", old: "ss.mark, ss.window = ss.lastSeq+1, window{}", new: "ss.window = window{}",
			pkg: machine, test: "TestStories/resume",
		},
		{
			name: "machine: a wait outlives the one for whom it is", property: "every waiter is of living sessions (I5)",
			file: "fsm/session.go", old: "s.sponsoredOf(ss.id), s.grantsOf(ss.id)", new: "s.sponsoredOf(ss.id)[:0], s.grantsOf(ss.id)",
			pkg: machine, test: "TestStories/behalf",
		},
		{
			name: "machine: an idempotency key is forgotten", property: "S3: once or never, by way of any node",
			file: "fsm/grant.go", old: "s.keys[keyOf{to.id, d.key}] = s.lastGrant", new: "_ = d.key",
			pkg: machine, test: "TestStories/behalf",
		},
		{
			name: "machine: copies that wait are granted each", property: "S3: once or never, by way of any node",
			file: "fsm/handover.go", old: "\ts.giveCopies(to, w.key)\n", new: "",
			pkg: machine, test: "TestStories/behalf",
		},
		{
			name: "machine: anybody speaks for a session", property: "a secret proves who may",
			file: "fsm/behalf.go", old: "to != nil && to.secret == c.Secret {", new: "to != nil {",
			pkg: machine, test: "TestStories/behalf",
		},
		{
			name: "machine: a key finds what has other permits", property: "S18: a key is of one request",
			file: "fsm/behalf.go", old: " && row.permits == w.Permits", new: "",
			pkg: machine, test: "TestStories/behalf",
		},
		{
			name: "machine: a number is of any beneficiary", property: "S3: a command takes effect once, and is what was asked",
			file: "fsm/hash.go", old: "\t\th = mix(h, uint64(c.For))\n", new: "",
			pkg: machine, test: "TestCommandHashHasWhatIsAsked",
		},
		{
			name: "machine: a number is on anybody's behalf", property: "S3: a command takes effect once, and is what was asked",
			file: "fsm/hash.go", old: "\t\th = mix(h, uint64(c.Behalf))\n", new: "",
			pkg: machine, test: "TestCommandHashHasWhatIsAsked|TestStories/behalf",
		},
		{
			name: "machine: an extension is abandoned", property: "S3: only an acquire can be withdrawn",
			file: "fsm/abandon.go", old: "r.Grant == 0 || r.Count == 0", new: "r.Grant == 0",
			pkg: machine, test: "TestStories/behalf",
		},
	}
}
