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
			name: "leader: it counts from before its takeover", property: "S7: no session ends early",
			file: "cluster/reign.go", old: "newReignClock(o.Result.At, r.now(), r.patience)", new: "newReignClock(o.Result.At, r.now()-lookEvery, r.patience)",
			pkg: pkg, test: "TestNothingCountsBeforeTakeover",
		},
		{
			name: "leader: a pause of its process counts", property: "S7: no session ends early",
			file: "cluster/clock.go", old: "counted = min(counted, countedMax)", new: "counted = max(counted, 0)",
			pkg: pkg, test: "TestSessionsSurviveAStoppedLeader|TestSessionsSurviveAStarvedLeader",
		},
		{
			name: "leader: a stall of its log counts", property: "S7: no session ends early",
			file: "cluster/clock.go", old: "if c.underWay {\n\t\tcounted", new: "if false {\n\t\tcounted",
			pkg: pkg, test: "TestSessionsSurviveAStalledLog",
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
			file: "cluster/machine_snapshot.go", old: "m.pendings.fromSnapshot(state.Applied(), m.lookup, &m.tell)", new: "_ = m.pendings.fromSnapshot",
			pkg: pkg, test: "TestInstalledSnapshotSendsAgain",
		},
		{
			name: "node: after an installed snapshot nothing is sent again", property: "S3: once, not never (X7)",
			file: "cluster/machine_snapshot.go", old: "m.pendings.resend(bySnapshot)", new: "_ = m.pendings.resend",
			pkg: pkg, test: "TestInstalledSnapshotSendsAgain",
		},
		{
			name: "node: an installed snapshot tells nobody what was lost", property: "S9: losses are told until acknowledged",
			file: "cluster/machine_snapshot.go", old: "m.subs.restored(m)", new: "_ = m.subs.restored",
			pkg: pkg, test: "TestLossWhileNobodyListens",
		},
		{
			name: "node: acquires are answered out of a snapshot", property: "S8: the client stops believing first",
			file: "cluster/answer.go", old: "case w.op == fsm.OpAcquire:", new: "case w.op == 0:",
			pkg: pkg, test: "TestInstalledSnapshotSendsAgain",
		},
		{
			name: "node: a new stream begins empty", property: "S3: once, not never (X8)",
			file: "cluster/resend.go", old: "p.resend(byRoute)", new: "_ = byRoute",
			pkg: pkg, test: "TestSentAgainOnANewStream",
		},
		{
			name: "node: silence is for ever", property: "S3: once, not never (X8)",
			file: "cluster/link.go", old: "why := bySilence\n\t\tif l.refused", new: "why := bySilence\n\t\tif len(l.pendings.byKey) == 1 {\n\t\t\tcontinue\n\t\t}\n\t\tif l.refused",
			pkg: pkg, test: "TestLinkSendsAgainWhatIsLost",
		},
		{
			name: "leader: a reign ends without a word to the others", property: "S3: once, not never (X8)",
			file: "cluster/node_reign.go", old: "func (n *Node) endReign() { n.server.refuse() }", new: "func (n *Node) endReign() {}",
			pkg: pkg, test: "TestSentAgainInANewTermOfTheSameLeader",
		},
		{
			name: "leader: what raft refuses is given up", property: "S3: once, not never (X8)",
			file: "cluster/errors.go", old: "errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout)",
			new: "errors.Is(err, raft.ErrLeadershipTransferInProgress)",
			pkg: pkg, test: "TestRefusedByRaft|TestErrorsOfRaft",
		},
		{
			name: "leader: it reads what it has, for it leads", property: "S11: a read shows what was acknowledged before",
			file: "cluster/inspect.go", old: "\tr := n.reads.join(n.read)\n",
			new: "\tif n.leadership.current().reign != nil {\n\t\treturn n.machine.view(), nil\n\t}\n\tr := n.reads.join(n.read)\n",
			pkg: pkg, test: "TestALeaderThatDoesNotKnow",
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
			name: "leader: an entry for each deadline", property: "deadlines do not bury the log",
			file: "cluster/reign.go", old: "due = max(due, r.swept+sweepEvery-now)", new: "due = max(due, 0)",
			pkg: pkg, test: "TestManyDeadlinesOneByOne",
		},
		{
			name: "leader: what one entry had no room to expire waits", property: "what is due ends",
			file: "cluster/reign.go", old: "if r.facts.due <= r.facts.now {", new: "if r.facts.due < 0 {",
			pkg: pkg, test: "TestManyDeathsAtOnce",
		},
		{
			name: "leader: what it had no room for is proposed all the same", property: "refused means refused",
			file: "cluster/pending.go", old: "own.full() && p.retract(at) {", new: "own.full() {",
			pkg: pkg, test: "TestSentAgainWhenTheInboxIsFull",
		},
		{
			name: "node: who attaches hears before it is let in", property: "what was missed comes first, in order",
			file: "cluster/subscribe.go", old: "(sub.begun || o.Kind == fsm.OutcomeEnded)", new: "sub.session != 0",
			pkg: pkg, test: "TestAttachHearsInOrder",
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
			name: "founder: an empty disk is admitted for the one that promised", property: "S12: a cluster is made once, of who promised",
			file: "cluster/formation.go", old: "case as != f.me.ref:", new: "case as == ref{} && as != f.me.ref:",
			pkg: pkg, test: "TestFormationAdmit|TestWipedPromiserIsNotAdmitted",
		},
		{
			name: "founder: an entry of its own log alone counts", property: "S12: a cluster is made once, of who promised",
			file: "cluster/founder.go", old: "err := o.enlist(ctx, p)\n", new: "err := o.enlist(ctx, p)\n\t\t\tif o.listed(p) {\n\t\t\t\terr = nil\n\t\t\t}\n",
			pkg: pkg, test: "TestFormerFounderLooksAtWhatIsCommitted",
		},
		{
			name: "node: who announces another is taken for it", property: "a copy of a node is refused",
			file: "cluster/examine.go", old: "said.Instance = instance(c.Peer.Instance)", new: "_ = instance(c.Peer.Instance)",
			pkg: pkg, test: "TestAnnouncementIsOfTheHandshake",
		},
		{
			name: "handshake: a peer of another cluster is taken", property: "S12: one cluster",
			file: "transport/handshake.go", old: "if err := sameCluster(me, peer); err != nil {", new: "if err := sameCluster(me, me); err != nil {",
			pkg: "./transport", test: "TestRefused",
		},
		{
			name: "handshake: another cluster's word is enough", property: "S12: one cluster",
			file: "transport/handshake.go", old: "return v.identity, sameCluster(me, v.identity)", new: "return v.identity, nil",
			pkg: "./transport", test: "TestAdmittedByAnotherCluster",
		},
		{
			name: "founder: half of the founders is a majority", property: "S4: nothing acknowledged is lost",
			file: "cluster/member.go", old: "return voters > founders/2", new: "return voters >= (founders+1)/2",
			pkg: pkg, test: "TestMajorityOfFounders",
		},
		{
			name: "node: what was handed to a stream was never sent", property: "a refusal is definite, and nothing else is",
			file: "cluster/pending.go", old: "w.sent, w.sentAt = true, p.now()", new: "w.sentAt = p.now()",
			pkg: pkg, test: "TestWhatWasSentIsUnknown",
		},
		{
			name: "node: what a second caller has sent was never sent", property: "a refusal is definite, and nothing else is",
			file: "cluster/pending.go", old: "w.sent = w.sent || to != nil", new: "_ = to",
			pkg: pkg, test: "TestWhatWasSentIsUnknown",
		},
		{
			name: "node: what was sent when somebody led was never sent", property: "a refusal is definite, and nothing else is",
			file: "cluster/resend.go", old: "w.sent, w.sentAt = true, now", new: "w.sentAt = now",
			pkg: pkg, test: "TestWhatWasSentIsUnknown",
		},
		{
			name: "node: a file is replaced by one that is not on the disk", property: "S12: one cluster",
			file: "cluster/durable.go", old: "if err := file.Sync(); err != nil {", new: "if err := error(nil); err != nil {",
			pkg: pkg, test: "TestWriteDurablyFlushes",
		},
		{
			name: "handshake: a proof does not say whose it is", property: "nobody speaks as a node without the key",
			file: "transport/key.go", old: "mac.Write([]byte(role))", new: "mac.Write([]byte(role[:0]))",
			pkg: "./transport", test: "TestProofIsOfOneSideAndOneReading",
		},
		{
			name: "handshake: a proof is of bytes without borders", property: "nobody speaks as a node without the key",
			file: "transport/key.go", old: "mac.Write([]byte{byte(size), byte(size >> 8)})", new: "_ = size",
			pkg: "./transport", test: "TestProofIsOfOneSideAndOneReading",
		},
		{
			name: "gossip: what is compressed reaches the library", property: "bytes of strangers cost no more than they are",
			file: "cluster/gossip_filter.go", old: "case b[0] == gossipCompressed:", new: "case len(b) > 1<<20:",
			pkg: pkg, test: "TestGossipFilter",
		},
		{
			name: "gossip: nobody asks at the addresses that it tells", property: "one address that lives is enough to be found",
			file: "cluster/former_ask.go", old: "o.formation.hinted(o.now(), o.hints())", new: "_ = o.hints",
			pkg: pkg, test: "TestLateJoinerFindsTheCluster",
		},
		{
			name: "node: a log of another history is kept after an installed snapshot", property: "S1: one state",
			file: "cluster/logstore.go", old: "if entry.Term == snapshot.Term {", new: "if true {",
			pkg: pkg, test: "TestStorageFitsTheLogToItsSnapshot",
		},
		{
			name: "node: raft is not told that the log has no gaps", property: "a node that installed a snapshot goes on",
			file: "cluster/storeguard.go", old: "return ok && store.IsMonotonic()", new: "return ok && store.IsMonotonic() && false",
			pkg: pkg, test: "TestInstalledSnapshotSendsAgain|TestInstalledSnapshotLosesNobody",
		},
		{
			name: "node: for a damaged snapshot the one before will do", property: "S4: nothing acknowledged is lost",
			file: "cluster/logstore.go", old: "err := checkSnapshot(snaps, snapshot.ID); err != nil", new: "err := error(nil); err != nil",
			pkg: pkg, test: "TestStorageRefusesADamagedSnapshot",
		},
		{
			name: "node: what is beside a snapshot is believed", property: "S4: nothing acknowledged is lost",
			file: "cluster/snapshot_label.go", old: "if !bytes.Equal(got, want) {", new: "if false {",
			pkg: pkg, test: "TestNobodyBelievesADamagedMeta",
		},
		{
			name: "node: a snapshot that was removed for newer ones is a failed disk", property: "a sound node does not stop",
			file: "cluster/snapshots.go", old: "if p.running.Load() && !errors.Is(err, fs.ErrNotExist) {", new: "if p.running.Load() {",
			pkg: pkg, test: "TestANodeGoesOnWithoutASnapshotThatIsGone",
		},
		{
			name: "node: a log stands in for a snapshot that it does not go back to", property: "S4: nothing acknowledged is lost",
			file: "cluster/logstore.go", old: "if first <= fallback(list)+1 {", new: "if true {",
			pkg: pkg, test: "TestStorageRefusesADamagedSnapshotBeforeAGap",
		},
		{
			name: "node: a stopped process is a hanging disk", property: "a sound node does not stop",
			file: "cluster/watchdog.go", old: "late := !w.over && w.looks == watchLooks", new: "late := !w.over",
			pkg: pkg, test: "TestStoppedProcessIsNoHangingDisk",
		},
		{
			name: "node: no descriptors are a broken disk", property: "a sound node does not stop",
			file: "cluster/storeguard.go", old: "return func() error { return patiently(g.patience*3/4, op) }", new: "return op",
			pkg: pkg, test: "TestGuardWaitsForDescriptors",
		},
		{
			name: "node: its files are opened once", property: "a sound node does not stop",
			file: "cluster/patience.go", old: "nap < patience && raftlog", new: "nap < 0 && raftlog",
			pkg: pkg, test: "TestFilesWaitForDescriptors",
		},
		{
			name: "node: a snapshot that failed keeps its room", property: "a full disk does not stay full of what failed",
			file: "cluster/snapshots.go", old: "_ = p.content.Truncate(0)", new: "_ = p.content",
			pkg: pkg, test: "TestFailedSnapshotLeavesNothing",
		},
		{
			name: "node: a snapshot that failed is left", property: "a full disk does not stay full of what failed",
			file: "cluster/snapshots.go", old: "return os.RemoveAll(p.dir)", new: "return nil",
			pkg: pkg, test: "TestFailedSnapshotLeavesNothing",
		},
		{
			name: "node: a watchdog that was stopped looks on", property: "a sound node does not stop",
			file: "cluster/watchdog.go", old: "if !w.over && !late {", new: "if !late {",
			pkg: pkg, test: "TestStoppedWatchdogIsStill",
		},
		{
			name: "node: any directory will do", property: "bad input is refused with nothing lost",
			file: "cluster/durable.go", old: "default:\n\t\t\tother = name", new: "default:\n\t\t\tother = \"\"",
			pkg: pkg, test: "TestDirectoryOfOthers",
		},
		{
			name: "node: half a vote is that of an earlier term", property: "S1: one leader has all that is acknowledged",
			file: "cluster/storeguard.go", old: "if string(key) == keyVoteTerm {", new: "if string(key) == keyVoteFor {",
			pkg: pkg, test: "TestVoteIsNotAnEarlierTerms",
		},
		{
			name: "node: a newest snapshot without a meta.json is passed over", property: "S4: nothing acknowledged is lost",
			file: "cluster/snapshots.go", old: "list[0].ID != newest.id) {", new: "false) {",
			pkg: pkg, test: "TestStorageRefusesASnapshotThatIsNotListed",
		},
		{
			name: "node: its snapshots were never there", property: "S4: nothing acknowledged is lost",
			file: "cluster/snapshots.go", old: "errors.Is(err, fs.ErrNotExist) && me.bound() {", new: "errors.Is(err, fs.ErrNotExist) && false {",
			pkg: pkg, test: "TestStorageRefusesPartOfADirectory",
		},
		{
			name: "node: a promise is read that is not on the disk", property: "S12: one cluster",
			file: "cluster/identity.go", old: "if err := me.persist(); err != nil {", new: "if err := error(nil); err != nil {",
			pkg: pkg, test: "TestIdentityIsDurableWhenRead",
		},
		{
			name: "node: what two have sent is refused to one", property: "S17: an overload is definite",
			file: "cluster/pending.go", old: "if w.shared || w.callers", new: "if w.callers",
			pkg: pkg, test: "TestWhatTwoHaveSentIsNotTakenBack",
		},
	}
}
