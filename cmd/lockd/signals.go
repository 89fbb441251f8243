package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// bySignal ends the program as a shell tells of one that a signal ended.
func bySignal(sig os.Signal) error { return &exitError{code: exitSignal + int(sig.(syscall.Signal))} }

// notify asks for the signals that go to the command, but for those that
// whoever started the runner wants ignored, as nohup does.
func notify(signals chan<- os.Signal) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
}

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

// interruptible is a context that a signal ends, the second of which ends the
// process. came tells which it was, if any.
func interruptible(ctx context.Context) (_ context.Context, came func() os.Signal) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
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
