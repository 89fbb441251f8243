package main

// fsmFaults are those of the lock machine.
func fsmFaults() []fault {
	const pkg, stories = "./fsm", "TestStories|TestProperties|TestHonestClients"
	return []fault{
		{
			name: "machine: dedupe is skipped", property: "S3: once or never",
			file: "fsm/window.go", old: "if a := ss.window.get(c.Seq); a != nil && c.Seq >= ss.mark {",
			new: "if a := ss.window.get(c.Seq); a != nil && c.Seq < ss.mark {",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: the last in line is granted first", property: "S5: first come, first served (I6)",
			file: "fsm/wait.go",
			old:  "\t\tfirst = w\n\t\treturn false",
			new:  "\t\tif w.name == l.name {\n\t\t\tfirst = w\n\t\t}\n\t\treturn w.name == l.name",
			pkg:  pkg, test: stories,
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
			file: "fsm/wait.go",
			old:  "if w := s.waiter(ss.id, target); w != nil {\n\t\ts.withdraw(w)\n\t}",
			new:  "if w := s.waiter(ss.id, target); w != nil {\n\t\t_ = w\n\t}",
			pkg:  pkg, test: stories,
		},
		{
			name: "machine: an abandon burns nothing", property: "S10: neither hold nor place",
			file: "fsm/wait.go", old: "if target >= ss.mark {", new: "if target > ss.lastSeq {",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: the queue is not in the snapshot", property: "S4: nothing acknowledged is lost",
			file: "fsm/snapshot.go", old: "v.queues.Ascend(func(w *waiter) bool { return writeWaiter(sw, w) })", new: "_ = writeWaiter",
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
			name: "machine: re-entry stands in the queue", property: "no owner waits for itself",
			file: "fsm/lock.go", old: "if i := l.held(ss.id, c.Owner); i >= 0 {", new: "if i := l.held(ss.id, c.Owner); i >= 0 && l.waiting == 0 {",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: extend may shorten", property: "S8: the client stops believing first",
			file: "fsm/lock.go", old: "g.until != 0 && until > g.until {", new: "g.until != 0 {",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: a freed lock stays free while others wait", property: "S6: no waiter waits for nobody (I2)",
			file: "fsm/lock.go", old: "\t\tl.remove(i)\n\t\ts.handOver(l)\n", new: "\t\tl.remove(i)\n",
			pkg: pkg, test: stories,
		},
		{
			name: "machine: a changed lock shows in older views", property: "a view does not change",
			file: "fsm/state.go", old: "if l.era == s.era {", new: "if l.era <= s.era {",
			pkg: pkg, test: "TestViewBesideApply|TestProperties",
		},
	}
}
