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
	"strings"
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
	if r.URL.RawQuery != "" { // to pass it over would do something else than was asked, and a secret in it is in every log
		fail(w, http.StatusBadRequest, "what is asked is in the body and the headers: nothing may follow the path")
		return
	}
	select {
	case s.writes <- struct{}{}:
		defer func() { <-s.writes }()
	default:
		refuse(w, http.StatusServiceUnavailable, codeOverloaded, fmt.Sprintf("%d requests are under way: try again", writesMax))
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
	if err = plain(body); err == nil {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		err = d.Decode(to)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "the body is not as it should be: "+err.Error())
		return false
	}
	return true
}

// plain tells whether a body is one object with each field once, as it is written
// here, and with a value. The decoder alone would take Session for session, null for
// nothing and the last of two: with {"session":null} a script whose variable is empty
// would have a lock that its session does not hold.
func plain(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return errors.Join(errors.New("an object is wanted"), err)
	}
	seen := map[string]bool{}
	for d.More() {
		field, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := field.(string)
		value, err := d.Token()
		switch _, nested := value.(json.Delim); {
		case err != nil:
			return err
		case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "":
			return fmt.Errorf("unknown field %q", name)
		case seen[name]:
			return fmt.Errorf("%s is there twice", name)
		case value == nil || nested:
			return fmt.Errorf("%s is a string or a number: leave it out if there is none", name)
		}
		seen[name] = true
	}
	if _, err := d.Token(); err != nil { // the end of the object
		return err
	}
	if _, more := d.Token(); more != io.EOF {
		return errors.New("something follows the object")
	}
	return nil
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
func (s *Server) insist(ctx context.Context, c fsm.Command) (r fsm.Result, err error) {
	err = repeat(ctx, func() (err error) {
		r, err = s.backend.Do(ctx, c)
		return err
	})
	return r, err
}

// repeat does what may be done again until it is answered. What was in doubt once
// stays so: it is sent, its leader dies, it is sent again, and nobody leads. That
// the second was never taken says nothing of the first, and the error is ErrUnknown.
// A node that has too much to do is left alone, unless there is such a doubt.
func repeat(ctx context.Context, do func() error) error {
	doubt := false
	for n := 0; ; n++ {
		err := do()
		unknown := errors.Is(err, lockapi.ErrUnknown)
		doubt = doubt || unknown
		again := unknown || errors.Is(err, lockapi.ErrUnavailable) && (doubt || !errors.Is(err, lockapi.ErrOverloaded))
		if err != nil && doubt && !unknown {
			err = fmt.Errorf("%w: %w", lockapi.ErrUnknown, err)
		}
		if err == nil || !again || errors.Is(err, lockapi.ErrClosed) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(lockapi.PauseAfter(err, n)):
		}
	}
}

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
