package child

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lookMax is the longest time between two looks at the grant. Timers stand
// still while the machine sleeps, so that one alone would come too late.
const lookMax = 250 * time.Millisecond

// A supervisor stands between a grant and a process. One goroutine uses it.
type supervisor struct {
	grant    Grant
	grace    time.Duration
	warn     func(text string)
	process  *process
	terminal *terminal
	own      int // the runner's process group
	signals  <-chan os.Signal
	job      <-chan os.Signal

	ending  bool                 // SIGTERM is sent because the grant runs out
	killAt  time.Time            // once ending
	refused bool                 // something of the command could not be killed
	passed  map[unix.Signal]bool // what came and ends by default
	warned  bool                 // that signals are refused
}

func (s *supervisor) supervise() Ending {
	s.passed = map[unix.Signal]bool{}
	lost := s.grant.Context().Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !s.refused {
		select {
		case <-s.process.ended:
			return s.end()
		case sig := <-s.signals:
			s.pass(sig.(unix.Signal))
		case sig := <-s.process.stopped:
			s.commandStopped(sig)
		case sig := <-s.job:
			s.jobSignal(sig.(unix.Signal))
		case <-lost:
			lost = nil
			s.kill()
		case <-timer.C:
			timer.Reset(s.look())
			s.process.bury()
		}
	}
	s.killAll()
	return Ending{Lost: true, Alive: true}
}

// pass hands a signal on to the command's group.
func (s *supervisor) pass(sig unix.Signal) {
	s.passed[sig] = true
	s.signal(sig)
	if tells(sig) {
		s.signal(unix.SIGCONT)
	}
}

// signal reaches the command's group, or says that it does not.
func (s *supervisor) signal(sig unix.Signal) {
	if err := s.process.signalGroup(sig); errors.Is(err, unix.EPERM) {
		s.tell(fmt.Sprintf("%s does not reach the command: %v (it runs as another user)", unix.SignalName(sig), err))
	}
}

// tell warns of the first of its kind: what is refused once is refused again.
func (s *supervisor) tell(text string) {
	if s.warn != nil && !s.warned {
		s.warned = true
		s.warn(text)
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
		s.signal(unix.SIGTERM)
		s.signal(unix.SIGCONT) // a stopped command could not end
	}
	return min(left, lookMax)
}

// kill leaves nobody of the command alive, if it is let. more tells that some
// have yet to die, or to be found.
func (s *supervisor) kill() (more bool) {
	s.ending = true
	s.killAt = time.Time{}
	left, refused := s.process.kill()
	s.refused = refused > 0
	return left > refused
}

// killed tells that the command is not to run on, whatever comes.
func (s *supervisor) killed() bool { return s.ending && s.killAt.IsZero() }

// lost tells whether the grant is not valid, or has run out so far that the
// command was told to end.
func (s *supervisor) lost() bool {
	return s.ending || s.grant.Context().Err() != nil || time.Until(s.grant.ValidUntil()) <= 0
}

// end judges the command's end at the time it is noticed: if the grant is not
// valid then, nobody can say what came first.
func (s *supervisor) end() Ending {
	status := s.process.status
	had := s.terminal.foreground() == s.process.pid
	byUser := len(s.passed) > 0 || status.Signaled() || had && status != 0
	if !s.lost() && byUser {
		s.clear()
	}
	ending := Ending{Code: exitCode(status), Lost: s.lost()}
	if ending.Lost {
		s.killAll()
		ending.Alive = s.refused
	}
	switch sig := status.Signal(); {
	case !status.Signaled():
	case s.passed[sig] && (sig == unix.SIGINT || sig == unix.SIGQUIT || sig == unix.SIGTERM):
		ending.Signal = sig
	case had && (sig == unix.SIGINT || sig == unix.SIGQUIT):
		ending.Signal, ending.Typed = sig, true
	}
	s.process.reap()
	return ending
}

// clearMin and clearMax are how often to see who is left.
const clearMin, clearMax = time.Millisecond, 20 * time.Millisecond

// clear ends what a command that was ended by a signal has left behind, while
// the grant is valid: whoever gets the lock next must not meet it. Who may not be
// killed is waited for.
func (s *supervisor) clear() {
	if s.process.terminate() == 0 {
		return
	}
	killAt := time.Now().Add(s.grace)
	for pause := clearMin; !s.lost(); pause = min(2*pause, clearMax) {
		select {
		case <-s.signals: // once more: at once
			killAt = time.Now()
		case <-time.After(pause):
		}
		if time.Now().Before(killAt) {
			if s.process.left() == 0 {
				return
			}
			continue
		}
		left, refused := s.process.kill()
		if left == 0 {
			return
		}
		if refused > 0 {
			s.tell("something of the command goes on, and may not be killed by this user: the lock is held until it has ended")
		}
	}
}

// killAll kills until nobody is left but who may not be killed.
func (s *supervisor) killAll() {
	for pause := clearMin; s.kill(); pause = min(2*pause, clearMax) {
		time.Sleep(pause)
	}
}
