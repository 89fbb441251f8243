package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

// A failing backend does nothing for clients, and says why. The server's own
// session lives.
type failing struct {
	lockapi.Backend
	err error
}

// client is the session of a client's, which was never opened, and labels those
// that clients open.
const (
	client      fsm.SessionID = 31
	clientLabel               = "script"
)

func (b failing) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if c.Behalf != fsm.BehalfSelf || c.Session == client || c.Op == fsm.OpOpen && c.Label == clientLabel {
		return fsm.Result{}, b.err
	}
	return b.Backend.Do(ctx, c)
}

func (b failing) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	if a.Session == client {
		return nil, b.err
	}
	return b.Backend.Attach(ctx, a)
}

// openFailing is a door whose node fails, with all that it logs, however fine.
func openFailing(t *testing.T, err error) (d *door, log *spoken) {
	t.Helper()
	log = new(spoken)
	b := machine(t)
	s, bad := NewServer(memNode{&node{}, b}, Options{
		Backend: failing{b, err},
		Logger:  slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if bad != nil {
		t.Fatal(bad)
	}
	t.Cleanup(func() {
		at, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(at) // what it goes on sending is never answered
	})
	return &door{Server: s, t: t, patience: 100 * time.Millisecond}, log
}

// Who is refused for load is told when to come again, in whole seconds that are
// not too few.
func TestOverload(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		says  string
	}{{0, "1"}, {time.Millisecond, "1"}, {2500 * time.Millisecond, "3"}} {
		d, _ := openFailing(t, fmt.Errorf("do: %w", &lockapi.OverloadError{What: "commands under way: 8192", RetryAfter: c.after}))
		r := httptest.NewRequest("POST", "/v1/locks/x/acquire", strings.NewReader(`{"max_hold_ms":60000}`))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if w.Code != 503 || w.Header().Get("Retry-After") != c.says || !strings.Contains(w.Body.String(), `"overloaded"`) {
			t.Errorf("%v: %d %v %s", c.after, w.Code, w.Header(), w.Body)
		}
	}
}

// Too many requests at a time are refused, and a place that is left is free.
func TestTooManyChanges(t *testing.T) {
	d := openDoor(t, machine(t))
	for range writesMax {
		d.writes <- struct{}{}
	}
	d.want(503, "overloaded", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000}`)
	<-d.writes
	d.want(200, "", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000}`)
}

