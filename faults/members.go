package main

// memberFaults are those of who may found a cluster, and of members that move.
func memberFaults() []fault {
	const pkg = "./cluster"
	return []fault{
		{
			name: "formation: whoever expects one founds beside others", property: "S12: one cluster",
			file: "cluster/contest.go", old: "return 1+len(heard)+len(silent) >= 2*f.expect", new: "return 1+len(heard)+len(silent) >= 9*f.expect",
			pkg: pkg, test: "TestFormationContested|TestClustersOfOneAreRefused",
		},
		{
			name: "formation: a silent address is nobody's", property: "S12: one cluster",
			file: "cluster/contest.go", old: "if !s.asked || s.silent > 0 || len(s.who) == 0 ||", new: "if !s.asked ||",
			pkg: pkg, test: "TestFormationContested",
		},
		{
			name: "formation: who is to found alone asks nobody", property: "S12: one cluster",
			file: "cluster/contest.go", old: "f.alone && s.asked {", new: "f.alone {",
			pkg: pkg, test: "TestFormationContested",
		},
		{
			name: "formation: a proposal is minted though it is contested", property: "S12: one cluster",
			file: "cluster/formation.go", old: "len(promisers) >= f.expect-1 && !f.contested(now) {", new: "len(promisers) >= f.expect-1 {",
			pkg: pkg, test: "TestFormationContested",
		},
		{
			name: "formation: of a name's addresses one is asked", property: "S12: one cluster",
			file: "cluster/resolve.go", old: "hosts[:min(len(hosts), resolvedMax)]", new: "hosts[:1]",
			pkg: pkg, test: "TestNameOfSeveralNodes",
		},
		{
			name: "member: two clusters pass each other in silence", property: "S12: one cluster, or it is told",
			file: "cluster/lookout.go", old: "if p.news(address, why) {", new: "if false {",
			pkg: pkg, test: "TestStrangersAreTold",
		},
		{
			name: "member: it may move without a word", property: "S22: a member votes once",
			file: "cluster/moved.go", old: "if !said.Moved && said.Move <= at.move {", new: "if false {",
			pkg: pkg, test: "TestJudgeMove|TestFalseWord",
		},
		{
			name: "member: nobody looks at the address that was left", property: "S22: a member votes once",
			file: "cluster/moved.go", old: "if there != (refusal{}) {", new: "if false {",
			pkg: pkg, test: "TestFalseWord",
		},
		{
			name: "member: nobody is called at the address that he says", property: "S22: a member votes once",
			file: "cluster/moved.go", old: "if here != (refusal{}) {", new: "if false {",
			pkg: pkg, test: "TestJudgeMove",
		},
		{
			name: "member: who is left behind goes on", property: "S22: a member votes once",
			file: "cluster/moved.go", old: "if known && v.from == at.address && at.move < v.to.move {", new: "if known && false {",
			pkg: pkg, test: "TestJudgeMove|TestWhoIsLeftBehindStops",
		},
		{
			name: "member: moves that its log has led it elsewhere speak for it", property: "S22: a member votes once",
			file: "cluster/moved.go", old: "return standing{Moved: p.moved}", new: "return standing{Move: at.move, Moved: p.moved}",
			pkg: pkg, test: "TestCopyOfOneThatMoved",
		},
		{
			name: "member: what it opened before it moved stays open", property: "S22: a member votes once",
			file: "cluster/moved.go", old: "if p.cut != nil {", new: "if false {",
			pkg: pkg, test: "TestJudgeMove",
		},
		{
			name: "member: a stream to one is taken for one to another", property: "S22: a member votes once",
			file: "cluster/peers.go", old: "if at.id != \"\" && peer.ID != at.id {", new: "if false {",
			pkg: pkg, test: "TestStreamIsToAMember",
		},
		{
			name: "member: a vote is for an address", property: "S22: a member votes once",
			file: "cluster/rafttransport.go", old: "[]byte(place{id: string(id), address: placeOf(at).address}.raft())", new: "[]byte(placeOf(at).address)",
			pkg: pkg, test: "TestVoteIsNotForAnAddress",
		},
	}
}
