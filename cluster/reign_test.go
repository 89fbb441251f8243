package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// A realm is a reign over a real machine, with a raft that commits what it is
// given, unless the gate says otherwise.
type realm struct {
	*reign
	t       *testing.T
	machine *machine
	failure error

	mu      sync.Mutex
	index   uint64
	term    uint64
	gate    func() error // called before each commit; an error is raft's
	entries []fsm.Entry  // committed
	over    chan error
}

func newTestMachine(fail func(error), failed func() bool) *machine {
	cfg := (Config{}).withDefaults()
	return newMachine(newPendings(func() time.Duration { return 0 }), newSubscriptions(), fail, failed, &cfg)
}

func newRealm(t *testing.T, now func() time.Duration) *realm {
	r := &realm{t: t, term: 3, over: make(chan error, 1), gate: func() error { return nil }}
	r.machine = newTestMachine(func(err error) { r.failure = err }, func() bool { return false })
	r.reign = newReign(r.machine, r.commitEntry, now, 700*time.Millisecond,
		func(err error) { r.failure = err }, slog.New(slog.DiscardHandler))
	return r
}

func (r *realm) commitEntry(b []byte) (*applied, error) {
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	if err := gate(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var e fsm.Entry
	if err := fsm.DecodeEntry(b, &e); err != nil {
		return nil, err
	}
	r.entries = append(r.entries, e)
	r.index++
	switch out := r.machine.Apply(&raft.Log{Index: r.index, Term: r.term, Data: b}).(type) {
	case *applied:
		return out, nil
	case error:
		return nil, out
	}
	return nil, errors.New("nothing came of it")
}

func (r *realm) start() { go func() { r.over <- r.run() }() }

func (r *realm) end() error {
	close(r.stop)
	return <-r.over
}

func (r *realm) setGate(gate func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = gate
}

func (r *realm) committed() []fsm.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entries
}

// openSessions proposes n Opens and waits until they are applied.
func (r *realm) openSessions(n int, ttl fsm.Duration) {
	r.t.Helper()
	for i := range n {
		r.inbox.putCommand(&fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: uint64(i)}, TTL: ttl})
	}
	synctest.Wait()
}

func (r *realm) living(id fsm.SessionID) bool {
	_, ended := r.machine.undelivered(id)
	return !ended
}

// since is a clock that starts at some time of a bubble.
func since() func() time.Duration {
	born := time.Now()
	return func() time.Duration { return time.Since(born) }
}

func TestReignTakesOverBeforeItStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.inbox.putCommand(release(1, 1))
		r.start()
		synctest.Wait()
		if err := r.end(); !errors.Is(err, errDeposed) {
			t.Error(err)
		}
		got := r.committed()
		if len(got) != 2 || got[0].Commands[0].Op != fsm.OpTakeover || got[0].Term != 0 || got[0].Now != 0 {
			t.Fatalf("entries %+v; want a takeover without a stamp first", got)
		}
		if got[1].Term != 3 || got[1].Commands[0].Op != fsm.OpRelease || got[1].Check.Index != 1 {
			t.Errorf("then %+v; want the release, of term 3, with the chain at 1", got[1])
		}
	})
}

// What comes in while an entry is under way is the next entry.
func TestReignPacksWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		synctest.Wait()
		hold := make(chan struct{})
		r.setGate(func() error { <-hold; return nil })
		for i := range 1000 {
			r.inbox.putCommand(release(1, fsm.Seq(i+1)))
			if i == 0 {
				synctest.Wait()
			}
		}
		close(hold)
		synctest.Wait()
		r.end()
		got := r.committed()
		if len(got) != 3 || len(got[1].Commands) != 1 || len(got[2].Commands) != 999 {
			t.Fatalf("%d entries; want takeover, 1 and 999 commands", len(got))
		}
	})
}

func TestEntriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		name := strings.Repeat("n", fsm.NameSizeMax)
		n := 2 * fsm.EntrySizeMax / fsm.NameSizeMax
		for i := range n {
			r.inbox.putCommand(&fsm.Command{
				Op: fsm.OpAcquire, Session: 1, Incarnation: 1, Seq: fsm.Seq(i + 1),
				Wants: []fsm.Want{{Name: name, Kind: fsm.KindLock, Mode: fsm.Exclusive}},
			})
		}
		for i := range fsm.CommandsMax + 1 {
			r.inbox.putCommand(renewal(1, fsm.Seq(i)))
		}
		r.start()
		synctest.Wait()
		r.end()
		seen := 0
		for _, e := range r.committed()[1:] {
			size := 0
			for i := range e.Commands {
				size += len(fsm.AppendCommand(nil, &e.Commands[i]))
			}
			if size > fsm.EntrySizeMax || len(e.Commands) > fsm.CommandsMax {
				t.Errorf("an entry of %d bytes, %d commands", size, len(e.Commands))
			}
			seen += len(e.Commands)
		}
		if want := n + fsm.CommandsMax + 1; seen != want {
			t.Errorf("%d commands committed, want %d", seen, want)
		}
	})
}

// T2: a renewal that waits for company is stamped when it leaves, not when it
// came: its session has its whole TTL from then.
func TestStampIsReadLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		r.openSessions(1, 10*fsm.Second)
		origin := r.machine.known().now
		begun := time.Now()
		time.Sleep(time.Second + lookEvery/2) // so that no look of the ticker comes when the entry leaves
		sent := time.Since(begun)
		r.inbox.putCommand(renewal(1, 1))
		time.Sleep(gatherMax)
		synctest.Wait()
		r.end()
		if at := time.Duration(r.machine.known().now.Sub(origin)); at < sent+gatherMax {
			t.Errorf("renewed at %v, though the entry left at %v", at, sent+gatherMax)
		}
	})
}

// T3: an entry that was stamped in one term and is committed in another runs
// its commands and moves no time.
func TestEntryOfAnOlderReignMovesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		r.openSessions(1, 10*fsm.Second)
		hold := make(chan struct{})
		r.setGate(func() error { <-hold; return nil })
		time.Sleep(3 * time.Hour / 100)
		r.inbox.putCommand(&fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 9}, TTL: fsm.Second})
		synctest.Wait() // stamped, and not yet with raft
		r.mu.Lock()
		r.term = 5 // another leader came and went; this node leads again
		r.mu.Unlock()
		before := r.machine.known().now
		close(hold)
		synctest.Wait()
		if now := r.machine.known().now; now != before {
			t.Errorf("time moved by %v", time.Duration(now.Sub(before)))
		}
		if !r.living(1) || !r.living(2) {
			t.Error("the command did not run, or somebody died of it")
		}
		r.end()
	})
}

// T4: the log stalls for 6 s and the renewals of sessions with a TTL of 5 s
// pile up behind it. All live, and the stall is not counted.
func TestSessionsSurviveAStalledLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		r.openSessions(100, 5*fsm.Second)
		before := r.machine.known().now
		hold := make(chan struct{})
		r.setGate(func() error { <-hold; return nil })
		r.inbox.putCommand(release(1, 1))
		synctest.Wait()
		time.Sleep(6 * time.Second)
		for i := range 50 {
			r.inbox.putCommand(renewal(fsm.SessionID(i+1), 1))
		}
		close(hold)
		time.Sleep(time.Second)
		synctest.Wait()
		for i := range 100 {
			if !r.living(fsm.SessionID(i + 1)) {
				t.Fatalf("session %d died of the stall", i+1)
			}
		}
		if passed := time.Duration(r.machine.known().now.Sub(before)); passed > 2*time.Second {
			t.Errorf("%v counted of a stall of 6 s", passed)
		}
		if r.uncounted() < 5*time.Second {
			t.Errorf("only %v uncounted", r.uncounted())
		}
		r.end()
	})
}

