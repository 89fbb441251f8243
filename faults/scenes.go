package main

// sceneFaults are those that the scenes must notice, each in a history that is forced:
// what is wrong in one machine, or one client, there becomes wrong for its users.
func sceneFaults() []fault {
	const pkg = "./jepsen/scenes"
	return []fault{
		{
			name: "scene: a client counts from the answer that lay about", property: "S8: the client stops believing first",
			file: "lockapi/renew.go", old: "s.credit(sent, s.now(), r)", new: "s.credit(s.now(), s.now(), r)",
			pkg: pkg, test: "TestAnAnswerThatLayAbout",
		},
		{
			name: "scene: a leader's time begins with its process", property: "S7: no session ends early",
			file: "cluster/reign.go", old: "newReignClock(o.Result.At, r.now(), r.patience)", new: "newReignClock(fsm.Instant(r.now()), r.now(), r.patience)",
			pkg: pkg, test: "TestALeaderIsLeftAlone",
		},
		{
			name: "scene: what was withdrawn comes later", property: "S10: neither hold nor place",
			file: "fsm/abandon.go", old: "if target >= ss.mark {\n\t\tss.window.put(", new: "if target > ss.lastSeq {\n\t\tss.window.put(",
			pkg: pkg, test: "TestWithdrawalOvertakes",
		},
		{
			name: "scene: a copy is another command", property: "S3: once or never",
			file: "fsm/window.go", old: "if a := ss.window.get(c.Seq); a != nil && c.Seq >= ss.mark {",
			new: "if a := ss.window.get(c.Seq); a != nil && c.Seq < ss.mark {",
			pkg: pkg, test: "TestEverythingComesAgain",
		},
		{
			name: "scene: a session has a dead one's number", property: "S3: once or never",
			file: "fsm/session.go", old: "\ts.lastSession++\n", new: "\tif s.lastSession == 0 || s.session(s.lastSession) != nil {\n\t\ts.lastSession++\n\t}\n",
			pkg: pkg, test: "TestLastWordsOfADeadSession",
		},
		{
			name: "scene: secrets are written down", property: "secrets are in no log and no answer",
			file: "cluster/do.go", old: "c.Secret = sha256.Sum256(c.Secret[:])", new: "_ = sha256.Sum256(c.Secret[:])",
			pkg: pkg, test: "TestASecretIsNowhere",
		},
		{
			name: "scene: a wait takes a place in the window", property: "a wait of an hour does not block the window",
			file: "fsm/session.go", old: "\t\tss.mark = max(ss.mark, c.Mark)\n", new: "\t\tif ss.waiting == 0 {\n\t\t\tss.mark = max(ss.mark, c.Mark)\n\t\t}\n",
			pkg: pkg, test: "TestALongWaitOutlivesItAll",
		},
	}
}
