package main

// remoteFaults are those of the client's half of the wire.
func remoteFaults() []fault {
	const remote = "./lockapi/remote"
	return []fault{
		{
			name: "remote: one stream for any number of sessions", property: "no stream speaks for more sessions than a node lets it",
			file: "lockapi/remote/further.go", old: "len(b.sessions)+b.coming >= b.sessionsMax",
			new: "false", pkg: remote, test: "TestFurtherStreams",
		},
		{
			name: "remote: a session's commands go by any stream", property: "a session is attached on one stream",
			file: "lockapi/remote/further.go", old: "ours := b.inflight[c.Key()] != nil || c.Session != 0 && b.sessions[c.Session] != nil",
			new: "ours := b.inflight[c.Key()] != nil", pkg: remote, test: "TestFurtherStreams",
		},
		{
			name: "remote: all sessions are opened at once", property: "a session that is opened is attached and renewed in time",
			file: "lockapi/remote/further.go", old: "if c.Op != fsm.OpOpen {",
			new: "if true {", pkg: remote, test: "TestOpensTakeTurns",
		},
		{
			name: "remote: what stands in line is taken for stuck", property: "a crowd of one client's own is no reason to leave a node",
			file: "lockapi/remote/order.go", old: "return l.order.answered-a.place.at > overtaken ||",
			new: "return true ||", pkg: remote, test: "TestInLineIsNotStuck",
		},
		{
			name: "remote: what is overtaken is taken for standing in line", property: "a stuck node does not cost the session",
			file: "lockapi/remote/order.go", old: "return l.order.answered-a.place.at > overtaken ||",
			new: "return false ||", pkg: remote, test: "TestStuck|TestDoubtOfANodeThatIsHeard",
		},
		{
			name: "remote: the end of a session finds no room", property: "whoever lost a session is told",
			file: "lockapi/remote/feed.go", old: "len(f.queue) >= feedQueueMax && !f.last", new: "len(f.queue) >= feedQueueMax",
			pkg: "./lockapi/remote", test: "TestFeedKeepsTheEnd",
		},
		{
			name: "remote: an event of another incarnation is heard", property: "fenced is fenced",
			file: "lockapi/remote/receive.go", old: "s == nil || s.incarnation != o.Key.Incarnation", new: "s == nil",
			pkg: "./lockapi/remote", test: "TestEventsOfAnotherIncarnation",
		},
		{
			name: "remote: a late answer takes the incarnation back", property: "fenced is fenced",
			file: "lockapi/remote/session.go", old: "if i > s.incarnation || s.secret == (fsm.Secret{}) {", new: "if true {",
			pkg: "./lockapi/remote", test: "TestLateAnswersTakeNothingBack",
		},
		{
			name: "remote: the number of the last attach is forgotten", property: "renewals are numbered",
			file: "lockapi/remote/session.go", old: "\t\ts.renewal = c.Seq\n", new: "\t\t_ = c.Seq\n",
			pkg: "./lockapi/remote", test: "TestLateAnswersTakeNothingBack",
		},
		{
			name: "remote: a node's \"unknown\" is a refusal", property: "definite and unknown are different",
			file: "lockapi/remote/receive.go", old: "\t\ta.doubt = true\n", new: "",
			pkg: "./lockapi/remote", test: "TestUnknownOfANodeIsADoubt",
		},
		{
			name: "rpc: sessions that are being opened take no place", property: "every bound holds",
			file: "transport/rpc/stream.go", old: "len(s.sessions)+s.opening >= StreamSessionsMax", new: "len(s.sessions) >= StreamSessionsMax",
			pkg: "./transport/rpc", test: "TestOpensUnderWayAreCounted",
		},
		{
			name: "rpc: a refused open lets somebody in", property: "a stream speaks only for sessions whose secrets it has shown",
			file: "transport/rpc/stream.go", old: "if r.Status == fsm.StatusOK && err == nil {", new: "if err == nil {",
			pkg: "./transport/rpc", test: "TestRefusedSpeaksForNobody",
		},
		{
			name: "rpc: who does not read is read from", property: "every bound holds",
			file: "transport/rpc/stream.go", old: " || s.out.Size() > backlogSizeMax {\n\t\tif err", new: " {\n\t\tif err",
			pkg: "./transport/rpc", test: "TestBacklogIsBounded",
		},
		{
			name: "mem: a timer that finds nothing due is not set again", property: "whoever waits is told, though nobody asks any more",
			file: "lockapi/mem/machine.go", old: "\t\treturn\n\t}\n\tm.arm()\n", new: "\t\treturn\n\t}\n",
			pkg: "./lockapi/mem", test: "TestTimerAfterARenewal",
		},
		{
			name: "rpc: a full stream is a full cluster", property: "the limit that was hit is the one named",
			file: "transport/rpc/stream.go", old: "full(\"sessions of one stream\", StreamSessionsMax)",
			new: "full(\"sessions\", 1<<20)", pkg: "./transport/rpc", test: "TestSessionsAreCounted",
		},
		{
			name: "remote: endpoints of several clusters will do", property: "S21: one client, one cluster",
			file: "lockapi/remote/clusters.go", old: "if len(b.strangers) == 0 {", new: "if true {",
			pkg: "./lockapi/remote", test: "TestNameOfTwoClusters",
		},
		{
			name: "remote: the first endpoint that answers decides", property: "S21: one client, one cluster",
			file: "lockapi/remote/seek.go", old: "if decided && r.acquainted() {", new: "if decided {",
			pkg: "./lockapi/remote", test: "TestNameOfTwoClusters|TestEndpointsOfTwoClusters",
		},
		{
			name: "remote: what is found out late refuses nobody", property: "S21: one client, one cluster",
			file: "lockapi/remote/call.go", old: "case anew(c) && refusal != nil:", new: "case false:",
			pkg: "./lockapi/remote", test: "TestLateEndpointOfAnotherCluster",
		},
		{
			name: "remote: a refusal is asked for twice", property: "who opens a session is refused or has begun",
			file: "lockapi/remote/call.go", old: "return nil, refusal\n", new: "return nil, b.book.refusal()\n",
			pkg: "./lockapi/remote", test: "TestRefusedOrBegun",
		},
		{
			name: "remote: what was put off is sent for who has gone", property: "a command that is refused for now is sent again",
			file: "lockapi/remote/overload.go", old: "\t\t\tb.send(first)\n", new: "\t\t\tb.send(a)\n",
			pkg: "./lockapi/remote", test: "TestPostponedIsHandedOn",
		},
		{
			name: "remote: of a name's addresses one is asked", property: "S21: one client, one cluster",
			file: "lockapi/remote/resolve.go", old: "hosts = slices.Compact(hosts)", new: "hosts = hosts[:1]",
			pkg: "./lockapi/remote", test: "TestNameOfTwoClusters",
		},
		{
			name: "remote: a silent node is never asked", property: "who waits hears of its grant within seconds, whatever the TTL",
			file: "lockapi/remote/ping.go", old: "v.idle >= idleLooks {", new: "v.idle >= 1<<30 {",
			pkg: "./lockapi/remote", test: "TestGrantBehindANodeThatHangs",
		},
		{
			name: "remote: a node without a leader will do", property: "who waits hears of its grant within seconds, whatever the TTL",
			file: "lockapi/remote/ping.go", old: "if v.leaderless++; h.GetNode() == \"\" ||", new: "if v.leaderless++; true ||",
			pkg: "./lockapi/remote", test: "TestNodeWithoutALeaderIsLeft",
		},
	}
}