// T5: the process is stopped for 9 s. The proposer notices by itself, even if
// it runs before any tick.
func TestSessionsSurviveAStoppedLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped time.Duration
		born := time.Now()
		r := newRealm(t, func() time.Duration { return time.Since(born) + stopped })
		r.start()
		r.openSessions(10, fsm.Second)
		r.clockMu.Lock() // nobody looks meanwhile
		stopped = 9 * time.Second
		r.clockMu.Unlock()
		r.inbox.putCommand(release(1, 1))
		synctest.Wait()
		for i := range 10 {
			if !r.living(fsm.SessionID(i + 1)) {
				t.Fatalf("session %d died of the pause", i+1)
			}
		}
		r.end()
	})
}

// A deadline is met with nobody asking for anything, by entries without
// commands, not more often than every 20 ms.
func TestReignExpiresWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		for i := range 40 {
			r.inbox.putCommand(&fsm.Command{
				Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: uint64(i)}, TTL: fsm.Second + fsm.Duration(i)*fsm.Millisecond,
			})
		}
		synctest.Wait()
		before := len(r.committed())
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		if n := len(r.committed()); n != before {
			t.Errorf("%d entries while nothing was due", n-before)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		for i := range 40 {
			if r.living(fsm.SessionID(i + 1)) {
				t.Fatalf("session %d outlived its TTL", i+1)
			}
		}
		if n := len(r.committed()) - before; n == 0 || n > 4 {
			t.Errorf("%d entries for 40 deadlines within 40 ms, want 2 to 4", n)
		}
		r.end()
	})
}

func TestDeposedReignProposesNothingMore(t *testing.T) {
	for _, lost := range []error{raft.ErrLeadershipLost, raft.ErrNotLeader, raft.ErrRaftShutdown, errors.New("disk")} {
		t.Run(lost.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRealm(t, since())
				r.start()
				synctest.Wait()
				calls := 0
				r.setGate(func() error { calls++; return lost })
				r.inbox.putCommand(release(1, 1))
				if err := <-r.over; !errors.Is(err, lost) {
					t.Errorf("ended with %v", err)
				}
				if calls != 1 || r.machine.reigning.Load() {
					t.Errorf("%d proposals, reigning %v", calls, r.machine.reigning.Load())
				}
			})
		})
	}
}

// A transfer of the leadership that comes to nothing refuses for a while.
func TestRefusedEntryIsStampedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		r.openSessions(1, 10*fsm.Second)
		before := r.machine.known().now
		left := 5
		r.setGate(func() error {
			if left--; left >= 0 {
				return raft.ErrLeadershipTransferInProgress
			}
			return nil
		})
		r.inbox.putCommand(release(1, 1))
		time.Sleep(time.Second)
		synctest.Wait()
		if passed := time.Duration(r.machine.known().now.Sub(before)); passed < 5*retryAfter {
			t.Errorf("stamped %v after the last entry; it left after 5 refusals", passed)
		}
		r.end()
	})
}

func TestReignThatIsRefusedForEverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.setGate(func() error { return raft.ErrLeadershipTransferInProgress })
		r.start()
		if err := <-r.over; !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			t.Error(err)
		}
		if !errors.Is(r.failure, ErrStuck) {
			t.Errorf("failed with %v", r.failure)
		}
	})
}

func TestReignStopsWhileItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.setGate(func() error { return raft.ErrLeadershipTransferInProgress })
		r.start()
		time.Sleep(100 * time.Millisecond)
		if err := r.end(); !errors.Is(err, errDeposed) {
			t.Error(err)
		}
		again := newRealm(t, since())
		close(again.stop)
		if err := again.run(); !errors.Is(err, errDeposed) || len(again.committed()) != 0 {
			t.Errorf("a reign that was over before it began: %v", err)
		}
	})
}

