package cluster

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A mill is a machine that latches as a node does.
type mill struct {
	*machine
	t       *testing.T
	failure error
	index   uint64
}

func newMill(t *testing.T) *mill {
	m := &mill{t: t}
	m.machine = newTestMachine(func(err error) { m.failure = err }, func() bool { return m.failure != nil })
	return m
}

func (m *mill) run(check fsm.Check, commands ...fsm.Command) any {
	body := fsm.AppendEntryHeader(nil)
	for i := range commands {
		body = fsm.AppendCommand(body, &commands[i])
	}
	m.index++
	return m.Apply(&raft.Log{Index: m.index, Term: 1, Data: fsm.SealEntry(body, 1, fsm.Instant(m.index), check, len(commands))})
}

func (m *mill) asks(c fsm.Command) *listener {
	l := &listener{}
	if _, err := m.pendings.submit(&c, nil, l.answer); err != nil {
		m.t.Fatal(err)
	}
	return l
}

func opening(n uint64) fsm.Command {
	return fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 7, Lo: n}, TTL: 10 * fsm.Second}
}

func TestMachineAnswersItsCallers(t *testing.T) {
	m := newMill(t)
	l := m.asks(opening(1))
	if out := m.run(fsm.Check{}, opening(1)); out != nil {
		t.Errorf("outcomes %v for nobody: this node does not reign", out)
	}
	if len(l.all) != 1 || l.all[0].result.Session != 1 {
		t.Errorf("%+v", l.all)
	}
	m.reigning.Store(true)
	out, ok := m.run(fsm.Check{}, opening(2), opening(3)).(*applied)
	if !ok || len(out.outcomes) != 2 || out.facts.applied != 2 || !out.facts.hasDue {
		t.Errorf("%+v", out)
	}
	kept := out.outcomes[1]
	m.run(fsm.Check{}, opening(4), opening(5))
	if out.outcomes[1] != kept {
		t.Error("outcomes changed with the next entry")
	}
}

// A caller whose answer comes from an entry at which the node fails is not told it.
func TestMachineThatFailsVouchesForNothing(t *testing.T) {
	m := newMill(t)
	m.run(fsm.Check{}, opening(1))
	good, bad := m.asks(opening(2)), m.asks(opening(3))
	lie := fsm.Result{Status: fsm.StatusOK, Index: 2, Order: 2, Session: 99}
	c := opening(3)
	lied := answerTo(&c, lie)
	lied.Pos = 1 // the second of the entry
	m.pendings.fromLeader([]fsm.Outcome{lied}, []tag{{sumOf(&c), 2}}, &answers{})
	m.run(fsm.Check{}, opening(2), opening(3))
	if !errors.Is(m.failure, ErrDiverged) {
		t.Fatalf("failed with %v", m.failure)
	}
	if len(good.all) != 1 || !errors.Is(good.all[0].err, lockapi.ErrUnknown) || good.all[0].result != (fsm.Result{}) {
		t.Errorf("%+v", good.all)
	}
	if len(bad.all) != 0 {
		t.Errorf("%+v", bad.all)
	}
	before := m.known()
	m.run(fsm.Check{}, opening(4))
	if m.known() != before {
		t.Error("went on after it failed")
	}
}

func TestMachineComparesTheChain(t *testing.T) {
	m := newMill(t)
	m.run(fsm.Check{}, opening(1))
	right := m.known().chain
	m.run(right, opening(2))
	m.run(right, opening(3)) // an older entry is checked too
	m.run(fsm.Check{Index: 1 << 30, Hash: 1})
	if m.failure != nil {
		t.Fatal(m.failure)
	}
	right.Hash++
	m.run(right, opening(4))
	if !errors.Is(m.failure, ErrDiverged) {
		t.Errorf("failed with %v", m.failure)
	}
	if now := m.known().applied; now != 4 {
		t.Errorf("applied %d; the proposer disagreed about what was before it", now)
	}
}

// discard is a raft.SnapshotSink over memory.
type discard struct {
	bytes.Buffer
	err      error
	canceled bool
}

func (d *discard) Write(b []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	return d.Buffer.Write(b)
}
func (d *discard) writeLabel() error {
	_, err := d.Write(snapshotLabel(1, 1, 1, raft.Configuration{}, 1))
	return err
}
func (d *discard) ID() string    { return "test" }
func (d *discard) Cancel() error { d.canceled = true; return nil }
func (d *discard) Close() error  { return nil }

