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
			refuse(w, http.StatusServiceUnavailable, codeOverloaded, fmt.Sprintf("%d requests wait for locks here: try again", waitsMax))
			return
		}
	}
	allow(w, wait+changeTimeout)
	ctx, cancel := context.WithTimeout(r.Context(), wait+changeTimeout)
	defer cancel()
	wants := []fsm.Want{want}
	result, err := s.agent.Acquire(ctx, lockapi.AgentRequest{For: to, Wants: wants, Wait: wait, MaxHold: hold, Key: key})
	if key != (fsm.Nonce{}) && err == nil && result.Status == fsm.StatusInvalid && result.Limit == 0 {
		fail(w, http.StatusBadRequest, "the "+headerKey+" was used for another request, with another mode, permits or max_hold_ms: "+
			"send the very same again, or use another key")
		return
	}
	if !s.done(w, r, wants, result, err) {
		return
	}
	a := grantOf(name, to, result)
	a.Mode, a.Permits = q.Mode, q.Permits
	answer(w, http.StatusOK, a)
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
