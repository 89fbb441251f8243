package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// told is one answer that a caller got.
type told struct {
	result fsm.Result
	err    error
}

// A listener counts its answers.
type listener struct{ all []told }

func (l *listener) answer(r fsm.Result, err error) { l.all = append(l.all, told{r, err}) }

// A sink is a sender that keeps what it is given.
type sink struct {
	sent []fsm.Key
	deaf bool
}

func (s *sink) put(_ fsm.Op, _ fsm.SessionID, raw []byte) bool {
	var c fsm.Command
	if _, err := fsm.DecodeCommand(raw, &c); err != nil {
		panic(err)
	}
	s.sent = append(s.sent, c.Key())
	return !s.deaf
}

func release(session fsm.SessionID, seq fsm.Seq) *fsm.Command {
	return &fsm.Command{Op: fsm.OpRelease, Session: session, Incarnation: 1, Seq: seq, Grant: fsm.GrantID(seq)}
}

func answerTo(c *fsm.Command, r fsm.Result) fsm.Outcome {
	return fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: c.Key(), Result: r}
}

// A bench is pendings with a clock of its own.
type bench struct {
	*pendings
	t  *testing.T
	at time.Duration
	to answers
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t}
	b.pendings = newPendings(func() time.Duration { return b.at })
	return b
}

func (b *bench) ask(c *fsm.Command) (*listener, wait) {
	b.t.Helper()
	l := &listener{}
	at, err := b.submit(c, nil, l.answer)
	if err != nil {
		b.t.Fatal(err)
	}
	return l, at
}

// leader and apply bring one command's result from where they say: of the
// entry that the result names, and at its first place.
func (b *bench) leader(c *fsm.Command, r fsm.Result) { b.leaderAt(r.Index, 0, c, r) }

func (b *bench) apply(c *fsm.Command, r fsm.Result) error { return b.applyAt(r.Index, 0, c, r) }

func (b *bench) leaderAt(at fsm.Index, pos int, c *fsm.Command, r fsm.Result) {
	o := answerTo(c, r)
	o.Pos = pos
	b.fromLeader([]fsm.Outcome{o}, []tag{{sumOf(c), at}}, &b.to)
	b.to.tell()
}

func (b *bench) applyAt(at fsm.Index, pos int, c *fsm.Command, r fsm.Result) error {
	o := answerTo(c, r)
	o.Pos = pos
	commands := make([]fsm.Command, pos+1)
	commands[pos] = *c
	err := b.fromApply(at, []fsm.Outcome{o}, commands, func() *fsm.View { return fsm.New().View() }, &b.to)
	b.to.tell()
	return err
}

func (b *bench) want(l *listener, results ...fsm.Result) {
	b.t.Helper()
	if len(l.all) != len(results) {
		b.t.Fatalf("%d answers, want %d: %+v", len(l.all), len(results), l.all)
	}
	for i := range results {
		if l.all[i].err != nil || l.all[i].result != results[i] {
			b.t.Fatalf("answer %d is %+v, want %+v", i, l.all[i], results[i])
		}
	}
}

// The leader's outcome is the answer, without the own apply; which must agree.
func TestLeaderAnswersFirst(t *testing.T) {
	b, c := newBench(t), release(1, 1)
	ok := fsm.Result{Status: fsm.StatusOK, Index: 7, Order: 1}
	l, _ := b.ask(c)
	b.leader(c, ok)
	b.want(l, ok)
	b.leader(c, ok) // said twice
	if err := b.apply(c, ok); err != nil {
		t.Fatal(err)
	}
	b.want(l, ok)
	if len(b.byKey) != 0 {
		t.Error("the pending is kept after both agreed")
	}
}

func TestOwnApplyAnswersFirst(t *testing.T) {
	b, c := newBench(t), release(1, 1)
	ok := fsm.Result{Status: fsm.StatusOK, Index: 7, Order: 1}
	l, _ := b.ask(c)
	if err := b.apply(c, ok); err != nil {
		t.Fatal(err)
	}
	b.leader(c, ok)
	b.want(l, ok)
}

func TestLeaderAndOwnApplyDiffer(t *testing.T) {
	b, c := newBench(t), release(1, 1)
	b.ask(c)
	b.leader(c, fsm.Result{Status: fsm.StatusOK, Index: 7, Order: 1})
	err := b.apply(c, fsm.Result{Status: fsm.StatusNotHeld, Index: 7, Order: 1})
	if !errors.Is(err, ErrDiverged) {
		t.Fatalf("got %v, want ErrDiverged", err)
	}
}

