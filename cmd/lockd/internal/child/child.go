package child

import (
	"context"
	"os"
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

	// Grace is the time between SIGTERM and SIGKILL when the grant runs out, or
	// when a signal has ended the command and something of it goes on.
	Grace time.Duration
	// Signals are passed on to the command's group. See Notify.
	Signals <-chan os.Signal
	// Warn is told at once what the user should know while the command runs;
	// nil tells nobody.
	Warn func(text string)
}

// An Ending tells how the command ended.
type Ending struct {
	// Code is the command's exit code, or 128+n if signal n killed it.
	Code int
	// Lost: the grant was lost or running out before the command had ended.
	Lost bool
	// Alive: the grant was lost, and something of the command may still run:
	// the kernel does not let this user kill it.
	Alive bool
	// Signal is SIGINT, SIGQUIT or SIGTERM if it came to the command's group and
	// ended the command. The runner should end by it too (EndBy): who started the
	// runner, a script in a loop say, judges by that whether to go on.
	Signal unix.Signal
	// Typed: Signal came from the terminal while that was the command's, so that
	// nobody in the runner's group has heard of it.
	Typed bool
}

// Run starts the command and returns when it has ended, and with it whatever
// must not outlive it. An error means that it did not start. Run may be called
// by one goroutine at a time, and whatever becomes a child of this process
// meanwhile is taken for the command's: Run changes what the process does about
// orphans, SIGWINCH, SIGCONT and the signals that stop.
func Run(grant Grant, c Command) (Ending, error) {
	t := openTerminal()
	defer t.close()
	adopt()
	own := unix.Getpgrp()
	t.hands = t.foreground() != noGroup && alone(own)
	job, stop := jobSignals()
	defer stop()
	p, err := start(c, t)
	if err != nil {
		t.takeBack(own, noGroup) // the command's group had it for a moment, perhaps
		return Ending{}, err
	}
	s := &supervisor{grant: grant, grace: c.Grace, warn: c.Warn, process: p, terminal: t, own: own, job: job, signals: c.Signals}
	defer s.reclaim()
	return s.supervise(), nil
}
