package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

// A door is a server over a machine in memory, and what its log says.
type door struct {
	*Server
	t        *testing.T
	log      spoken
	patience time.Duration // of whoever sends; 0 has no end
}

// A spoken is what a log says, while goroutines write to it.
type spoken struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (s *spoken) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// memNode is a node of which a test needs only its locks.
type memNode struct {
	*node
	backend *mem.Backend
}

func (n memNode) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	return n.backend.Inspect(ctx, q)
}

func openDoor(t *testing.T, b *mem.Backend) *door {
	t.Helper()
	d := &door{t: t}
	var err error
	d.Server, err = NewServer(memNode{&node{}, b}, Options{Backend: b, Logger: slog.New(slog.NewTextHandler(&d.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// machine is one machine, closed at the end.
func machine(t *testing.T) *mem.Backend {
	t.Helper()
	b := mem.New()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

type document map[string]any

// send is one request, with header lines "Name: value".
func (d *door) send(method, target, body string, headers ...string) (int, document) {
	d.t.Helper()
	w := httptest.NewRecorder()
	ctx := context.Background()
	if d.patience > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, d.patience)
		defer cancel()
	}
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:7600"
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	d.Handler().ServeHTTP(w, r)
	var got document
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		d.t.Fatalf("%s %s answers %q: %v", method, target, w.Body, err)
	}
	return w.Code, got
}

// want is send that must be answered with this status, and code if it is an error.
func (d *door) want(status int, code, method, target, body string, headers ...string) document {
	d.t.Helper()
	got, answer := d.send(method, target, body, headers...)
	if said, _ := answer["code"].(string); got != status || said != code {
		d.t.Fatalf("%s %s %s: %d %v, not %d %s", method, target, body, got, answer, status, code)
	}
	return answer
}

func (d *door) holders(name string) int {
	d.t.Helper()
	w := get(d.Handler(), "/v1/locks/"+name)
	var l lockapi.LockDocument
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil {
		d.t.Fatal(err)
	}
	return len(l.Holders)
}

func TestLockWithoutASession(t *testing.T) {
	b := machine(t)
	d, other := openDoor(t, b), openDoor(t, b.Another())
	const body = `{"max_hold_ms":60000}`
	first := d.want(200, "", "POST", "/v1/locks/a%2Fb/acquire", body, "Idempotency-Key: k")
	if first["name"] != "a/b" || first["mode"] != "exclusive" || first["session"] != nil || first["token"] == "" {
		t.Errorf("%v", first)
	}
	if ms := first["expires_in_ms"].(float64); ms != 60000 {
		t.Errorf("expires in %v ms", ms)
	}
	again := other.want(200, "", "POST", "/v1/locks/a%2Fb/acquire", body, "Idempotency-Key: k")
	if again["grant"] != first["grant"] || again["token"] != first["token"] {
		t.Errorf("asked again through another node: %v, not %v", again, first)
	}
	other.want(409, "busy", "POST", "/v1/locks/a%2Fb/acquire", body, "Idempotency-Key: another")
	other.want(409, "timeout", "POST", "/v1/locks/a%2Fb/acquire", `{"max_hold_ms":60000,"wait_ms":20}`)
	other.want(409, "kind_conflict", "POST", "/v1/locks/a%2Fb/acquire", `{"max_hold_ms":60000,"permits":1,"limit":2}`)

	grant := fmt.Sprintf(`{"grant":%q,"max_hold_ms":120000}`, first["grant"])
	if longer := other.want(200, "", "POST", "/v1/locks/a%2Fb/extend", grant); longer["expires_in_ms"].(float64) <= 60000 {
		t.Errorf("extended to %v", longer)
	}
	grant = fmt.Sprintf(`{"grant":%q}`, first["grant"])
	other.want(404, "not_held", "POST", "/v1/locks/x/release", grant)
	d.want(200, "", "POST", "/v1/locks/a%2Fb/release", grant)
	d.want(404, "not_held", "POST", "/v1/locks/a%2Fb/release", grant)
	d.want(404, "not_held", "POST", "/v1/locks/a%2Fb/extend", fmt.Sprintf(`{"grant":%q,"max_hold_ms":1000}`, first["grant"]))
	if next := d.want(200, "", "POST", "/v1/locks/a%2Fb/acquire", body, "Idempotency-Key: k"); next["token"] == first["token"] {
		t.Error("a key outlives its grant")
	}
}

func TestReadersAndPermits(t *testing.T) {
	d := openDoor(t, machine(t))
	for range 2 {
		d.want(200, "", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000,"mode":"shared"}`)
	}
	d.want(409, "busy", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000}`)
	for range 2 {
		d.want(200, "", "POST", "/v1/locks/s/acquire", `{"max_hold_ms":60000,"permits":1,"limit":2}`)
	}
	d.want(409, "busy", "POST", "/v1/locks/s/acquire", `{"max_hold_ms":60000,"permits":1,"limit":2}`)
	d.want(409, "limit_conflict", "POST", "/v1/locks/s/acquire", `{"max_hold_ms":60000,"permits":1,"limit":3}`)
	if d.holders("x") != 2 || d.holders("s") != 2 {
		t.Errorf("%d readers, %d with permits", d.holders("x"), d.holders("s"))
	}
}

func TestSession(t *testing.T) {
	b := machine(t)
	d, other := openDoor(t, b), openDoor(t, b.Another())
	opened := d.want(200, "", "POST", "/v1/sessions", `{"ttl_ms":60000,"label":"script"}`)
	secret, path := "Lockd-Session-Secret: "+opened["secret"].(string), "/v1/sessions/"+opened["session"].(string)
	hold := fmt.Sprintf(`{"session":%q}`, opened["session"])

	d.want(401, "secret", "POST", "/v1/locks/x/acquire", hold)
	d.want(404, "no_session", "POST", "/v1/locks/x/acquire", hold, "Lockd-Session-Secret: "+strings.Repeat("00", 32))
	d.want(404, "no_session", "POST", "/v1/locks/x/acquire", `{"session":"99"}`, secret)
	first := d.want(200, "", "POST", "/v1/locks/x/acquire", hold, secret)
	if first["session"] != opened["session"] || first["expires_in_ms"] != nil {
		t.Errorf("%v", first)
	}
	short := d.want(200, "", "POST", "/v1/locks/short/acquire", fmt.Sprintf(`{"session":%q,"max_hold_ms":1}`, opened["session"]), secret)
	for d.holders("short") > 0 {
		time.Sleep(time.Millisecond)
	}
	renewed := other.want(200, "", "POST", path+"/renew", ``, secret)
	lost := renewed["lost"].([]any)
	if len(lost) != 1 || lost[0].(map[string]any)["grant"] != short["grant"] || lost[0].(map[string]any)["why"] != "max_hold" {
		t.Errorf("lost %v", lost)
	}
	again := d.want(200, "", "POST", path+"/renew", fmt.Sprintf(`{"seen":%q}`, renewed["seen"]), secret)
	if lost := again["lost"].([]any); len(lost) != 0 {
		t.Errorf("lost again %v", lost)
	}
	d.want(404, "not_held", "POST", "/v1/locks/x/release", fmt.Sprintf(`{"grant":%q}`, first["grant"]))
	other.want(401, "secret", "DELETE", path, "")
	other.want(404, "no_session", "DELETE", path, "", "Lockd-Session-Secret: "+strings.Repeat("00", 32))
	if d.holders("x") != 1 {
		t.Error("a stranger ended the session")
	}
	other.want(200, "", "DELETE", path, "", secret)
	if d.holders("x") != 0 {
		t.Error("a session that was ended still holds")
	}
	d.want(404, "no_session", "DELETE", path, "", secret)
	if log := d.log.String() + other.log.String(); strings.Contains(log, opened["secret"].(string)) {
		t.Errorf("a secret is in the log:\n%s", log)
	}
}

func TestSessionIsOpenedOnceWithAKey(t *testing.T) {
	b := machine(t)
	d, other := openDoor(t, b), openDoor(t, b.Another())
	d.want(400, "invalid", "POST", "/v1/sessions", ``, "Idempotency-Key: k")
	own := "Lockd-Session-Secret: " + strings.Repeat("ab", 32)
	first := d.want(200, "", "POST", "/v1/sessions", ``, "Idempotency-Key: k", own)
	again := other.want(200, "", "POST", "/v1/sessions", ``, "Idempotency-Key: k", own)
	if first["session"] != again["session"] || first["secret"] != nil {
		t.Errorf("%v, again %v", first, again)
	}
	stranger := other.want(200, "", "POST", "/v1/sessions", ``, "Idempotency-Key: k", "Lockd-Session-Secret: "+strings.Repeat("cd", 32))
	if stranger["session"] == first["session"] {
		t.Error("a stranger with the key has the session")
	}
}

// A client that goes away while it waits leaves no place in the queue.
func TestWaitEndsWithItsClient(t *testing.T) {
	d := openDoor(t, machine(t))
	d.want(200, "", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":600000}`)
	ctx, leave := context.WithCancel(context.Background())
	r := httptest.NewRequestWithContext(ctx, "POST", "/v1/locks/x/acquire", strings.NewReader(`{"max_hold_ms":60000,"wait_ms":600000}`))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}()
	waiting := func() int {
		w := get(d.Handler(), "/v1/locks/x")
		var l lockapi.LockDocument
		if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		return len(l.Waiters)
	}
	for waiting() != 1 {
		time.Sleep(time.Millisecond)
	}
	leave()
	select {
	case <-ended:
	case <-time.After(30 * time.Second): // far under the wait, which would end by itself
		t.Fatal("the wait goes on without its client")
	}
	for waiting() != 0 {
		time.Sleep(time.Millisecond)
	}
}

// What is not as it should be is refused before anything is asked of the machine.
func TestChangesAreRefused(t *testing.T) {
	d := openDoor(t, machine(t))
	const acquire, ok = "/v1/locks/x/acquire", `{"max_hold_ms":60000}`
	for _, c := range []struct {
		name         string
		status       int
		code         string
		method, path string
		body         string
		header       string
	}{
		{"another method", 405, "method", "PUT", acquire, ok, ""},
		{"a read", 405, "method", "GET", acquire, "", ""},
		{"a change of what is only read", 405, "method", "POST", "/v1/status", "{}", ""},
		{"no type", 415, "content_type", "POST", acquire, ok, "Content-Type: "},
		{"a form", 415, "content_type", "POST", acquire, ok, "Content-Type: text/plain"},
		{"a page of another origin", 403, "foreign_origin", "POST", acquire, ok, "Origin: https://evil.example"},
		{"a page without an origin", 403, "foreign_origin", "POST", acquire, ok, "Origin: null"},
		{"a page at an address of a stranger's", 403, "foreign_origin", "POST", acquire, ok, "Origin: http://203.0.113.5"},
		{"a page of a name without a dot", 403, "foreign_origin", "POST", acquire, ok, "Origin: http://intranet:7600"},
		{"a page of localhost for an address", 403, "foreign_origin", "POST", acquire, ok, "Origin: http://localhost:7600"},
		{"a page at another port", 403, "foreign_origin", "POST", acquire, ok, "Origin: http://127.0.0.1:3000"},
		{"a page that ends a session", 403, "foreign_origin", "DELETE", "/v1/sessions/1", "", "Origin: http://203.0.113.5"},
		{"another host", 421, "foreign_host", "POST", acquire, ok, "Host: evil.example"},
		{"no JSON", 400, "invalid", "POST", acquire, "max_hold_ms=1", ""},
		{"a list", 400, "invalid", "POST", acquire, "[]", ""},
		{"two objects", 400, "invalid", "POST", acquire, ok + "{}", ""},
		{"an unknown field", 400, "invalid", "POST", acquire, `{"max_hold_ms":60000,"wait":1}`, ""},
		{"a field in another case", 400, "invalid", "POST", acquire, `{"max_hold_ms":60000,"Session":"1"}`, ""},
		{"a field in letters that fold", 400, "invalid", "POST", acquire, `{"max_hold_ms":60000,"wait_m\u017f":1}`, ""},
		{"a field twice", 400, "invalid", "POST", acquire, `{"max_hold_ms":60000,"max_hold_ms":1}`, ""},
		{"nothing for an object", 400, "invalid", "POST", "/v1/sessions", "null", ""},
		{"nothing for a session", 400, "invalid", "POST", acquire, `{"max_hold_ms":60000,"session":null}`, ""},
		{"an empty session", 400, "invalid", "POST", acquire, `{"max_hold_ms":60000,"session":""}`, ""},
		{"a secret without its session", 400, "invalid", "POST", acquire, ok, "Lockd-Session-Secret: " + strings.Repeat("00", 32)},
		{"an object in a field", 400, "invalid", "POST", acquire, `{"max_hold_ms":{}}`, ""},
		{"a number for a session", 400, "invalid", "POST", acquire, `{"max_hold_ms":60000,"session":1}`, ""},
		{"a text for a number", 400, "invalid", "POST", acquire, `{"max_hold_ms":"60000"}`, ""},
		{"half an object", 400, "invalid", "POST", acquire, `{"max_hold_ms":60000`, ""},
		{"fields in the URL", 400, "invalid", "POST", acquire + "?wait_ms=1", ok, ""},
		{"a form that ends a session", 415, "content_type", "DELETE", "/v1/sessions/1", `{}`, "Content-Type: text/plain"},
		{"a body of what has none", 400, "invalid", "DELETE", "/v1/sessions/1", `{"force":1}`, "Lockd-Session-Secret: " + strings.Repeat("00", 32)},
		{"a long body", 413, "too_large", "POST", acquire, `{"mode":"` + strings.Repeat("x", bodySizeMax) + `"}`, ""},
		{"no deadline", 400, "invalid", "POST", acquire, "{}", ""},
		{"a negative deadline", 400, "invalid", "POST", acquire, `{"max_hold_ms":-1}`, ""},
		{"a long wait", 400, "invalid", "POST", acquire, `{"max_hold_ms":1,"wait_ms":600001}`, ""},
		{"no such mode", 400, "invalid", "POST", acquire, `{"max_hold_ms":1,"mode":"upgrade"}`, ""},
		{"permits of a lock", 400, "invalid", "POST", acquire, `{"max_hold_ms":1,"mode":"shared","permits":1,"limit":1}`, ""},
		{"too many permits", 400, "invalid", "POST", acquire, `{"max_hold_ms":1,"permits":2,"limit":1}`, ""},
		{"no limit", 400, "invalid", "POST", acquire, `{"max_hold_ms":1,"permits":2}`, ""},
		{"no session's number", 400, "invalid", "POST", acquire, `{"session":"x"}`, ""},
		{"half a secret", 400, "invalid", "POST", acquire, `{"session":"1"}`, "Lockd-Session-Secret: abcd"},
		{"a long key", 400, "invalid", "POST", acquire, ok, "Idempotency-Key: " + strings.Repeat("k", keySizeMax+1)},
		{"a long name", 400, "invalid", "POST", "/v1/locks/" + strings.Repeat("n", 513) + "/acquire", ok, ""},
		{"a name with NUL", 400, "invalid", "POST", "/v1/locks/%00/acquire", ok, ""},
		{"a name that is no UTF-8", 400, "invalid", "POST", "/v1/locks/%ff/acquire", ok, ""},
		{"no grant", 400, "invalid", "POST", "/v1/locks/x/release", "{}", ""},
		{"no time", 400, "invalid", "POST", "/v1/locks/x/extend", `{"grant":"1"}`, ""},
		{"a short TTL", 400, "invalid", "POST", "/v1/sessions", `{"ttl_ms":1}`, ""},
		{"a long label", 400, "invalid", "POST", "/v1/sessions", `{"label":"` + strings.Repeat("l", 129) + `"}`, ""},
		{"an unknown session", 404, "no_session", "POST", "/v1/sessions/7/renew", "", "Lockd-Session-Secret: " + strings.Repeat("00", 32)},
		{"no such thing to do", 404, "no_such_path", "GET", "/v1/locks/x/steal", "", ""},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			d := &door{Server: d.Server, t: t}
			answer := d.want(c.status, c.code, c.method, c.path, c.body, strings.Split(c.header, "\n")...)
			if why, _ := answer["error"].(string); len(why) < 8 {
				t.Errorf("says only %q", why)
			}
		})
	}
	if d.holders("x") != 0 {
		t.Error("something was held")
	}
}

// A page that a node has served may change something by that node, in whatever
// case a browser has the host.
// A browser says one origin. Of two, one may be a stranger's.
func TestTwoOriginsAreForeign(t *testing.T) {
	s := openDoor(t, machine(t)).Server
	for _, origins := range [][]string{{"http://127.0.0.1:7600", "http://evil.example"}, {"http://evil.example", "http://127.0.0.1:7600"}} {
		r := httptest.NewRequest("POST", "/v1/locks/x/acquire", strings.NewReader(`{"max_hold_ms":60000}`))
		r.Host = "127.0.0.1:7600"
		r.Header = http.Header{"Content-Type": {"application/json"}, "Origin": origins}
		w := httptest.NewRecorder()
		if s.Handler().ServeHTTP(w, r); w.Code != http.StatusForbidden {
			t.Errorf("%v: %d %s", origins, w.Code, w.Body)
		}
	}
}

// Losses are told once, in their order: what comes twice is told once, and what comes
// without the one before it is left to the next renewal.
func TestLossesInTheirTurn(t *testing.T) {
	loss := func(n fsm.EventID) fsm.Outcome {
		return fsm.Outcome{Kind: fsm.OutcomeLoss, Event: n, Result: fsm.Result{Status: fsm.StatusForced, Grant: fsm.GrantID(10 + n)}}
	}
	for _, c := range []struct {
		heard []fsm.EventID
		seen  uint64
		want  []fsm.GrantID
	}{
		{[]fsm.EventID{1, 2, 3}, 3, []fsm.GrantID{11, 12, 13}},
		{[]fsm.EventID{1, 1, 2, 1, 3}, 3, []fsm.GrantID{11, 12, 13}},
		{[]fsm.EventID{1, 3}, 1, []fsm.GrantID{11}},
		{[]fsm.EventID{2, 3}, 0, nil},
	} {
		events := make(chan fsm.Outcome, len(c.heard))
		for _, n := range c.heard {
			events <- loss(n)
		}
		close(events)
		a := lost(7, events, 0, 3)
		var told []fsm.GrantID
		for _, l := range a.Lost {
			told = append(told, l.Grant)
		}
		if a.Seen != c.seen || !slices.Equal(told, c.want) {
			t.Errorf("of events %v: %v up to %d, want %v up to %d", c.heard, told, a.Seen, c.want, c.seen)
		}
	}
}

// What a hold without an end lacks is told by its name; the machine would only say that
// it is invalid.
func TestHoldWithoutAnEnd(t *testing.T) {
	d := openDoor(t, machine(t))
	answer := d.want(400, "invalid", "POST", "/v1/locks/x/acquire", "{}")
	if why, _ := answer["error"].(string); !strings.Contains(why, "max_hold_ms is wanted without a session") {
		t.Errorf("says only %q", why)
	}
}

func TestOwnPagesMayChange(t *testing.T) {
	d := openDoor(t, machine(t))
	const body = `{"max_hold_ms":60000,"mode":"shared"}`
	d.want(200, "", "POST", "/v1/locks/x/acquire", body, "Origin: http://127.0.0.1:7600")
	d.want(200, "", "POST", "/v1/locks/x/acquire", body, "Host: Localhost:7600", "Origin: http://localhost:7600")
}

func TestReadOnlyServerChangesNothing(t *testing.T) {
	s := serverOf(t, &node{}, Options{})
	d := &door{Server: s, t: t}
	d.want(http.StatusNotImplemented, "unsupported", "POST", "/v1/sessions", "{}")
}

// FuzzChange: whatever is sent, the answer is JSON, and an error says its code.
func FuzzChange(f *testing.F) {
	f.Add("POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000}`, "1", "k")
	f.Add("POST", "/v1/sessions", `{"ttl_ms":1000}`, strings.Repeat("ab", 32), "")
	f.Add("DELETE", "/v1/sessions/1", "", strings.Repeat("00", 32), "")
	f.Add("POST", "/v1/locks/%2e%2e/release", `{"grant":"1","session":"2"}`, "", "")
	b := mem.New()
	s, err := NewServer(memNode{&node{}, b}, Options{Backend: b})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	f.Fuzz(func(t *testing.T, method, path, body, secret, key string) {
		r, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		if err != nil || strings.Contains(body, "wait_ms") || !strings.HasPrefix(r.URL.EscapedPath(), "/v1/") {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Lockd-Session-Secret", secret)
		r.Header.Set("Idempotency-Key", key)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		var got document
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%d %q: %v", w.Code, w.Body, err)
		}
		if code, _ := got["code"].(string); (w.Code == http.StatusOK) != (code == "") || w.Code == http.StatusInternalServerError {
			t.Fatalf("%d %v", w.Code, got)
		}
	})
}

func TestMetricsAreWhoeverGivesThem(t *testing.T) {
	d := &door{Server: serverOf(t, &node{}, Options{}), t: t}
	d.want(404, "no_such_path", "GET", "/metrics", "")
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"shown":true}`) })
	d.Server = serverOf(t, &node{}, Options{Metrics: metrics})
	if answer := d.want(200, "", "GET", "/metrics", ""); answer["shown"] != true {
		t.Error(answer)
	}
}