// Two entries may hold one renewal: results of different entries may differ.
func TestResultsOfDifferentEntriesAreNotCompared(t *testing.T) {
	b := newBench(t)
	c := renewal(1, 4)
	l, _ := b.ask(c)
	second := fsm.Result{Status: fsm.StatusOK, Index: 9, At: 90, Order: 1}
	b.leader(c, second)
	if err := b.apply(c, fsm.Result{Status: fsm.StatusOK, Index: 8, At: 80, Order: 1}); err != nil {
		t.Fatal(err)
	}
	b.want(l, second)
	if len(b.byKey) != 1 {
		t.Fatal("forgotten before the entry that the leader spoke of was applied")
	}
	if err := b.apply(c, second); err != nil || len(b.byKey) != 0 {
		t.Fatalf("err %v, %d kept", err, len(b.byKey))
	}
}

// Copies of one command, in two places of an entry and in two entries. A repeat
// names the entry of the first answer and is not quite equal to it.
func TestCopiesAreNoDivergence(t *testing.T) {
	c := release(1, 1)
	first := fsm.Result{Status: fsm.StatusQueued, Index: 25, Order: 1, Place: 2}
	repeat := first
	repeat.Order, repeat.Place = 0, 1
	for name, leader := range map[string]struct {
		at  fsm.Index
		pos int
	}{"in one entry": {25, 7}, "in two entries": {26, 0}} {
		b := newBench(t)
		l, _ := b.ask(c)
		b.leaderAt(leader.at, leader.pos, c, repeat)
		b.want(l, repeat)
		if err := b.applyAt(25, 0, c, first); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := b.applyAt(leader.at, leader.pos, c, repeat); err != nil || len(b.byKey) != 0 {
			t.Fatalf("%s: %v, %d kept", name, err, len(b.byKey))
		}
	}
}

// The leader answers what was asked again after the own apply went by.
func TestLeaderAnswersWhatIsApplied(t *testing.T) {
	b, c := newBench(t), release(1, 1)
	ok := fsm.Result{Status: fsm.StatusOK, Index: 7, Order: 1}
	if err := b.apply(c, ok); err != nil {
		t.Fatal(err)
	}
	l, _ := b.ask(c)
	b.leader(c, ok)
	b.want(l, ok)
	if len(b.byKey) != 0 {
		t.Error("waits for an apply that was")
	}
}

func TestSeveralCallersOfOneCommand(t *testing.T) {
	b, c, s := newBench(t), release(1, 1), &sink{}
	b.reroute(s)
	first, _ := b.ask(c)
	second, at := b.ask(release(1, 1))
	third, _ := b.ask(release(1, 1))
	if len(s.sent) != 3 {
		t.Errorf("sent %d times; a caller who doubts the path has it sent again", len(s.sent))
	}
	if sent, withdrawn := b.withdraw(at); !sent || !withdrawn {
		t.Error("the second caller could not leave")
	}
	ok := fsm.Result{Status: fsm.StatusOK, Index: 2}
	b.leader(c, ok)
	b.want(first, ok)
	b.want(second)
	b.want(third, ok)
	if _, withdrawn := b.withdraw(at); withdrawn {
		t.Error("left twice")
	}
}

