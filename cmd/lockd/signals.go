package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// A signalEnd ends the program by a signal, as whoever it came to would have
// ended without a runner.
type signalEnd struct {
	signal syscall.Signal
	typed  bool // nobody else of the process group has got it
}

func (e *signalEnd) Error() string { return e.signal.String() }

// bySignal is the error of that; where a signal does not end programs, the code of
// those that it does.
func bySignal(sig os.Signal) error { return by(signalEnd{signal: sig.(syscall.Signal)}) }

func by(end signalEnd) error { return &exitError{exitSignal + int(end.signal), &end} }

// untilSignal is a context that a signal ends. done must be called; it tells
// which signal came, if any.
func untilSignal(ctx context.Context, signals <-chan os.Signal) (context.Context, func() os.Signal) {
	ctx, cancel := context.WithCancel(ctx)
	came := make(chan os.Signal, 1)
	go func() {
		defer close(came)
		select {
		case sig := <-signals:
			came <- sig
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() os.Signal {
		cancel()
		return <-came
	}
}

// endings are the signals that end this program, but for those that whoever
// started it wants ignored, as nohup does: to ask for one is to hear it again.
func endings() []os.Signal {
	return slices.DeleteFunc([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}, signal.Ignored)
}

// interruptible is a context that a signal ends, the second of which ends the
// process. came tells which it was, if any.
func interruptible(ctx context.Context) (_ context.Context, came func() os.Signal) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endings()...)
	go func() {
		sig := <-signals
		signal.Stop(signals)
		cancel(interrupted{sig})
	}()
	return ctx, func() os.Signal {
		var by interrupted
		if errors.As(context.Cause(ctx), &by) {
			return by.Signal
		}
		return nil
	}
}

// interrupted is why a context has ended.
type interrupted struct{ os.Signal }

func (i interrupted) Error() string { return "interrupted: " + i.String() }
