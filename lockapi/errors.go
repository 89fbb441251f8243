package lockapi

import (
	"errors"
	"fmt"

	"github.com/lockd-io/lockd/fsm"
)

// The errors of this package. errors.Is finds the kind, errors.As the detail.
var (
	// ErrUnknown: the command may or may not have taken effect. Repeat the very
	// same command to find out; Client does so for as long as its context lets it.
	ErrUnknown = errors.New("outcome unknown: the command may or may not have taken effect")
	// ErrLost: the grant ended before Release (its session or MaxHold ran out,
	// or an operator released it). What you did since may have raced with the
	// next holder: check the token at the resource.
	ErrLost = errors.New("lost: the grant ended before it was released, so check the token at the resource")
	// ErrNotAcquired: the service has answered that somebody else holds the lock or
	// waits for it, and the acquire was not to wait, or its wait is over. The lock
	// is not held and the queue is as before the call. It is never said because
	// nobody answered: whoever may leave his work to the holder may do so.
	ErrNotAcquired = errors.New("not acquired: somebody else holds it")
	// ErrNotHeld: there is no such grant; nothing was changed.
	ErrNotHeld = errors.New("not held: there is no such grant (any more), and nothing was changed")
	// ErrSessionGone: the session has ended with all that it held. A Client
	// opens a new one for its next acquire.
	ErrSessionGone = errors.New("session gone: it expired or was closed")
	// ErrFenced: another process has resumed this session (Client.Resume); all
	// grants are lost, and this one must stop.
	ErrFenced = errors.New("fenced: a later incarnation of the session took over")
	// ErrDenied: the secret is not the session's, or (of a command on somebody's
	// behalf, which is not told more) there is no such session.
	ErrDenied = errors.New("denied: wrong secret for the session")
	// ErrLimit: a limit would be exceeded; errors.As with *LimitError tells which.
	// Nothing was changed.
	ErrLimit = errors.New("limit exceeded")
	// ErrInvalid: the request is malformed; it was refused and nothing changed.
	ErrInvalid = errors.New("invalid request")
	// ErrConflict: the name is of another kind, its owner holds it in another mode,
	// or the semaphore has another limit; errors.As with *ConflictError tells
	// which. Nothing was changed.
	ErrConflict = errors.New("conflicts with how the name is used now")
	// ErrUnsupported: the cluster's feature level or the backend does not have this.
	ErrUnsupported = errors.New("not supported here")
	// ErrUnavailable: never sent, because no node with a leader was found (or
	// what the client had sent before was not answered); or never taken, because
	// it had too much to do (ErrOverloaded, too). Who holds what is not known.
	ErrUnavailable = errors.New("unavailable: no node with a leader was found")
	// ErrClosed: the client or backend was closed.
	ErrClosed = errors.New("closed")
)

// A LimitError names the limit that a request would exceed.
type LimitError struct {
	Limit fsm.LimitID
	Value uint64 // what was asked for
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("limit exceeded (%s); asked for %d", e.Limit, e.Value)
}

// Is makes a LimitError an ErrLimit.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// ErrorOf translates a refusal of the machine. It is nil for StatusOK and
// StatusQueued.
func ErrorOf(r fsm.Result) error {
	switch r.Status {
	case fsm.StatusOK, fsm.StatusQueued:
		return nil
	case fsm.StatusBusy, fsm.StatusTimeout:
		return ErrNotAcquired
	case fsm.StatusNotHeld:
		return ErrNotHeld
	case fsm.StatusMaxHold, fsm.StatusForced:
		return ErrLost
	case fsm.StatusSessionGone, fsm.StatusSeqReused, fsm.StatusWindow:
		return ErrSessionGone
	case fsm.StatusFenced:
		return ErrFenced
	case fsm.StatusBadSecret, fsm.StatusNobody:
		return ErrDenied
	case fsm.StatusLimit:
		return &LimitError{Limit: r.Limit, Value: r.Value}
	case fsm.StatusInvalid:
		if r.Limit != 0 {
			return fmt.Errorf("%w (%s)", ErrInvalid, r.Limit)
		}
		return ErrInvalid
	case fsm.StatusKindConflict, fsm.StatusModeConflict:
		return &ConflictError{}
	case fsm.StatusLimitConflict:
		return &ConflictError{Kind: fsm.KindSemaphore, Limit: fsm.Permits(r.Value)}
	case fsm.StatusLevel:
		return ErrUnsupported
	case fsm.StatusAbandoned, fsm.StatusOldSeq:
		return ErrUnknown
	default:
		return fmt.Errorf("%w: status %d from a newer machine", ErrUnsupported, r.Status)
	}
}
