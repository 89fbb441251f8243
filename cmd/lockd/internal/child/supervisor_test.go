package child

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// supervised starts a command that nobody looks after but the test, with a pipe
// to read what it says, and one that ends its input when it is closed.
func supervised(t *testing.T, g *grant, script string) (*supervisor, *bufio.Scanner, *os.File) {
	t.Helper()
	input, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := shell(script)
	c.Files[0] = input
	out := reading(t, &c)
	none := &terminal{fd: -1}
	p, err := start(c, none)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
		<-p.ended
		p.reap()
		input.Close()
		end.Close()
	})
	return &supervisor{grant: g, grace: time.Minute, process: p, terminal: none, passed: map[unix.Signal]bool{}}, out, end
}

func awaitOver(t *testing.T, p *process) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("the command goes on")
	}
}

// A grant that is over when the command's end is noticed was perhaps over before:
// what it has left behind is not let go on.
func TestNothingIsLeftByALostCommand(t *testing.T) {
	for name, lose := range map[string]func(*grant){
		"lost": func(g *grant) { g.cancel() },
		"past": func(g *grant) { g.renew(-time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGrant(time.Hour)
			s, out, input := supervised(t, g, `trap '' TERM; sleep 60 >&- 2>&- <&- & echo $!; read word`)
			grandchild := line(t, out)
			input.Close()
			awaitOver(t, s.process)
			lose(g)
			if ending := s.end(); !ending.Lost {
				t.Errorf("%+v", ending)
			}
			awaitDeath(t, grandchild)
		})
	}
}

// A command that was told to end is killed when it was to be, even if the grant
// is renewed after all.
func TestToldToEndIsNotToldOtherwise(t *testing.T) {
	g := newGrant(time.Hour)
	s, out, _ := supervised(t, g, `trap '' TERM; echo up; while :; do sleep 0.01; done`)
	line(t, out)
	g.renew(50 * time.Millisecond)
	s.look()
	if !s.ending {
		t.Fatal("it is not told to end")
	}
	told := g.ValidUntil()
	g.renew(time.Hour)
	time.Sleep(time.Until(told))
	s.look()
	awaitOver(t, s.process)
}

// A loss ends a command that was not told to end before, and ends the grace of
// one that was.
func TestLossEndsAtOnce(t *testing.T) {
	for _, told := range []bool{false, true} {
		g := newGrant(time.Hour)
		s, out, _ := supervised(t, g, `trap '' TERM; echo up; while :; do sleep 0.01; done`)
		line(t, out)
		if told {
			g.renew(30 * time.Second) // of a minute's grace
			s.look()
		}
		g.cancel()
		done := make(chan Ending, 1)
		go func() { done <- s.supervise() }()
		if ending := awaitEnd(t, done); ending != (Ending{Code: 137, Lost: true}) {
			t.Errorf("told %v: %+v", told, ending)
		}
	}
}

// Validity that ends earlier than it was said to, while the command is ending,
// ends the grace.
func TestKillMovesWithTheEnd(t *testing.T) {
	g := newGrant(time.Hour)
	s, out, _ := supervised(t, g, `trap '' TERM; echo up; while :; do sleep 0.01; done`)
	line(t, out)
	g.renew(30 * time.Second)
	s.look()
	g.renew(-time.Millisecond)
	s.look()
	awaitOver(t, s.process)
}

// refusing makes kill(2) answer as it does about a process of another user.
func refusing(int, unix.Signal) error { return unix.EPERM }

// What cannot be killed is told of, at once, and not waited for when the lock is
// lost.
func TestRefusedKill(t *testing.T) {
	g := newGrant(time.Hour)
	s, out, _ := supervised(t, g, `echo up; while :; do sleep 0.01; done`)
	line(t, out)
	var told []string
	s.warn = func(text string) { told = append(told, text) }
	s.process.send = refusing
	signals := make(chan os.Signal)
	s.signals = signals
	done := make(chan Ending, 1)
	go func() { done <- s.supervise() }()
	signals <- unix.SIGTERM
	signals <- unix.SIGHUP // when it is taken, the first was dealt with
	g.cancel()
	if ending := awaitEnd(t, done); ending != (Ending{Lost: true, Alive: true}) {
		t.Errorf("%+v", ending)
	}
	if len(told) != 1 || !strings.Contains(told[0], "SIGTERM") {
		t.Errorf("told %q", told)
	}
	s.process.send = unix.Kill
}

// A command that cannot be stopped is not left running by a runner that is.
func TestRefusedStop(t *testing.T) {
	s, out, _ := supervised(t, newGrant(time.Hour), `echo up; while :; do sleep 0.01; done`)
	line(t, out)
	s.process.send = refusing
	if s.process.freeze() {
		t.Error("it is taken for stopped")
	}
	s.process.send = unix.Kill
	if !s.process.freeze() {
		t.Error("it is not stopped")
	}
}

// A command that is continued while its grant is past does not run on: the look
// comes first.
func TestLookBeforeItGoesOn(t *testing.T) {
	g := newGrant(time.Hour)
	s, out, _ := supervised(t, g, `echo up; while :; do sleep 0.01; done`)
	line(t, out)
	if !s.process.freeze() {
		t.Fatal("not stopped")
	}
	g.renew(-time.Millisecond)
	var sent []unix.Signal
	s.process.send = func(pid int, sig unix.Signal) error {
		sent = append(sent, sig)
		return unix.Kill(pid, sig)
	}
	s.goOn()
	awaitOver(t, s.process)
	for _, sig := range sent {
		if sig != unix.SIGKILL {
			t.Errorf("sent %v", sent)
			break
		}
	}
}
