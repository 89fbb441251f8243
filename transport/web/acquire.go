package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

type acquireRequest struct {
	Session       *string `json:"session"`
	Mode          string  `json:"mode"`
	Permits       uint32  `json:"permits"`
	Limit         uint32  `json:"limit"`
	WaitMillis    int64   `json:"wait_ms"`
	MaxHoldMillis int64   `json:"max_hold_ms"`
}

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

// want is what the request asks for.
func (q *acquireRequest) want(name string) (fsm.Want, error) {
	if q.Mode == "" && q.Permits > 0 {
		q.Mode = "permits"
	}
	switch {
	case !fsm.ValidName(name):
		return fsm.Want{}, errors.New(fsm.LimitName.String())
	case q.Mode != "permits" && (q.Permits > 0 || q.Limit > 0):
		return fsm.Want{}, errors.New("permits and limit are of a semaphore: mode is permits then")
	}
	switch q.Mode {
	case "", "exclusive":
		q.Mode = "exclusive"
		return lockapi.Exclusive(name), nil
	case "shared":
		return lockapi.Shared(name), nil
	case "permits":
		if q.Permits < 1 || q.Permits > q.Limit {
			return fsm.Want{}, errors.New(fsm.LimitPermits.String())
		}
		return lockapi.Permits(name, int(q.Permits), int(q.Limit)), nil
	}
	return fsm.Want{}, errors.New("mode is exclusive, shared or permits")
}

// acquire answers when the lock is held, or will not be.
func (s *Server) acquire(w http.ResponseWriter, r *http.Request, name string) {
	var q acquireRequest
	if !decode(w, r, &q) {
		return
	}
	to, ok := beneficiary(w, r, q.Session)
	if !ok {
		return
	}
	want, err := q.want(name)
	wait, waits := span(q.WaitMillis, waitMax)
	hold, holds := span(q.MaxHoldMillis, time.Duration(fsm.MaxHoldMax))
	key, wrong := keyOf(r, "acquire", to.Session.String(), name)
	switch {
	case err != nil:
	case !waits:
		err = errors.New("wait_ms is 0 to " + strconv.FormatInt(waitMax.Milliseconds(), 10))
	case !holds:
		err = errors.New(fsm.LimitMaxHold.String())
	case hold == 0 && to.Session == fsm.ReservedSession:
		err = errors.New("max_hold_ms is wanted without a session: nothing else would end the hold")
	default:
		err = wrong
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if wait > 0 {
		select {
		case s.waits <- struct{}{}:
			defer func() { <-s.waits }()
		default:
			refuse(w, http.StatusServiceUnavailable, "overloaded", fmt.Sprintf("%d requests wait for locks here: try again", waitsMax))
			return
		}
	}
	allow(w, wait+changeTimeout)
	ctx, cancel := context.WithTimeout(r.Context(), wait+changeTimeout)
	defer cancel()
	wants := []fsm.Want{want}
	result, err := s.agent.Acquire(ctx, lockapi.AgentRequest{For: to, Wants: wants, Wait: wait, MaxHold: hold, Key: key})
	if !s.done(w, r, wants, result, err) {
		return
	}
	a := grantOf(name, to, result)
	a.Mode, a.Permits = q.Mode, q.Permits
	answer(w, http.StatusOK, a)
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

// beneficiary is for whom a request is: the holder of a session, or nobody. Who shows
// a secret means a session: without it he would have a lock that outlives him.
func beneficiary(w http.ResponseWriter, r *http.Request, session *string) (lockapi.Beneficiary, bool) {
	switch {
	case session != nil:
		return speaker(w, r, *session)
	case r.Header.Get(headerSecret) != "":
		fail(w, http.StatusBadRequest, headerSecret+" is of a session: name it in session, or leave out the header")
		return lockapi.Beneficiary{}, false
	}
	return lockapi.Beneficiary{}, true
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