func TestMachineSnapshots(t *testing.T) {
	m := newMill(t)
	m.snapshotBytes = 300
	for i := range 10 {
		m.run(fsm.Check{}, opening(uint64(i)))
	}
	select {
	case <-m.large:
	default:
		t.Error("no snapshot asked for")
	}
	frozen, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	want := m.known()
	m.run(fsm.Check{}, opening(99)) // after the freeze
	var sink discard
	if err := frozen.Persist(&sink); err != nil {
		t.Fatal(err)
	}
	frozen.Release()
	other := newMill(t)
	if err := other.Restore(io.NopCloser(&sink.Buffer)); err != nil {
		t.Fatal(err)
	}
	if got := other.known(); got != want {
		t.Errorf("restored %+v, want %+v", got, want)
	}
	full := discard{err: errors.New("no space left on device")}
	if err := frozen.Persist(&full); err == nil || !full.canceled {
		t.Errorf("%v, canceled %v", err, full.canceled)
	}
}

// Whoever compares journals sees every state that a node came to, the one that a
// snapshot brought included.
func TestMachineKeepsAJournal(t *testing.T) {
	var journal, others []fsm.Check
	m, other := newMill(t), newMill(t)
	m.journal = func(c fsm.Check) { journal = append(journal, c) }
	other.journal = func(c fsm.Check) { others = append(others, c) }
	for i := range 3 {
		m.run(fsm.Check{}, opening(uint64(i)))
		if got, want := journal[i:], []fsm.Check{m.known().chain}; !slices.Equal(got, want) {
			t.Errorf("after entry %d: %v, want %v", i+1, got, want)
		}
	}
	var sink discard
	if frozen, err := m.Snapshot(); err != nil {
		t.Fatal(err)
	} else if err := frozen.Persist(&sink); err != nil {
		t.Fatal(err)
	}
	if err := other.Restore(io.NopCloser(&sink.Buffer)); err != nil {
		t.Fatal(err)
	}
	if want := journal[2:]; !slices.Equal(others, want) {
		t.Errorf("after the snapshot: %v, want %v", others, want)
	}
}

func TestMachineRefusesADamagedSnapshot(t *testing.T) {
	m := newMill(t)
	if err := m.Restore(io.NopCloser(bytes.NewReader([]byte("not a snapshot")))); !errors.Is(err, ErrCorrupt) || !errors.Is(m.failure, ErrCorrupt) {
		t.Errorf("%v, failed with %v", err, m.failure)
	}
}

// raft#697: a follower that installs one snapshot after the other and never
// gets an entry.
func TestMachineNoticesEndlessInstalls(t *testing.T) {
	var b discard
	if err := (frozen{fsm.New().View(), new(atomic.Uint64)}).Persist(&b); err != nil {
		t.Fatal(err)
	}
	m := newMill(t)
	for i := range installsMax {
		if err := m.Restore(io.NopCloser(bytes.NewReader(b.Bytes()))); err != nil {
			t.Fatalf("install %d: %v", i, err)
		}
	}
	m.run(fsm.Check{}, opening(1))
	for range installsMax {
		if err := m.Restore(io.NopCloser(bytes.NewReader(b.Bytes()))); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Restore(io.NopCloser(bytes.NewReader(b.Bytes()))); !errors.Is(err, ErrStuck) || !errors.Is(m.failure, ErrStuck) {
		t.Errorf("%v", err)
	}
}

func TestMachineKnowsTTLsAndMembers(t *testing.T) {
	m := newMill(t)
	member := fsm.Member{ID: "a", Instance: fsm.Nonce{Hi: 1}, Address: "a:1"}
	m.run(fsm.Check{}, opening(1), fsm.Command{Op: fsm.OpMember, Nonce: fsm.Nonce{Hi: 2}, Member: member})
	if got := m.company(1); got != 10*time.Second/gatherParts {
		t.Errorf("a session with a TTL of 10 s gathers %v", got)
	}
	if got := m.company(2); got != 0 {
		t.Errorf("no session gathers %v", got)
	}
	if got, ok := m.member("a"); !ok || got != member {
		t.Errorf("%+v", got)
	}
}
