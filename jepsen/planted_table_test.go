//go:build planted

package jepsen_test

import (
	"slices"
	"time"

	"github.com/lockd-io/lockd/faults/overlay"
)

// plantedFaults are the changes that the suite has to see.
func plantedFaults() []planted {
	return slices.Concat(grantsPlanted(), livesPlanted(), memoryPlanted(), clusterPlanted(), clientsPlanted())
}

// grantsPlanted concern who is granted what, and in which order.
func grantsPlanted() []planted {
	return []planted{
		{
			name: "a semaphore has one permit more", workload: "semaphore",
			Change: overlay.Change{
				File: "fsm/lock.go", Old: "return l.taken+uint64(permits) <= uint64(l.limit)",
				New: "return l.taken+uint64(permits) <= uint64(l.limit)+1",
			},
		},
		{
			name: "a reader is let in beside a writer", workload: "rwlock",
			Change: overlay.Change{File: "fsm/lock.go", Old: "return l.mode != Exclusive", New: "return true"},
		},
		{
			name: "a writer is let in beside readers", workload: "rwlock",
			Change: overlay.Change{
				File: "fsm/lock.go", Old: "default:\n\t\treturn l.holds == 0", New: "default:\n\t\treturn l.mode != Exclusive",
			},
		},
		{
			name: "whoever comes need not stand behind those who wait", workload: "rwlock",
			Change: overlay.Change{
				File: "fsm/acquire.go", Old: "return l.fits(w.Mode, w.Permits) && !s.outrun(l, r.turn), Result{}",
				New: "return l.fits(w.Mode, w.Permits), Result{}",
			},
		},
		{
			name: "the last in line is granted first", workload: "mutex",
			Change: overlay.Change{File: "fsm/wait.go", Old: "turn: s.lastWaiter}", New: "turn: 1<<40 - s.lastWaiter}"},
		},
		{
			name: "two owners of one session are one", workload: "mutex",
			Change: overlay.Change{
				File: "fsm/grant.go", Old: "return a.session == b.session && a.owner == b.owner && a.name == b.name",
				New: "return a.session == b.session && a.name == b.name",
			},
		},
		{
			name: "an acquire of several names that waits looks at the first only", workload: "all",
			Change: overlay.Change{
				File: "fsm/acquire.go", Old: "\tfor i := range w.wants {\n\t\twant := &w.wants[i]\n\t\tl := s.lock(want.Name)\n\t\tswitch {",
				New: "\tfor i := range w.wants[:1] {\n\t\twant := &w.wants[i]\n\t\tl := s.lock(want.Name)\n\t\tswitch {",
			},
		},
		{
			name: "of several names the second's token is told for the first", workload: "all",
			Change: overlay.Change{File: "fsm/grant.go", Old: "\t\tif i == 0 {\n\t\t\tresult.Token", New: "\t\tif i == len(wants)-1 {\n\t\t\tresult.Token"},
		},
		{
			name: "tokens repeat", workload: "mutex",
			Change: overlay.Change{
				File: "fsm/grant.go", Old: "\t\ts.lastToken++ //", New: "\t\ts.lastToken = max(1, s.lastToken+uint64(s.lastGrant%2)) //",
			},
		},
	}
}

