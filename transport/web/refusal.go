package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// Codes of refusals that several requests have. Who asks for another's session is
// not told whether it is there.
const (
	codeOverloaded = "overloaded"
	codeNoSession  = "no_session"
	noSession      = "there is no such session (any more), or its secret is another: open another"
)

// done tells whether a command has done what was asked. It has answered already
// when it has not. wants are an acquire's, else nil.
func (s *Server) done(w http.ResponseWriter, r *http.Request, wants []fsm.Want, result fsm.Result, err error) bool {
	if err != nil {
		s.undone(w, r, err)
		return false
	}
	if result.Status == fsm.StatusOK {
		return true
	}
	why := lockapi.ErrorOf(result)
	if wants != nil {
		why = lockapi.Refusal(wants, result)
	}
	text := result.Status.String()
	if why != nil {
		text = why.Error()
	}
	code := result.Status.String()
	if result.Status == fsm.StatusNobody {
		code, text = codeNoSession, noSession
	}
	refuse(w, statusOf(result.Status), code, text)
	return false
}

// statusOf is the HTTP status of the machine's refusal, whose own word is the code.
func statusOf(status fsm.Status) int {
	switch status {
	case fsm.StatusInvalid:
		return http.StatusBadRequest
	case fsm.StatusNobody, fsm.StatusNotHeld, fsm.StatusSessionGone:
		return http.StatusNotFound
	case fsm.StatusLimit:
		return http.StatusTooManyRequests
	case fsm.StatusLevel:
		return http.StatusNotImplemented
	default: // busy, timeout, conflicts
		return http.StatusConflict
	}
}

// undone answers for a command that was not answered: with what is known of it.
func (s *Server) undone(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, lockapi.ErrUnknown): // first: what turned away the second sending says nothing of the first
		refuse(w, http.StatusGatewayTimeout, "unknown",
			"it may or may not have taken effect: ask again with the same "+headerKey+", or see what is held: "+err.Error())
	case errors.Is(err, lockapi.ErrOverloaded):
		s.failed(w, r, err)
	case errors.Is(err, lockapi.ErrNotAcquired):
		refuse(w, http.StatusConflict, fsm.StatusTimeout.String(), err.Error())
	case errors.Is(err, lockapi.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusServiceUnavailable, "nothing was done, since nobody with a leader has answered in time: "+err.Error())
	default:
		s.failed(w, r, err)
	}
}
