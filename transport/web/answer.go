package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

const (
	typeJSON = "application/json"
	typeText = "text/plain; charset=utf-8"
)

// failure is the body of every error under /v1: for people, and for programs.
type failure struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// fail refuses with the code that goes with the HTTP status.
func fail(w http.ResponseWriter, status int, why string) { refuse(w, status, codeOf(status), why) }

func refuse(w http.ResponseWriter, status int, code, why string) {
	later(w, status)
	answer(w, status, failure{why, code})
}

// codeOf is the code of errors that are about the request, or about the node.
func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "invalid"
	case http.StatusForbidden:
		return "foreign_origin"
	case http.StatusNotFound:
		return "no_such_path"
	case http.StatusMethodNotAllowed:
		return "method"
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	case http.StatusUnsupportedMediaType:
		return "content_type"
	case http.StatusMisdirectedRequest:
		return "foreign_host"
	case http.StatusNotImplemented:
		return "unsupported"
	case http.StatusServiceUnavailable:
		return "unavailable"
	case http.StatusGatewayTimeout:
		return "unknown"
	}
	return "internal"
}

// later sees that who is told 503 is told when to come again.
func later(w http.ResponseWriter, status int) {
	if status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
}

// answer sends a document. The client may be gone: that is no news.
func answer(w http.ResponseWriter, code int, document any) {
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(document)
}

// failed sends what the node could not do. What is not the client's to know is
// logged instead.
func (s *Server) failed(w http.ResponseWriter, r *http.Request, err error) {
	var overload *lockapi.OverloadError
	switch {
	case errors.As(err, &overload):
		w.Header().Set("Retry-After", retryAfter(overload.RetryAfter))
		refuse(w, http.StatusServiceUnavailable, codeOverloaded, err.Error())
	case errors.Is(err, lockapi.ErrInvalid), errors.Is(err, lockapi.ErrLimit):
		fail(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, lockapi.ErrUnsupported):
		fail(w, http.StatusNotImplemented, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		fail(w, http.StatusServiceUnavailable, "no answer in time: is there a leader? stale=true reads without one")
	case errors.Is(err, lockapi.ErrUnavailable), errors.Is(err, lockapi.ErrUnknown), errors.Is(err, lockapi.ErrClosed),
		errors.Is(err, context.Canceled):
		fail(w, http.StatusServiceUnavailable, err.Error())
	default:
		s.logger.Error("a request failed", "path", r.URL.Path, "error", err)
		fail(w, http.StatusInternalServerError, "internal error; it is in the node's log")
	}
}

// retryAfter is a duration as the header has it: whole seconds, at least one.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}

// reading takes a place among the reads under way and bounds their time. It has
// answered already when it is false.
func (s *Server) reading(w http.ResponseWriter, r *http.Request) (ctx context.Context, done func(), ok bool) {
	select {
	case s.reads <- struct{}{}:
	default:
		fail(w, http.StatusServiceUnavailable, "too many reads are under way")
		return nil, nil, false
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	return ctx, func() { cancel(); <-s.reads }, true
}
