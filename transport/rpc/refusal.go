package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// outcomeOf says in words of the wire how a command with the key k ended at
// the backend.
func outcomeOf(k fsm.Key, r fsm.Result, err error) Outcome {
	o := Outcome{Outcome: fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: k, Pos: -1, Result: r}}
	var limit *lockapi.LimitError
	var full *lockapi.OverloadError
	switch {
	case err == nil:
	case errors.Is(err, lockapi.ErrUnknown):
		o.Result, o.Refusal = fsm.Result{}, lockdv1.Refusal_REFUSAL_UNKNOWN
	case errors.As(err, &full):
		o.Result, o.Refusal, o.Full = fsm.Result{}, lockdv1.Refusal_REFUSAL_OVERLOADED, full
	case errors.Is(err, lockapi.ErrDenied):
		o.Result = fsm.Result{Status: fsm.StatusBadSecret}
	case errors.Is(err, lockapi.ErrSessionGone):
		o.Result = fsm.Result{Status: fsm.StatusSessionGone}
	case errors.Is(err, lockapi.ErrFenced):
		o.Result = fsm.Result{Status: fsm.StatusFenced}
	case errors.As(err, &limit):
		o.Result = fsm.Result{Status: fsm.StatusLimit, Limit: limit.Limit, Value: limit.Value}
	case errors.Is(err, lockapi.ErrInvalid):
		o.Result = fsm.Result{Status: fsm.StatusInvalid}
	case errors.Is(err, lockapi.ErrUnsupported):
		o.Result = fsm.Result{Status: fsm.StatusLevel}
	default: // an error that is not ErrUnknown means: never sent
		o.Result, o.Refusal = fsm.Result{}, lockdv1.Refusal_REFUSAL_UNAVAILABLE
	}
	return o
}

func refused(k fsm.Key, why lockdv1.Refusal) Outcome {
	return Outcome{Outcome: fsm.Outcome{Kind: fsm.OutcomeAnswer, Key: k, Pos: -1}, Refusal: why}
}

// overloaded is the refusal of a command for which the node has no room.
func overloaded(k fsm.Key, full *lockapi.OverloadError) Outcome {
	o := refused(k, lockdv1.Refusal_REFUSAL_OVERLOADED)
	o.Full = full
	return o
}

func overloadMessage(full *lockapi.OverloadError) *lockdv1.Overload {
	ms := max(0, min(full.RetryAfter.Milliseconds(), 1<<31-1))
	return &lockdv1.Overload{What: full.What, RetryAfterMs: uint32(ms)}
}

func overloadOf(m *lockdv1.Overload) *lockapi.OverloadError {
	return &lockapi.OverloadError{What: m.GetWhat(), RetryAfter: time.Duration(m.GetRetryAfterMs()) * time.Millisecond}
}

// statusOf is the error of a call that is no command.
func statusOf(err error) error {
	code := codes.Unavailable
	var full *lockapi.OverloadError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &full):
		s := status.New(codes.ResourceExhausted, err.Error())
		if detailed, failed := s.WithDetails(overloadMessage(full)); failed == nil {
			s = detailed
		}
		return s.Err()
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, lockapi.ErrInvalid):
		code = codes.InvalidArgument
	case errors.Is(err, lockapi.ErrUnsupported):
		code = codes.Unimplemented
	case errors.Is(err, lockapi.ErrSessionGone):
		code = codes.NotFound
	case errors.Is(err, lockapi.ErrDenied):
		code = codes.PermissionDenied
	}
	return status.Error(code, err.Error())
}

// ErrorOf is the lockapi error of a call that is no command. What may work
// elsewhere or later is ErrUnavailable, and ErrOverloaded if the node says so.
func ErrorOf(err error) error {
	for _, detail := range status.Convert(err).Details() {
		if full, ok := detail.(*lockdv1.Overload); ok {
			return overloadOf(full)
		}
	}
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.InvalidArgument:
		return kindError{lockapi.ErrInvalid, err}
	case codes.Unimplemented:
		return kindError{lockapi.ErrUnsupported, err}
	case codes.NotFound:
		return kindError{lockapi.ErrSessionGone, err}
	case codes.PermissionDenied:
		return kindError{lockapi.ErrDenied, err}
	default:
		return kindError{lockapi.ErrUnavailable, err}
	}
}

// kindError gives a gRPC error its lockapi kind without saying it twice.
type kindError struct{ kind, cause error }

func (e kindError) Error() string   { return status.Convert(e.cause).Message() }
func (e kindError) Unwrap() []error { return []error{e.kind, e.cause} }
