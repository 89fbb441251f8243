package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"google.golang.org/grpc/status"

	"github.com/lockd-io/lockd/lockapi"
)

// An UnreachedError says that no node would answer before the context ended. It
// is ErrUnavailable, and the context's error.
type UnreachedError struct {
	// Endpoints are those that the backend was given, in that order, with what
	// was wrong with each when it was last dialled.
	Endpoints []EndpointError
	cause     error
}

// An EndpointError is what was wrong with an endpoint; Err is nil if nothing was,
// or nothing is known yet.
type EndpointError struct {
	Endpoint string // HOST:PORT
	Err      error
}

// Error implements error.
func (e *UnreachedError) Error() string {
	var failed []string
	for _, p := range e.Endpoints {
		if p.Err != nil {
			failed = append(failed, p.Endpoint+": "+p.Err.Error())
		}
	}
	if len(failed) == 0 {
		return fmt.Sprintf("%v: %v", lockapi.ErrUnavailable, e.cause)
	}
	return fmt.Sprintf("%v (%s): %v", lockapi.ErrUnavailable, strings.Join(failed, "; "), e.cause)
}

// Unwrap makes the error two.
func (e *UnreachedError) Unwrap() []error { return []error{lockapi.ErrUnavailable, e.cause} }

// Failed tells whether every endpoint failed when it was last dialled.
func (e *UnreachedError) Failed() bool {
	return e.all(func(err error) bool { return err != nil })
}

// Refused tells whether the machine of every endpoint answered that nobody
// listens there.
func (e *UnreachedError) Refused() bool {
	return e.all(func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) })
}

func (e *UnreachedError) all(is func(error) bool) bool {
	for _, p := range e.Endpoints {
		if !is(p.Err) {
			return false
		}
	}
	return true
}

// Reach waits until the backend is linked to a node, which need not have a
// leader. The error is an *UnreachedError when ctx ends first, or ErrClosed.
func (b *Backend) Reach(ctx context.Context) error {
	_, err := b.present(ctx)
	return err
}

// unreached is the error of a caller whose context has ended.
func (b *Backend) unreached(ctx context.Context) error {
	return &UnreachedError{Endpoints: b.book.failures(), cause: ctx.Err()}
}

// reason is the part of a failed dial's error that helps: the rest repeats the
// address, and what was being done.
func reason(err error) error {
	var errno syscall.Errno
	var op *net.OpError
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &op):
		return op.Err
	case errors.Is(err, context.DeadlineExceeded):
		return errSilent
	}
	if s, ok := status.FromError(err); ok {
		return errors.New(s.Message())
	}
	return err
}

var errSilent = errors.New("no answer")
