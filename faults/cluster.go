package main

// clusterFaults are those of the replicated machine and of formation.
func clusterFaults() []fault {
	const pkg = "./cluster"
	return []fault{
		{
			name: "leader: the stamp is read before the renewals are in", property: "S7: no session ends early",
			file: "cluster/reign.go", old: "r.clock.propose(r.now())", new: "r.clock.propose(r.now() - gatherMax)",
			pkg: pkg, test: "TestStampIsReadLast",
		},
		{
			name: "leader: a pause of its process counts", property: "S7: no session ends early",
			file: "cluster/clock.go", old: "counted = min(counted, countedMax)", new: "counted = max(counted, 0)",
			pkg: pkg, test: "TestReignClock|TestSessionsSurviveAStoppedLeader",
		},
		{
			name: "leader: a stall of its log counts", property: "S7: no session ends early",
			file: "cluster/clock.go", old: "if c.underWay {\n\t\tcounted", new: "if false {\n\t\tcounted",
			pkg: pkg, test: "TestReignClock",
		},
		{
			name: "leader: a stamp of no matter which term", property: "S7: no session ends early",
			file: "cluster/reign.go", old: "return fsm.SealEntry(body, r.term,", new: "return fsm.SealEntry(body, r.term+4,",
			pkg: pkg, test: "TestEntryOfAnOlderReignMovesNoTime|TestReignExpiresWhatIsDue",
		},
		{
			name: "node: what a leader refused is not sent again", property: "S3: once, not never",
			file: "cluster/link.go", old: "if l.refused.Swap(false) {", new: "if l.refused.Swap(false) && false {",
			pkg: pkg, test: "TestLinkSendsAgain|TestLostFrameIsSentAgain",
		},
		{
			name: "node: nothing is looked up in an installed snapshot", property: "S4: nothing acknowledged is lost",
			file: "cluster/machine.go", old: "m.pendings.fromSnapshot(state.Applied(), m.lookup, &m.tell)", new: "_ = m.pendings.fromSnapshot",
			pkg: pkg, test: "TestInstalledSnapshotAnswers",
		},
		{
			name: "node: a follower ignores what the leader returns", property: "a follower is as quick as its leader",
			file: "cluster/link.go", old: "l.pendings.fromLeader(l.outcomes, l.tags, &l.tell)", new: "_ = l.pendings.fromLeader",
			pkg: pkg, test: "TestFollowerAnswersBeforeItsOwnApply|TestLinkTakesOutcomes",
		},
		{
			name: "node: heartbeats pass the main loop by", property: "S1: one order of commands (raft#695)",
			file: "cluster/rafttransport.go", old: "SetHeartbeatHandler(", new: "setNoHeartbeatHandler(",
			pkg: pkg, test: "TestHeartbeatsGoThroughTheMainLoop",
		},
		{
			name: "node: it lives on with another history", property: "S13: a node that differs stops",
			file: "cluster/machine.go", old: "known && own != c.Hash", new: "known && own == 0",
			pkg: pkg, test: "TestMachineComparesTheChain|TestDivergedNodeStops",
		},
		{
			name: "leader: it hands over to whom raft takes", property: "a node that stops is not missed",
			file: "cluster/transfer.go", old: "LeadershipTransferToServer(heir.ID, heir.Address)", new: "LeadershipTransfer()",
			pkg: pkg, test: "TestTransferTakesAVoterThatLives",
		},
		{
			name: "node: it stops with commands unanswered", property: "a node that stops is not missed",
			file: "cluster/stop.go", old: "n.pendings.drain(ctx, n.done); left > 0", new: "n.pendings.unanswered(); left < 0",
			pkg: pkg, test: "TestStopAnswersWhatWaits",
		},
		{
			name: "gossip: what is compressed reaches the library", property: "bytes of strangers cost no more than they are",
			file: "cluster/gossip_filter.go", old: "case b[0] == gossipCompressed:", new: "case len(b) > 1<<20:",
			pkg: pkg, test: "TestGossipFilter",
		},
		{
			name: "gossip: nobody asks at the addresses that it tells", property: "one address that lives is enough to be found",
			file: "cluster/former.go", old: "o.formation.hinted(o.now(), o.hints())", new: "_ = o.hints",
			pkg: pkg, test: "TestLateJoinerFindsTheCluster",
		},
	}
}
