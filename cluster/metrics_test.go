package cluster

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

func TestHistogram(t *testing.T) {
	var h histogram
	for d, bucket := range map[time.Duration]int{
		0: 0, 250 * time.Microsecond: 0, 250*time.Microsecond + 1: 1, 500 * time.Microsecond: 1, 501 * time.Microsecond: 2,
		4096 * time.Millisecond: 14, 4096*time.Millisecond + 1: 15, time.Hour: 15,
	} {
		before := h.read()
		h.observe(d)
		after := h.read()
		if after.Buckets[bucket] != before.Buckets[bucket]+1 || after.Count() != before.Count()+1 || after.Sum != before.Sum+d {
			t.Errorf("%v went from %v to %v, want bucket %d", d, before, after, bucket)
		}
		if bound := after.Bound(bucket); bound != 0 && d > bound || bucket > 0 && d <= after.Bound(bucket-1) {
			t.Errorf("%v is not in the bucket up to %v", d, bound)
		}
	}
	if h.read().Bound(histogramBuckets) != 0 || h.read().Bound(-1) != 0 {
		t.Error("a bound of what has none")
	}
	(*histogram)(nil).observe(time.Second)
}

// Every field says under which name it is shown, and of which type it is.
func TestMetricsAreDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "metrics.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^lockd_[a-z_]+(\{[^}]+\})? \((counter|gauge|histogram)(, [^)]+)?\): `)
	fields := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "Metrics" {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			fields++
			if !form.MatchString(f.Doc.Text()) {
				t.Errorf("%s: %q", f.Names[0], f.Doc.Text())
			}
		}
		return false
	})
	if fields < 30 {
		t.Errorf("%d fields", fields)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader, follower := w.leader(), w.follower()
	holder, waiter, brief := w.open(leader, time.Minute), w.open(follower, time.Minute), w.open(leader, time.Second/2)
	before, beside := leader.Metrics(), follower.Metrics()
	if w.do(follower, holder.acquire("n", 0)).Status != fsm.StatusOK || w.do(leader, waiter.acquire("n", fsm.Forever)).Status != fsm.StatusQueued {
		t.Fatal("not held")
	}
	w.do(leader, waiter.acquire("n", fsm.Millisecond))
	short := waiter.acquire("m", 0)
	short.MaxHold = fsm.Millisecond
	w.do(follower, short)
	w.until("three ends", func() bool {
		m := leader.Metrics()
		return m.ExpiredSessions == before.ExpiredSessions+1 && m.ExpiredGrants == before.ExpiredGrants+1 && m.ExpiredWaits == before.ExpiredWaits+1
	})
	_ = brief
	m := leader.Metrics()
	if !m.Leader || !m.Ready || m.Term == 0 || m.LeaderChanges == 0 || m.Voters != 3 || m.Streams != 2 || m.GossipMembers != 0 {
		t.Errorf("the leader's: %+v", m)
	}
	if got := m.Commands[fsm.OpAcquire] - before.Commands[fsm.OpAcquire]; got != 4 {
		t.Errorf("%d acquires, want 4", got)
	}
	if got := m.Answers[fsm.StatusQueued] - before.Answers[fsm.StatusQueued]; got != 2 {
		t.Errorf("%d queued, want 2", got)
	}
	if m.Sessions != 2 || m.Grants != 1 || m.Waiters != 1 {
		t.Errorf("%d sessions, %d grants, %d waiters", m.Sessions, m.Grants, m.Waiters)
	}
	if m.Entries <= before.Entries || m.EntryBytes <= before.EntryBytes || m.Proposals.Count() <= before.Proposals.Count() ||
		m.LogWrites.Count() <= before.LogWrites.Count() || m.MachineTime <= before.MachineTime {
		t.Errorf("nothing moved: %+v", m)
	}
	w.until("the follower to apply it", func() bool { return follower.Metrics().AppliedIndex >= m.AppliedIndex })
	f := follower.Metrics()
	if f.Leader || f.Streams != 1 || f.Proposals.Count() != 0 || f.LogWrites.Count() <= beside.LogWrites.Count() ||
		f.Commands[fsm.OpAcquire] < m.Commands[fsm.OpAcquire] || f.Sessions != 2 || f.CommitIndex < f.AppliedIndex {
		t.Errorf("the follower's: %+v", f)
	}
	if err := leader.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if m := leader.Metrics(); m.SnapshotsTaken != 1 || m.ApplyPauseMax == 0 {
		t.Errorf("%d snapshots, a pause of %v", m.SnapshotsTaken, m.ApplyPauseMax)
	}
}
