// Package child runs a command for as long as a grant is valid, and not a
// moment longer than the system lets it.
//
// The command is the leader of a process group of its own. Signals that the
// runner is given go to that group, which has the terminal if the runner had
// it. The schedule of a loss, by the runner's own clock:
//
//	        grace
//	... ──┬────────┬─────────────┬──
//	  SIGTERM   SIGKILL       the system may expire the session
//	            ValidUntil    (the grant keeps a margin)
//
// A renewal moves the schedule, but only until SIGTERM is sent: a command
// that was told to end is not told otherwise. If at the first look (after the
// machine slept, say) validity is past, SIGKILL comes at once. If the runner
// dies, the kernel kills the command.
//
// What it never does: kill what left the process group, or kill the group of a
// command that ended by itself while the grant was valid. A runner that is
// itself stopped cannot kill anybody until it is continued; the token is for
// that, and for a grant that an operator took away.
package child

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Grant is what the command may run under. Its methods are called by one
// goroutine.
type Grant interface {
	// ValidUntil is the time by the local clock up to which nobody else can
	// hold the lock. Renewals move it.
	ValidUntil() time.Time
	// Context is cancelled when the grant is lost.
	Context() context.Context
}

// A Command is what to run and how to end it.
type Command struct {
	Path  string   // the executable
	Args  []string // with the name it is called by
	Env   []string
	Files [3]*os.File // its standard input, output and error

	// Grace is the time between SIGTERM and SIGKILL when the grant runs out.
	Grace time.Duration
	// Signals are forwarded to the command's group.
	Signals <-chan os.Signal
}

// An Ending tells how the command ended.
type Ending struct {
	// Code is the command's exit code, or 128+n if signal n killed it.
	Code int
	// Lost: the grant was lost or running out before the command had ended.
	Lost bool
}

// lookMax is the longest time between two looks at the grant. Timers stand
// still while the machine sleeps, so that one alone would come too late.
const lookMax = 250 * time.Millisecond

// Run starts the command and returns when it has ended. An error means that
// it did not start. Run may be called by one goroutine at a time: it changes
// what the process does about SIGTTOU and SIGCONT.
func Run(grant Grant, c Command) (Ending, error) {
	p, err := start(c)
	if err != nil {
		return Ending{}, err
	}
	s := &supervisor{grant: grant, grace: c.Grace, process: p, terminal: openTerminal(c.Files[0])}
	return s.supervise(c.Signals), nil
}

// A supervisor stands between a grant and a process. One goroutine uses it.
type supervisor struct {
	grant    Grant
	grace    time.Duration
	process  *process
	terminal *terminal // nil if the command has none

	ending bool      // SIGTERM is sent because the grant runs out
	killAt time.Time // once ending
}

func (s *supervisor) supervise(signals <-chan os.Signal) Ending {
	continued := make(chan os.Signal, 1)
	if s.terminal != nil {
		signal.Notify(continued, syscall.SIGCONT)
		defer signal.Stop(continued)
		defer s.terminal.takeBack(s.process.pid)
		s.terminal.hand(s.process.pid)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.process.ended:
			return s.end()
		case sig := <-signals:
			s.process.signalGroup(sig.(syscall.Signal))
		case sig := <-s.process.stopped:
			s.suspend(sig)
		case <-continued:
			s.look()
			s.resume()
		case <-s.grant.Context().Done():
			s.kill()
			<-s.process.ended
			return s.end()
		case <-timer.C:
			timer.Reset(s.look())
		}
	}
}

// look ends the command if it is time to, and says when to look again.
func (s *supervisor) look() time.Duration {
	until := s.grant.ValidUntil()
	if s.ending && s.killAt.Before(until) {
		until = s.killAt
	}
	left := time.Until(until)
	switch {
	case left <= 0:
		s.kill()
		return lookMax
	case left > s.grace:
		return min(left-s.grace, lookMax)
	case !s.ending:
		s.ending, s.killAt = true, until
		s.process.signalGroup(unix.SIGTERM)
		s.process.signalGroup(unix.SIGCONT) // a stopped command could not end
	}
	return min(left, lookMax)
}

// kill leaves nobody of the group alive.
func (s *supervisor) kill() {
	s.ending = true
	s.killAt = time.Time{}
	s.process.signalGroup(unix.SIGKILL)
}

// end judges the command's end at the time it is noticed: if the grant is not
// valid then, nobody can say what came first.
func (s *supervisor) end() Ending {
	lost := s.ending || s.grant.Context().Err() != nil || time.Until(s.grant.ValidUntil()) <= 0
	if lost {
		s.process.signalGroup(unix.SIGKILL) // what the command left behind
	}
	return Ending{Code: s.process.reap(), Lost: lost}
}

// suspend stops the runner's job because its command was stopped from the
// terminal, so that the shell gets the terminal back. The session may expire
// meanwhile; that is found when the job is continued.
func (s *supervisor) suspend(by unix.Signal) {
	if s.terminal == nil {
		return
	}
	if (by == unix.SIGTTIN || by == unix.SIGTTOU) && s.terminal.isAt(s.process.pid) {
		// It asked for the terminal before it was handed over.
		s.process.signalGroup(unix.SIGCONT)
		return
	}
	s.terminal.takeBack(s.process.pid)
	_ = unix.Kill(0, unix.SIGTSTP)
}

// resume continues the command after the runner was continued, in the
// foreground if the runner is there.
func (s *supervisor) resume() {
	s.terminal.hand(s.process.pid)
	s.process.signalGroup(unix.SIGCONT)
}