// livesPlanted concern releases, and the ends of waits and sessions.
func livesPlanted() []planted {
	return []planted{
		{
			name: "a release of several names frees the first only", workload: "all",
			Change: overlay.Change{
				File: "fsm/grant.go", Old: "\tfor _, row := range rows {\n\t\ts.grants.Delete(row)",
				New: "\tfor _, row := range rows[:1] {\n\t\ts.grants.Delete(row)",
			},
		},
		{
			name: "a release frees whatever its session has held longest", workload: "mutex",
			Change: overlay.Change{
				File: "fsm/grant.go", Old: "rows := s.namesOf(to.id, c.Grant)\n",
				New: "all := s.grantsOf(to.id)\n\tif len(all) == 0 {\n\t\treturn nil, Result{Status: StatusNotHeld}\n\t}\n\trows := s.namesOf(to.id, all[0].id)\n",
			},
		},
		{
			name: "anybody may release a grant", workload: "mutex",
			Change: overlay.Change{
				File: "fsm/grant.go", Old: "rows := s.namesOf(to.id, c.Grant)\n",
				New: "rows := s.namesOf(to.id, c.Grant)\n\ts.sessions.Ascend(func(other *session) bool {\n\t\tif len(rows) == 0 {\n\t\t\trows = s.namesOf(other.id, c.Grant)\n\t\t}\n\t\treturn true\n\t})\n",
			},
		},
		{
			name: "one release ends a hold that was entered twice", workload: "mutex",
			Change: overlay.Change{File: "fsm/grant.go", Old: "other := s.heldStill(l, row); other == nil {", New: "other := s.heldStill(l, row); other == nil || true {"},
		},
		{
			name: "how often an owner has entered is not counted", workload: "mutex",
			Change: overlay.Change{File: "fsm/grant.go", Old: "result.Token, result.Count = g.token, depth", New: "result.Token, result.Count = g.token, min(depth, 1)"},
		},
		{
			name: "renewals do not count after a while", workload: "mutex",
			Change: overlay.Change{File: "fsm/session.go", Old: "deadline > ss.deadline {", New: "deadline > ss.deadline && ss.lastSeq < 8 {"},
		},
		{
			name: "what a session held outlives it", workload: "mutex",
			Change: overlay.Change{File: "fsm/session.go", Old: "for _, g := range grants {", New: "for _, g := range grants[:0] {"},
		},
		{
			name: "sessions never expire", workload: "mutex",
			Change: overlay.Change{
				File: "fsm/expire.go", Old: "s.endSession(s.session(t.session), StatusSessionGone)", New: "s.prolong(s.session(t.session))",
			},
		},
		{
			name: "who is next in line is not woken", workload: "mutex",
			Change: overlay.Change{File: "fsm/grant.go", Old: "l.leave(row.permits)\n\t\t\ts.stir(l.name)\n", New: "l.leave(row.permits)\n"},
		},
		{
			name: "a wait whose time is up is granted all the same", workload: "mutex",
			Change: overlay.Change{
				File: "fsm/expire.go", Old: "\t\ts.withdraw(w)\n\t\ts.stirAll(w)\n\t\ts.settle(w, Result{Status: StatusTimeout})",
				New: "\t\ts.timers.remove(w.timer)\n\t\tw.timer = nil\n\t\ts.settle(w, Result{Status: StatusTimeout})",
			},
		},
		{
			name: "a wait that is withdrawn stays in the queue", workload: "mutex",
			Change: overlay.Change{File: "fsm/abandon.go", Old: "\t\ts.withdraw(w)\n\t\ts.stirAll(w)\n", New: "\t\ts.stirAll(w)\n"},
		},
		{
			name: "an acquire that comes after it was withdrawn is done", workload: "mutex",
			Change: overlay.Change{File: "fsm/abandon.go", Old: "if target >= ss.mark {\n\t\tss.window.put(", New: "if target > ss.lastSeq {\n\t\tss.window.put("},
		},
		{
			name: "of a semaphore's permits one comes back", workload: "semaphore",
			Change: overlay.Change{File: "fsm/lock.go", Old: "l.taken -= uint64(permits)", New: "l.taken -= min(1, uint64(permits))"},
		},
		{
			name: "replicas free several names in orders of their own", workload: "all",
			Change: overlay.Change{
				File: "fsm/grant.go", Old: "\tfor _, row := range rows {\n\t\ts.grants.Delete(row)",
				New: "\tall := map[string]*grant{}\n\tfor _, row := range rows {\n\t\tall[row.name] = row\n\t}\n\tfor _, row := range all {\n\t\ts.grants.Delete(row)",
			},
		},
	}
}