// What a caller says about earlier answers may move on; the command may not.
func TestOneNumberTwoCommands(t *testing.T) {
	b := newBench(t)
	b.ask(release(1, 5))
	again := release(1, 5)
	again.Mark, again.Seen = 3, 2
	b.ask(again)
	other := release(1, 5)
	other.Grant = 99
	l := &listener{}
	if _, err := b.submit(other, nil, l.answer); !errors.Is(err, lockapi.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if len(l.all) != 0 {
		t.Error("refused and answered")
	}
}

func TestWithdrawnCommandIsNotSentAgain(t *testing.T) {
	b, s := newBench(t), &sink{}
	l, at := b.ask(release(1, 1))
	if sent, withdrawn := b.withdraw(at); sent || !withdrawn {
		t.Errorf("sent %v, withdrawn %v: nobody led", sent, withdrawn)
	}
	b.reroute(s)
	if len(s.sent) != 0 || len(l.all) != 0 {
		t.Error("sent or answered after it was withdrawn")
	}
}

// A new route sends everything again.
func TestRerouteSendsEverythingAgain(t *testing.T) {
	b, first, second := newBench(t), &sink{}, &sink{}
	b.ask(release(1, 1)) // nobody leads
	b.reroute(first)
	b.ask(release(1, 2))
	answered := release(1, 3)
	b.ask(answered)
	b.leader(answered, fsm.Result{Status: fsm.StatusOK, Index: 1})
	b.reroute(nil)
	b.ask(release(1, 4))
	b.reroute(second)
	if len(first.sent) != 3 {
		t.Errorf("the first leader got %v", first.sent)
	}
	if len(second.sent) != 3 {
		t.Errorf("the second leader got %v; want 1, 2 and 4", second.sent)
	}
}

// What is without progress for a second is sent again, with more patience
// each time.
func TestResendWithoutProgress(t *testing.T) {
	b, s := newBench(t), &sink{}
	b.reroute(s)
	b.ask(release(1, 1))
	var at []time.Duration
	for ; b.at < 20*time.Second; b.at += 250 * time.Millisecond {
		if b.resend(bySilence) > 0 {
			at = append(at, b.at)
		}
	}
	want := []time.Duration{1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}
	if len(at) != len(want) {
		t.Fatalf("sent again at %v, want %v", at, want)
	}
	for i := range want {
		if at[i] != want[i] {
			t.Fatalf("sent again at %v, want %v", at, want)
		}
	}
}

// A leader that answers others is slow rather than deaf: twice the patience.
func TestResendWhileOthersAreAnswered(t *testing.T) {
	b, s := newBench(t), &sink{}
	b.reroute(s)
	b.ask(release(1, 1))
	seq := fsm.Seq(2)
	for ; b.at < 10*time.Second && len(s.sent) < int(seq); b.at += 250 * time.Millisecond {
		c := release(1, seq)
		b.ask(c)
		b.leader(c, fsm.Result{Status: fsm.StatusOK, Index: 1})
		seq++
		b.resend(bySilence)
	}
	if b.at < 2*time.Second || b.at > 3*time.Second {
		t.Errorf("sent again at %v, want 2 s", b.at)
	}
}

func TestRefusalBeforeTheLogIsFinal(t *testing.T) {
	b, c := newBench(t), release(1, 1)
	l, _ := b.ask(c)
	no := fsm.Result{Status: fsm.StatusLevel}
	b.leader(c, no)
	b.want(l, no)
	if len(b.byKey) != 0 {
		t.Error("waits for an apply that never comes")
	}
}

// A read waits for the own apply, whatever the leader says, and gets the state.
func TestReadWaitsForOwnApply(t *testing.T) {
	b, s := newBench(t), &sink{}
	b.reroute(s)
	c := &fsm.Command{Op: fsm.OpRead, Nonce: fsm.Nonce{Hi: 1, Lo: 2}}
	var view *fsm.View
	l := &listener{}
	if _, err := b.submit(c, &view, l.answer); err != nil {
		t.Fatal(err)
	}
	ok := fsm.Result{Status: fsm.StatusOK, Index: 3}
	b.leader(c, ok)
	b.want(l)
	b.at = time.Minute
	if n := b.resend(bySilence); n != 0 {
		t.Error("sent again though it is in the log")
	}
	if err := b.apply(c, ok); err != nil {
		t.Fatal(err)
	}
	b.want(l, ok)
	if view == nil {
		t.Error("no view")
	}
}

// After a snapshot, what it knows is answered and the rest sent again.
func TestAnswersFromSnapshot(t *testing.T) {
	b, s := newBench(t), &sink{}
	known, unknown, kept := release(1, 1), release(1, 2), release(1, 3)
	lk, _ := b.ask(known)
	lu, _ := b.ask(unknown)
	b.ask(kept)
	b.leader(kept, fsm.Result{Status: fsm.StatusOK, Index: 5})
	read := &fsm.Command{Op: fsm.OpRead, Nonce: fsm.Nonce{Hi: 1, Lo: 2}}
	var view *fsm.View
	lr := &listener{}
	if _, err := b.submit(read, &view, lr.answer); err != nil {
		t.Fatal(err)
	}
	b.leader(read, fsm.Result{Status: fsm.StatusOK, Index: 6})
	ok := fsm.Result{Status: fsm.StatusOK, Index: 4}
	b.fromSnapshot(9, func(k fsm.Key) (fsm.Outcome, fsm.Found) {
		if k == known.Key() {
			return answerTo(known, ok), fsm.Answered
		}
		return fsm.Outcome{}, fsm.NotFound
	}, &b.to)
	b.to.tell()
	b.want(lk, ok)
	b.want(lu)
	b.want(lr)
	b.reroute(s)
	if len(s.sent) != 2 {
		t.Errorf("sent %v; want the unknown one and the read", s.sent)
	}
	if b.byKey[kept.Key()] != nil {
		t.Error("an answer of before the snapshot is kept")
	}
}

// An unknown outcome is never reported as definite, nor a definite one as unknown.
func TestClosePendings(t *testing.T) {
	b := newBench(t)
	unsent, _ := b.ask(release(1, 1))
	b.reroute(&sink{deaf: true})
	b.reroute(nil)
	late, _ := b.ask(release(1, 2))
	why := errors.New("disk on fire")
	b.close(why)
	b.close(lockapi.ErrClosed)
	if len(unsent.all) != 1 || !errors.Is(unsent.all[0].err, lockapi.ErrUnknown) || !errors.Is(unsent.all[0].err, why) {
		t.Errorf("given to a sender: %+v, want ErrUnknown", unsent.all)
	}
	if len(late.all) != 1 || errors.Is(late.all[0].err, lockapi.ErrUnknown) || !errors.Is(late.all[0].err, lockapi.ErrUnavailable) {
		t.Errorf("never sent: %+v, want ErrUnavailable", late.all)
	}
	if _, err := b.submit(release(1, 3), nil, late.answer); !errors.Is(err, why) {
		t.Errorf("after the close: %v", err)
	}
}

func TestPendingsFull(t *testing.T) {
	b := newBench(t)
	for i := range pendingMax {
		b.byKey[fsm.Key{Seq: fsm.Seq(i)}] = nil
	}
	_, err := b.submit(release(1, 1), nil, func(fsm.Result, error) {})
	if !errors.Is(err, lockapi.ErrOverloaded) || errors.Is(err, lockapi.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestErrorsOfRaft(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("tired"))
	if err := errOutcomeUnknown(context.Cause(ctx)); !errors.Is(err, lockapi.ErrUnknown) {
		t.Error(err)
	}
	for _, tt := range fates {
		if got := fateOf(tt.err); got != tt.fate {
			t.Errorf("%v: fate %d, want %d", tt.err, got, tt.fate)
		}
	}
}

// Two commands under one number: none is given the other's answer, from
// wherever it comes and however late.
func TestAnswersOfAnotherCommandUnderTheSameNumber(t *testing.T) {
	b, first := newBench(t), release(1, 1)
	ok := fsm.Result{Status: fsm.StatusOK, Index: 7, Order: 1}
	l, _ := b.ask(first)
	b.leader(first, ok)
	b.want(l, ok)
	again, _ := b.ask(first)
	if err := b.apply(first, ok); err != nil {
		t.Fatal(err)
	}
	b.want(again, ok)
	other := release(1, 1)
	other.Grant = 99
	l, _ = b.ask(other)
	if err := b.apply(first, ok); err != nil { // its second sending
		t.Fatal(err)
	}
	b.leader(first, ok)
	b.want(l)
	reused := fsm.Result{Status: fsm.StatusSeqReused, Index: 9, Order: 1}
	b.leader(other, reused)
	b.want(l, reused)
	if err := b.apply(other, reused); err != nil || len(b.byKey) != 0 {
		t.Fatalf("%v, %d left", err, len(b.byKey))
	}
}

// A refusal for want of room is definite. It is not given for a command that a second
// caller has sent too, though that one has gone since: its copy may be in the inbox.
func TestWhatTwoHaveSentIsNotTakenBack(t *testing.T) {
	b, deaf := newBench(t), &sink{deaf: true}
	b.reroute(deaf)
	_, alone := b.ask(release(1, 1))
	if !b.retract(alone) {
		t.Fatal("a command that went nowhere stays")
	}
	_, first := b.ask(release(1, 2))
	deaf.deaf = false
	_, second := b.ask(release(1, 2))
	if _, withdrawn := b.withdraw(second); !withdrawn {
		t.Fatal("the second caller has not left")
	}
	if b.retract(first) {
		t.Fatal("taken back, and sent")
	}
}

// Whatever was given to a sender, at whichever moment, may have taken effect.
func TestWhatWasSentIsUnknown(t *testing.T) {
	why := errors.New("disk on fire")
	for what, send := range map[string]func(b *bench) []*listener{
		"at once": func(b *bench) []*listener {
			b.reroute(&sink{})
			l, _ := b.ask(release(1, 1))
			return []*listener{l}
		},
		"when somebody leads": func(b *bench) []*listener {
			l, _ := b.ask(release(1, 1))
			b.reroute(&sink{})
			return []*listener{l}
		},
		"by a second caller, just before the first one's is sent again": func(b *bench) []*listener {
			first, _ := b.ask(release(1, 1))
			b.route.Store(&route{&sink{}}) // as reroute does first
			second, _ := b.ask(release(1, 1))
			return []*listener{first, second}
		},
	} {
		b := newBench(t)
		asked := send(b)
		b.close(why)
		for i, l := range asked {
			if len(l.all) != 1 || !errors.Is(l.all[0].err, lockapi.ErrUnknown) {
				t.Errorf("%s, caller %d: %+v", what, i, l.all)
			}
		}
	}
}
