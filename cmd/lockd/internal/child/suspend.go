package child

import (
	"time"

	"golang.org/x/sys/unix"
)

// askPatience is for a command that puts the terminal in order before it stops.
const askPatience = 250 * time.Millisecond

// commandStopped is told that the command's leader was stopped.
func (s *supervisor) commandStopped(by unix.Signal) {
	at := s.terminal.foreground()
	ours := at == s.own || at == s.process.pid
	switch {
	case at == noGroup:
		// Nobody can type; whoever has stopped it continues it.
	case by == unix.SIGTTIN || by == unix.SIGTTOU:
		if !ours {
			s.suspend(by)
			return
		}
		s.terminal.hands = true // it may have it
		s.goOn()
	case by == unix.SIGTSTP && ours:
		s.suspend(by)
	default:
		// Somebody has sent it, and nobody knows when he will continue the
		// command: the runner must be awake then. The terminal is the runner's,
		// so that what is typed meanwhile is heard.
		s.terminal.takeBack(s.own, s.process.pid)
	}
}

// jobSignal is told what the runner's group was sent.
func (s *supervisor) jobSignal(sig unix.Signal) {
	switch {
	case sig == unix.SIGWINCH:
		s.signal(sig)
	case sig == unix.SIGCONT:
		s.goOn()
	case sig != unix.SIGTSTP && s.terminal.foreground() == s.process.pid:
		// Others of the group want the terminal, and it is the command's.
		s.terminal.hands = false
		s.terminal.takeBack(s.own, s.process.pid)
		signalOthers(s.own, unix.SIGCONT)
	default:
		s.askToStop()
		s.suspend(sig)
	}
}

// suspend stops the command and then the runner, by a signal that one of them
// got, so that the shell gets its prompt. It returns when they were continued.
// The session may expire meanwhile; that is found before the command goes on.
func (s *supervisor) suspend(by unix.Signal) {
	if s.process.over() {
		return
	}
	typed := s.terminal.foreground() == s.process.pid
	s.terminal.takeBack(s.own, s.process.pid)
	if s.lost() || !s.process.freeze() {
		s.goOn() // awake: it must be ended, or cannot be stopped
		return
	}
	if typed || by != unix.SIGTSTP {
		signalOthers(s.own, by) // the kernel has told the command's group alone
	}
	byDefault(by)
	for len(s.job) > 0 {
		<-s.job // a continue undoes the stops before it
	}
	s.goOn()
}

// askToStop gives the command the time to put things in order.
func (s *supervisor) askToStop() {
	s.signal(unix.SIGTSTP)
	select {
	case <-s.process.stopped:
	case <-s.process.ended:
	case <-time.After(min(askPatience, time.Until(s.grant.ValidUntil()))):
	}
}

// goOn lets the command run on, in the foreground if that is the runner's, but
// not before a look at the grant.
func (s *supervisor) goOn() {
	s.look()
	if s.killed() {
		return
	}
	if s.terminal.hands {
		s.terminal.hand(s.own, s.process.pid)
	}
	s.process.thaw()
}

// reclaim gives the terminal back to the runner when the command is over.
func (s *supervisor) reclaim() {
	s.process.bury()
	s.terminal.takeBack(s.own, s.process.pid)
}