// memoryPlanted concern what is remembered, and what is forgotten by a snapshot.
func memoryPlanted() []planted {
	const restarts = "kill all|kill a follower|restart one"
	return []planted{
		{
			name: "a command that comes twice is done twice", workload: "mutex",
			Change: overlay.Change{
				File: "fsm/window.go", Old: "if a := ss.window.get(c.Seq); a != nil && c.Seq >= ss.mark {",
				New: "if a := ss.window.get(c.Seq); a != nil && c.Seq < ss.mark {",
			},
		},
		{
			name: "an acquire that waits and comes twice waits twice", workload: "mutex",
			Change: overlay.Change{File: "fsm/window.go", Old: "if w := s.waiter(ss.id, c.Seq); w != nil {", New: "if w := s.waiter(ss.id, c.Seq); w != nil && w.hash != hash {"},
		},
		{
			name: "remembered answers are not in the snapshot", workload: "mixed",
			trouble: "snapshots all the time|packets is lost|clients' connections are reset",
			Change:  overlay.Change{File: "fsm/snapshot.go", Old: "living := ss.window.living(ss.mark)", New: "living := ss.window.living(ss.mark)[:0]"},
		},
		{
			name: "the queue is not in the snapshot", workload: "mixed", trouble: restarts,
			Change: overlay.Change{
				File: "fsm/snapshot.go", Old: "v.parked.Ascend(func(w *waiter) bool { return writeWaiter(sw, w) })", New: "_ = writeWaiter",
			},
		},
		{
			name: "what is held is not in the snapshot", workload: "mixed", trouble: restarts,
			Change: overlay.Change{
				File: "fsm/snapshot.go", Old: "v.grants.Ascend(func(g *grant) bool { return writeGrant(sw, g) })", New: "_ = writeGrant",
			},
		},
		{
			name: "tokens begin again after a restart", workload: "mixed", trouble: restarts,
			Change: overlay.Change{
				File: "fsm/restore.go", Old: "s.lastToken = r.limited(1<<tokenCounterBits - 1)", New: "r.limited(1<<tokenCounterBits - 1)",
			},
		},
	}
}

// clusterPlanted concern the log, the leader's clock, and reads.
func clusterPlanted() []planted {
	return []planted{
		{
			name: "an append is acknowledged before it is flushed", workload: "mixed", trouble: "power fails everywhere",
			Change: overlay.Change{
				File: "cluster/raftlog/append.go", Old: "if err := flush(l.tail.file); err != nil {", New: "if err := error(nil); err != nil {",
			},
		},
		{
			name: "a read is answered by what the node has applied", workload: "mutex",
			Change: overlay.Change{File: "cluster/inspect.go", Old: "if stale {", New: "if stale || true {"},
		},
		{
			name: "the leader's time runs half as fast again", workload: "mutex",
			Change: overlay.Change{
				File: "cluster/clock.go", Old: "c.time = c.time.Add(fsm.Duration(counted))", New: "c.time = c.time.Add(fsm.Duration(counted * 3 / 2))",
			},
		},
		{
			name: "a new leader's time begins a second late", workload: "mutex", trouble: "stop the leader|kill the leader",
			Change: overlay.Change{
				File: "cluster/clock.go", Old: "return reignClock{time: base,", New: "return reignClock{time: base.Add(1e9),",
			},
		},
	}
}

// clientsPlanted concern what is between an application and the nodes.
func clientsPlanted() []planted {
	return []planted{
		{
			name: "a read over gRPC may be stale though nobody said so", workload: "mutex",
			Change: overlay.Change{File: "transport/rpc/view.go", Old: "Stale: r.GetStale(),", New: "Stale: true || r.GetStale(),"},
		},
		{
			name: "what may have been done is told to have failed", workload: "mutex", patience: 5 * time.Millisecond, clients: true,
			Change: overlay.Change{File: "lockapi/remote/call.go", Old: "case maybe:", New: "case maybe && full != nil:"},
		},
		{
			name: "the engine never stops believing", workload: "engine", clients: true, paused: true,
			Change: overlay.Change{File: "lockapi/lapse.go", Old: "if s.held > 0 && now >= s.belief.sessionUntil() {", New: "if s.held < 0 {"},
		},
		{
			name: "a renewal counts from its answer", workload: "engine", clients: true, paused: true,
			Change: overlay.Change{File: "lockapi/renew.go", Old: "s.credit(sent, s.now(), r)", New: "s.credit(s.now(), s.now(), r)"},
		},
	}
}
