package web

import (
	"context"
	"net/http"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

type grantAnswer struct {
	Name    string         `json:"name"`
	Session *fsm.SessionID `json:"session,omitempty,string"`
	Grant   fsm.GrantID    `json:"grant,string"`
	Token   fsm.Token      `json:"token,string"`
	Mode    string         `json:"mode,omitempty"`
	Permits uint32         `json:"permits,omitempty"`
	// ExpiresMillis is when max_hold_ms ends the grant, counted from when it was
	// given, which was not before the request was sent; absent without one.
	ExpiresMillis int64 `json:"expires_in_ms,omitempty"`
}

func grantOf(name string, to lockapi.Beneficiary, r fsm.Result) grantAnswer {
	a := grantAnswer{Name: name, Grant: r.Grant, Token: r.Token}
	if to.Session != fsm.ReservedSession {
		a.Session = &to.Session
	}
	if r.Until != 0 {
		a.ExpiresMillis = int64(max(0, r.Until.Sub(r.At)) / fsm.Millisecond)
	}
	return a
}

type grantRequest struct {
	Session       *string `json:"session"`
	Grant         string  `json:"grant"`
	MaxHoldMillis int64   `json:"max_hold_ms"`
}

// named reads what a release or an extension is about.
func named(w http.ResponseWriter, r *http.Request, name string) (q grantRequest, to lockapi.Beneficiary, g fsm.GrantID, ok bool) {
	if !decode(w, r, &q) {
		return q, to, 0, false
	}
	if to, ok = beneficiary(w, r, q.Session); !ok {
		return q, to, 0, false
	}
	number, valid := numbered(q.Grant)
	switch {
	case !fsm.ValidName(name):
		fail(w, http.StatusBadRequest, fsm.LimitName.String())
	case !valid:
		fail(w, http.StatusBadRequest, "grant is wanted, as acquire gave it: a decimal number in a string")
	default:
		return q, to, fsm.GrantID(number), true
	}
	return q, to, 0, false
}

// release ends a grant.
func (s *Server) release(w http.ResponseWriter, r *http.Request, name string) {
	q, to, g, ok := named(w, r, name)
	if !ok {
		return
	}
	if q.MaxHoldMillis != 0 {
		fail(w, http.StatusBadRequest, "max_hold_ms is of extend")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeTimeout)
	defer cancel()
	result, err := s.agent.Release(ctx, to, name, g)
	if s.done(w, r, nil, result, err) {
		answer(w, http.StatusOK, grantOf(name, to, result))
	}
}

// extend moves a grant's deadline, never nearer.
func (s *Server) extend(w http.ResponseWriter, r *http.Request, name string) {
	q, to, g, ok := named(w, r, name)
	if !ok {
		return
	}
	hold, holds := span(q.MaxHoldMillis, time.Duration(fsm.MaxHoldMax))
	if !holds || hold == 0 {
		fail(w, http.StatusBadRequest, "max_hold_ms is wanted: how long from now the grant may be held")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeTimeout)
	defer cancel()
	result, err := s.agent.Extend(ctx, to, name, g, hold)
	if s.done(w, r, nil, result, err) {
		answer(w, http.StatusOK, grantOf(name, to, result))
	}
}
