package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

const (
	headerSecret = "Lockd-Session-Secret"
	headerKey    = "Idempotency-Key"
)

// change serves a request that changes something, which serve answers. subject is
// the segment of the path that says what.
func (s *Server) change(w http.ResponseWriter, r *http.Request, method, subject string, serve func(http.ResponseWriter, *http.Request, string)) {
	if !s.changes(w, r, method) {
		return
	}
	select {
	case s.writes <- struct{}{}:
		defer func() { <-s.writes }()
	default:
		refuse(w, http.StatusServiceUnavailable, "overloaded", fmt.Sprintf("%d requests are under way: try again", writesMax))
		return
	}
	what, err := url.PathUnescape(subject)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	serve(w, r, what)
}

// decode reads the body into the struct to, and nothing else than that. It has
// answered already when it is false.
func decode(w http.ResponseWriter, r *http.Request, to any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodySizeMax))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a body has at most %d bytes", bodySizeMax))
		return false
	case err != nil:
		fail(w, http.StatusBadRequest, "the body does not arrive: "+err.Error())
		return false
	case len(bytes.TrimSpace(body)) == 0:
		return true // all defaults
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err = d.Decode(to); err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "the body is not as it should be: "+err.Error())
		return false
	}
	return true
}

// span is a number of milliseconds as a duration; false if it is negative or over
// most.
func span(millis int64, most time.Duration) (time.Duration, bool) {
	if millis < 0 || millis > int64(most/time.Millisecond) {
		return 0, false
	}
	return time.Duration(millis) * time.Millisecond, true
}

// allow gives the answer of a request that waits its time, and looks for as long
// whether the client is still there: the server's own deadlines are for others.
func allow(w http.ResponseWriter, d time.Duration) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // not supported by a recorder in a test, which has none
	_ = c.SetWriteDeadline(time.Now().Add(d + answerTimeout))
}

// insist gets a command answered, by sending it as it is until ctx ends.
func (s *Server) insist(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	for {
		r, err := s.backend.Do(ctx, c)
		again := errors.Is(err, lockapi.ErrUnknown) || errors.Is(err, lockapi.ErrUnavailable)
		if err == nil || !again || errors.Is(err, lockapi.ErrClosed) || ctx.Err() != nil {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, err
		case <-time.After(againAfter):
		}
	}
}

// againAfter is a pause before a command is sent again.
const againAfter = 100 * time.Millisecond

// numbered reads a number that is a string in JSON and in paths; 0 is none.
func numbered(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n > 0
}

// secretOf reads the secret of a session; given is false without one.
func secretOf(r *http.Request) (secret fsm.Secret, given bool, err error) {
	text := r.Header.Get(headerSecret)
	if text == "" {
		return secret, false, nil
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(secret) { // the text must not get into an error
		return secret, true, fmt.Errorf("%s: %d bytes in hexadecimal are wanted", headerSecret, len(secret))
	}
	return fsm.Secret(raw), true, nil
}

// keyOf makes a number of an Idempotency-Key, for one use of it; zero without one.
func keyOf(r *http.Request, use ...string) (fsm.Nonce, error) {
	key := r.Header.Get(headerKey)
	switch {
	case key == "":
		return fsm.Nonce{}, nil
	case len(key) > keySizeMax:
		return fsm.Nonce{}, fmt.Errorf("%s: at most %d bytes", headerKey, keySizeMax)
	}
	h := sha256.New()
	for _, part := range append(use, key) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	sum := h.Sum(nil)
	return fsm.Nonce{Hi: binary.LittleEndian.Uint64(sum), Lo: binary.LittleEndian.Uint64(sum[8:]) | 1}, nil
}

// randomly fills b; it crashes rather than fail.
func randomly(b []byte) { _, _ = rand.Read(b) }