// A key is of one name and one session: with it nobody is given the grant of
// another request.
func TestKeyIsOfOneRequest(t *testing.T) {
	d := openDoor(t, machine(t))
	const key = "Idempotency-Key: k"
	seen := map[any]string{}
	held := func(what, name, body string, headers ...string) {
		t.Helper()
		got := d.want(200, "", "POST", "/v1/locks/"+name+"/acquire", body, append(headers, key)...)
		if before, again := seen[got["grant"]]; again {
			t.Errorf("%s has the grant of %s", what, before)
		}
		seen[got["grant"]] = what
	}
	held("nobody", "x", `{"max_hold_ms":60000,"mode":"shared"}`)
	held("nobody, of another name", "y", `{"max_hold_ms":60000,"mode":"shared"}`)
	for _, who := range []string{"a session", "another session"} {
		opened := d.want(200, "", "POST", "/v1/sessions", `{}`)
		held(who, "x", fmt.Sprintf(`{"session":%q,"max_hold_ms":60000,"mode":"shared"}`, opened["session"]),
			"Lockd-Session-Secret: "+opened["secret"].(string))
	}
	d.want(400, "invalid", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000}`, key) // of a request for something else
}

// A key that is used again for something else is refused with the reason, whether
// what it was used for is held or waits, here or at another node.
func TestKeyOfSomethingElse(t *testing.T) {
	b := machine(t)
	d, other := openDoor(t, b), openDoor(t, b.Another())
	bodies := map[string]string{
		"exclusive": `{"max_hold_ms":60000,"mode":"exclusive"`,
		"shared":    `{"max_hold_ms":60000,"mode":"shared"`,
		"one":       `{"max_hold_ms":60000,"permits":1,"limit":3`,
		"two":       `{"max_hold_ms":60000,"permits":2,"limit":3`,
	}
	reused := func(at *door, what, name, body, key string) {
		t.Helper()
		got := at.want(400, "invalid", "POST", "/v1/locks/"+name+"/acquire", body, "Idempotency-Key: "+key)
		if text := got["error"].(string); !strings.Contains(text, "Idempotency-Key") || !strings.Contains(text, "another mode, permits") {
			t.Errorf("%s: %s", what, text)
		}
	}
	for first, body := range bodies {
		d.want(200, "", "POST", "/v1/locks/"+first+"/acquire", body+"}", "Idempotency-Key: "+first)
		for then, another := range bodies {
			if then != first {
				reused(d, first+", then "+then, first, another+"}", first)
				reused(other, first+", then "+then+" elsewhere", first, another+"}", first)
			}
		}
	}
	held := d.want(200, "", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000}`)
	waits := make(chan document)
	go func() {
		waits <- d.want(200, "", "POST", "/v1/locks/x/acquire", bodies["exclusive"]+`,"wait_ms":60000}`, "Idempotency-Key: w")
	}()
	d.waiting("x", 1)
	reused(d, "while it waits", "x", bodies["shared"]+`,"wait_ms":60000}`, "w")
	d.want(200, "", "POST", "/v1/locks/x/release", fmt.Sprintf(`{"grant":%q}`, held["grant"]))
	<-waits
}

// A / in a name is one of the path: whoever writes it so is told how to write it.
func TestSlashInAName(t *testing.T) {
	d := openDoor(t, machine(t))
	for _, c := range [][3]string{
		{"POST", "/v1/locks/a/b/acquire", "/v1/locks/a%2Fb/acquire"},
		{"POST", "/v1/locks/a/b/c/release", "/v1/locks/a%2Fb%2Fc/release"},
		{"POST", "/v1/locks//extend/extend", "/v1/locks/%2Fextend/extend"},
		{"POST", "/v1/locks/a%20b//acquire", "/v1/locks/a%20b%2F/acquire"},
		{"GET", "/v1/locks/a/b", "/v1/locks/a%2Fb"},
		{"GET", "/v1/locks//", "/v1/locks/%2F"},
	} {
		body := ""
		if c[0] == "POST" {
			body = `{"max_hold_ms":60000,"grant":"1"}`
		}
		got := d.want(404, "no_such_path", c[0], c[1], body)
		if text := got["error"].(string); !strings.HasSuffix(text, ": "+c[2]) {
			t.Errorf("%s %s: %s", c[0], c[1], text)
		}
		if c[0] == "GET" {
			d.want(200, "", "GET", c[2], "")
		}
	}
	held := d.want(200, "", "POST", "/v1/locks/a%2Fb/acquire", `{"max_hold_ms":60000}`)
	if held["name"] != "a/b" {
		t.Errorf("%v", held)
	}
}

// A secret is told to who opened the session, and otherwise is in no answer and no
// log, whatever fails and however fine the log; nor is a key.
func TestSecretsAreNotTold(t *testing.T) {
	const key = "key-of-a-request"
	whole, half := strings.Repeat("5ec7e7", 10)+"5ec7", "5ec7e7half"
	for _, failure := range []error{errors.New("disk on fire"), lockapi.ErrDenied, lockapi.ErrSessionGone, lockapi.ErrClosed, lockapi.ErrLimit} {
		d, log := openFailing(t, failure)
		for _, secret := range []string{whole, half} {
			for _, c := range [][3]string{
				{"POST", "/v1/sessions", `{"ttl_ms":60000,"label":"` + clientLabel + `"}`},
				{"POST", "/v1/sessions/31/renew", ``},
				{"DELETE", "/v1/sessions/31", ``},
				{"POST", "/v1/locks/x/acquire", `{"session":"31"}`},
				{"POST", "/v1/locks/x/release", `{"session":"31","grant":"4"}`},
				{"POST", "/v1/locks/x/extend", `{"session":"31","grant":"4","max_hold_ms":1000}`},
			} {
				status, answer := d.send(c[0], c[1], c[2], "Lockd-Session-Secret: "+secret, "Idempotency-Key: "+key)
				if status == 200 {
					t.Errorf("%v: %s %s is done", failure, c[0], c[1])
				}
				for _, told := range []string{fmt.Sprint(answer), log.String()} {
					if strings.Contains(told, secret) || strings.Contains(told, key) {
						t.Errorf("%v: %s %s tells %q", failure, c[0], c[1], told)
					}
				}
			}
		}
	}
}

// FuzzName: a name is taken as it was encoded, or refused; never another.
func FuzzName(f *testing.F) {
	for _, name := range []string{"a/b", "..", ".", "/", "%2F", "a b", "ü", "\x00", "\xff", "", "?x=1#y", strings.Repeat("n", 513)} {
		f.Add(name)
	}
	b := mem.New()
	s, err := NewServer(memNode{&node{}, b}, Options{Backend: b})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = s.Shutdown(context.Background())
		_ = b.Close()
	})
	f.Fuzz(func(t *testing.T, name string) {
		d := &door{Server: s, t: t}
		path := "/v1/locks/" + url.PathEscape(name)
		if name == "" {
			return // another path
		}
		if len(path) > headerSizeMax {
			return
		}
		status, got := d.send("POST", path+"/acquire", `{"max_hold_ms":60000,"mode":"shared"}`)
		if valid := fsm.ValidName(name); valid != (status == 200) || !valid && status != 400 {
			t.Fatalf("%q: %d %v", name, status, got)
		}
		if status != 200 {
			return
		}
		if got["name"] != name {
			t.Fatalf("%q is taken as %q", name, got["name"])
		}
		if _, shown := d.send("GET", path, ""); shown["name"] != name || shown["kind"] == "" {
			t.Fatalf("%q is shown as %v", name, shown)
		}
		d.want(200, "", "POST", path+"/release", fmt.Sprintf(`{"grant":%q}`, got["grant"]))
	})
}
