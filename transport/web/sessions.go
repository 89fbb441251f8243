package web

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// firstIncarnation: nobody resumes a session over HTTP. Whoever has its secret goes
// on with it, through any node.
const firstIncarnation fsm.Incarnation = 1

type sessionRequest struct {
	TTLMillis *int64 `json:"ttl_ms"`
	Label     string `json:"label"`
}

type sessionAnswer struct {
	Session   fsm.SessionID `json:"session,string"`
	Secret    string        `json:"secret,omitempty"`
	TTLMillis int64         `json:"ttl_ms"`
}

// openSession opens a session, which lives for its TTL from each renewal. A key
// makes it repeatable only together with a secret of the client's own: whoever
// guessed the key alone would be told the secret.
func (s *Server) openSession(w http.ResponseWriter, r *http.Request, _ string) {
	var q sessionRequest
	if !decode(w, r, &q) {
		return
	}
	ttl, ok := lockapi.DefaultTTL, true
	if q.TTLMillis != nil {
		ttl, ok = span(*q.TTLMillis, time.Duration(fsm.TTLMax))
	}
	secret, given, err := secretOf(r)
	key, wrong := keyOf(r, "session", hex.EncodeToString(secret[:]))
	switch {
	case !ok || ttl < time.Duration(fsm.TTLMin):
		fail(w, http.StatusBadRequest, fsm.LimitTTL.String())
		return
	case !fsm.ValidText(q.Label, fsm.LabelSizeMax):
		fail(w, http.StatusBadRequest, fsm.LimitLabel.String())
		return
	case err != nil || wrong != nil:
		fail(w, http.StatusBadRequest, errors.Join(err, wrong).Error())
		return
	case key != fsm.Nonce{} && !given:
		fail(w, http.StatusBadRequest, headerKey+" needs a secret of your own in "+headerSecret)
		return
	}
	if !given {
		randomly(secret[:])
	}
	if key == (fsm.Nonce{}) {
		key = fsm.Nonce{Hi: randomNumber(), Lo: randomNumber()}
	}
	if q.Label == "" {
		q.Label = "http"
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeTimeout)
	defer cancel()
	result, err := s.insist(ctx, fsm.Command{Op: fsm.OpOpen, Nonce: key, Secret: secret, TTL: fsm.Duration(ttl), Label: q.Label})
	if !s.done(w, r, nil, result, err) {
		return
	}
	a := sessionAnswer{Session: result.Session, TTLMillis: ttl.Milliseconds()}
	if !given {
		a.Secret = hex.EncodeToString(secret[:])
	}
	answer(w, http.StatusOK, a)
}

// randomNumber is one that no other request has.
func randomNumber() uint64 {
	var b [8]byte
	randomly(b[:])
	return binary.LittleEndian.Uint64(b[:])>>2 | 1
}

// speaker is the session of the path, with its secret. It has answered already when
// ok is false.
func speaker(w http.ResponseWriter, r *http.Request, id string) (b lockapi.Beneficiary, ok bool) {
	number, valid := numbered(id)
	secret, given, err := secretOf(r)
	switch {
	case !valid:
		fail(w, http.StatusBadRequest, "a session is a decimal number")
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
	case !given:
		refuse(w, http.StatusUnauthorized, "secret", "the session's secret is wanted in "+headerSecret)
	default:
		return lockapi.Beneficiary{Session: fsm.SessionID(number), Secret: secret}, true
	}
	return b, false
}

type renewRequest struct {
	Seen uint64 `json:"seen,string"` // losses up to this one are known
}

type renewAnswer struct {
	Session fsm.SessionID `json:"session,string"`
	Seen    uint64        `json:"seen,string"` // to be given back with the next renewal
	Lost    []lossAnswer  `json:"lost"`
}

// A lossAnswer is a grant that ended without its holder's doing.
type lossAnswer struct {
	Grant fsm.GrantID `json:"grant,string"`
	Token fsm.Token   `json:"token,string"`
	Why   string      `json:"why"`
}

// renewSession gives the session its whole TTL, and tells what it has lost since
// the loss that the client has seen.
func (s *Server) renewSession(w http.ResponseWriter, r *http.Request, id string) {
	b, ok := speaker(w, r, id)
	var q renewRequest
	if !ok || !decode(w, r, &q) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeTimeout)
	defer cancel()
	events, err := s.attach(ctx, b, fsm.EventID(q.Seen))
	if err != nil {
		s.unattached(w, r, err)
		return
	}
	result, err := s.insist(ctx, fsm.Command{
		Op: fsm.OpRenew, Session: b.Session, Incarnation: firstIncarnation, Seq: fsm.Seq(randomNumber()), Seen: fsm.EventID(q.Seen),
	})
	if !s.done(w, r, nil, result, err) {
		return
	}
	answer(w, http.StatusOK, lost(b.Session, events, fsm.EventID(q.Seen), fsm.EventID(result.Value)))
}

// lost hears events until the last, or as many as come.
func lost(id fsm.SessionID, events <-chan fsm.Outcome, seen, last fsm.EventID) renewAnswer {
	a := renewAnswer{Session: id, Seen: uint64(min(seen, last)), Lost: []lossAnswer{}}
	patience := time.NewTimer(lossTimeout)
	defer patience.Stop()
	for a.Seen < uint64(last) && len(a.Lost) < lossesMax {
		select {
		case o, open := <-events:
			if !open {
				return a
			}
			if o.Event != fsm.EventID(a.Seen+1) { // heard before, or one was missed: the next renewal tells it
				continue
			}
			a.Seen++
			if o.Kind == fsm.OutcomeLoss {
				a.Lost = append(a.Lost, lossAnswer{o.Result.Grant, o.Result.Token, o.Result.Status.String()})
			}
		case <-patience.C:
			return a
		}
	}
	return a
}

// attach proves the secret, and renews.
func (s *Server) attach(ctx context.Context, b lockapi.Beneficiary, seen fsm.EventID) (events <-chan fsm.Outcome, err error) {
	err = repeat(ctx, func() (err error) {
		events, err = s.backend.Attach(ctx, lockapi.Attachment{
			Session: b.Session, Incarnation: firstIncarnation, Renewal: fsm.Seq(randomNumber()), Seen: seen, Secret: b.Secret,
		})
		return err
	})
	return events, err
}

// unattached does not tell a session that is gone from a wrong secret.
func (s *Server) unattached(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, lockapi.ErrSessionGone) || errors.Is(err, lockapi.ErrDenied) || errors.Is(err, lockapi.ErrFenced) {
		refuse(w, http.StatusNotFound, codeNoSession, noSession)
		return
	}
	s.undone(w, r, err)
}

// closeSession ends the session: what it holds is released.
func (s *Server) closeSession(w http.ResponseWriter, r *http.Request, id string) {
	b, ok := speaker(w, r, id)
	if !ok || !decode(w, r, new(struct{})) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeTimeout)
	defer cancel()
	if _, err := s.attach(ctx, b, 0); err != nil {
		s.unattached(w, r, err)
		return
	}
	// The one command that is ever numbered in a session's own name here.
	result, err := s.insist(ctx, fsm.Command{Op: fsm.OpClose, Session: b.Session, Incarnation: firstIncarnation, Seq: 1, Mark: 1})
	if err == nil && result.Status == fsm.StatusSessionGone { // by another close, or its TTL
		result.Status = fsm.StatusOK
	}
	if s.done(w, r, nil, result, err) {
		answer(w, http.StatusOK, struct {
			Session fsm.SessionID `json:"session,string"`
		}{b.Session})
	}
}