// Outcomes go to the stream that the command came on; events to the one on
// which their session was last heard.
func TestOutcomesFindTheirNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		r.openSessions(2, 10*fsm.Second)
		a, heardA := testStream(t, r.now)
		b, heardB := testStream(t, r.now)
		acquire := func(id fsm.SessionID, seq fsm.Seq) fsm.Command {
			return fsm.Command{
				Op: fsm.OpAcquire, Session: id, Incarnation: 1, Seq: seq, Wait: fsm.Forever,
				Wants: []fsm.Want{{Name: "n", Kind: fsm.KindLock, Mode: fsm.Exclusive}},
			}
		}
		r.inbox.putAll(a, []fsm.Command{acquire(1, 1)})
		r.inbox.putAll(b, []fsm.Command{acquire(2, 1)})
		synctest.Wait()
		first := heardA()
		if len(first) != 1 || first[0].Result.Status != fsm.StatusOK {
			t.Fatalf("a heard %+v", first)
		}
		if got := heardB(); len(got) != 1 || got[0].Result.Status != fsm.StatusQueued {
			t.Fatalf("b heard %+v", got)
		}
		release := fsm.Command{Op: fsm.OpRelease, Session: 1, Incarnation: 1, Seq: 2, Grant: first[0].Result.Grant}
		r.inbox.putAll(a, []fsm.Command{release})
		synctest.Wait()
		if got := heardA(); len(got) != 2 || got[1].Key != release.Key() {
			t.Errorf("a heard %+v", got)
		}
		if got := heardB(); len(got) != 2 || got[1].Kind != fsm.OutcomeGranted || got[1].Event != 1 {
			t.Errorf("b heard %+v; want its grant", got)
		}
		// Session 2 moves to a; b's node is gone.
		b.close()
		r.inbox.putAll(a, []fsm.Command{*renewal(2, 1)})
		time.Sleep(gatherMax)
		synctest.Wait()
		if got := heardA(); len(got) != 4 || got[3].Event != 1 {
			t.Errorf("a heard %+v; want the renewal's answer and the event again", got)
		}
		// It ends by itself, and nothing is kept of it.
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := heardA(); len(got) != 6 || got[4].Kind != fsm.OutcomeEnded {
			t.Errorf("a heard %+v; want both ends", got)
		}
		r.end()
		if len(r.serving) != 0 {
			t.Errorf("%d sessions remembered", len(r.serving))
		}
		a.close()
		synctest.Wait()
	})
}

// testStream is a stream whose other end decodes outcomes.
func testStream(t *testing.T, now func() time.Duration) (*stream, func() []fsm.Outcome) {
	here, there := net.Pipe()
	s := newStream(&transport.Conn{Conn: here}, now)
	go s.write()
	var (
		mu  sync.Mutex
		all []fsm.Outcome
	)
	go func() {
		defer there.Close()
		r := transport.NewFrameReader(there)
		for {
			kind, body, err := r.Read()
			if err != nil {
				return
			}
			for kind == frameOutcomes && len(body) > 0 {
				var o fsm.Outcome
				if body, _, err = takeOutcome(body, &o); err != nil {
					panic(fmt.Sprintf("outcome: %v", err))
				}
				mu.Lock()
				all = append(all, o)
				mu.Unlock()
			}
		}
	}()
	return s, func() []fsm.Outcome {
		mu.Lock()
		defer mu.Unlock()
		return append([]fsm.Outcome(nil), all...)
	}
}

// A read of another node is followed by an entry, which tells that node that
// the read is committed; this node's own read is not.
func TestReadOfAnotherNodeIsFollowedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		synctest.Wait()
		s, _ := testStream(t, r.now)
		read := fsm.Command{Op: fsm.OpRead, Nonce: fsm.Nonce{Hi: 1}}
		r.inbox.putCommand(&read)
		synctest.Wait()
		if n := len(r.committed()); n != 2 {
			t.Errorf("%d entries, want takeover and read", n)
		}
		r.inbox.putAll(s, []fsm.Command{read})
		synctest.Wait()
		got := r.committed()
		if len(got) != 4 || len(got[2].Commands) != 1 || len(got[3].Commands) != 0 {
			t.Errorf("entries %+v, want the read and an empty one", got[2:])
		}
		r.end()
		s.close()
		synctest.Wait()
	})
}
