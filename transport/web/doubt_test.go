package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

// A doubtful backend does what a client's session is for and loses the answer; from
// then on it cannot be reached.
type doubtful struct {
	lockapi.Backend
	op   fsm.Op
	sent atomic.Bool
}

func (b *doubtful) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	switch {
	case c.Op != b.op || c.Label == "http": // the server's own session has that label
		return b.Backend.Do(ctx, c)
	case b.sent.Swap(true):
		return fsm.Result{}, lockapi.ErrUnavailable
	}
	if _, err := b.Backend.Do(ctx, c); err != nil {
		return fsm.Result{}, err
	}
	return fsm.Result{}, lockapi.ErrUnknown
}

// What was sent once may have been done, though it is refused when it is sent
// again: the session was ended, and who is told that nothing was done would go on
// with it.
func TestDoubtIsKept(t *testing.T) {
	for op, name := range map[fsm.Op]string{fsm.OpOpen: "open", fsm.OpClose: "close"} {
		t.Run(name, func(t *testing.T) {
			b := machine(t)
			open := openDoor(t, b).want(200, "", "POST", "/v1/sessions", `{"label":"script"}`)
			d := doorOver(t, b, &doubtful{Backend: b, op: op})
			d.patience = 500 * time.Millisecond
			if op == fsm.OpOpen {
				d.want(504, "unknown", "POST", "/v1/sessions", `{"label":"script"}`)
				return
			}
			d.want(504, "unknown", "DELETE", "/v1/sessions/"+open["session"].(string), "", "Lockd-Session-Secret: "+open["secret"].(string))
		})
	}
}

// An error that is both: the first time it was sent, the second it was turned away.
func TestUnknownIsNotOverloaded(t *testing.T) {
	both := fmt.Errorf("%w: %w", lockapi.ErrUnknown, &lockapi.OverloadError{What: "commands under way: 8192"})
	d, _ := openFailing(t, both)
	d.want(504, "unknown", "POST", "/v1/sessions", `{"label":"`+clientLabel+`"}`)
}

// A mute backend answers no acquire, but all else: so what is withdrawn is known to be.
type mute struct{ lockapi.Backend }

func (b mute) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if c.Op != fsm.OpAcquire {
		return b.Backend.Do(ctx, c)
	}
	<-ctx.Done()
	return fsm.Result{}, lockapi.ErrUnknown
}

// 409 says that somebody else holds it, which nobody has said here: the script that
// asked would leave its work to him.
func TestSilenceIsNotBusy(t *testing.T) {
	b := machine(t)
	d := doorOver(t, b, mute{b})
	d.want(200, "", "POST", "/v1/sessions", `{"label":"script"}`) // so that it is not for want of one
	d.patience = 500 * time.Millisecond
	for _, body := range []string{`{"max_hold_ms":60000}`, `{"max_hold_ms":60000,"wait_ms":1}`} {
		d.want(503, "unavailable", "POST", "/v1/locks/x/acquire", body)
	}
	d = openDoor(t, b)
	d.want(200, "", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000}`)
	for _, body := range []string{`{"max_hold_ms":60000}`, `{"max_hold_ms":60000,"wait_ms":1}`} {
		code := "busy"
		if strings.Contains(body, "wait") {
			code = "timeout"
		}
		d.want(409, code, "POST", "/v1/locks/x/acquire", body)
	}
}

// doorOver is a door whose node does b, and shows the machine.
func doorOver(t *testing.T, machine *mem.Backend, b lockapi.Backend) *door {
	t.Helper()
	s, err := NewServer(memNode{&node{}, machine}, Options{Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		at, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(at) // what it goes on sending is never answered
	})
	return &door{Server: s, t: t}
}

// A wait is longer than the deadlines of its connection, which are for who sends and
// reads slowly; and that its client goes away is noticed after them as well.
func TestWaitOutlastsDeadlines(t *testing.T) {
	const deadline = 50 * time.Millisecond
	b := machine(t)
	d := openDoor(t, b)
	d.http.ReadTimeout, d.http.WriteTimeout = deadline, deadline
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(l) }()
	ctx, leave := context.WithCancel(t.Context())
	held := d.want(200, "", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":600000}`)
	stays, leaves := post(t.Context(), l.Addr()), post(ctx, l.Addr())
	d.waiting("x", 2)
	time.Sleep(4 * deadline)
	d.waiting("x", 2) // still
	leave()
	d.waiting("x", 1)
	<-leaves
	d.want(200, "", "POST", "/v1/locks/x/release", fmt.Sprintf(`{"grant":%q}`, held["grant"]))
	if got := <-stays; got != "200 OK" {
		t.Errorf("who waited: %s", got)
	}
	_ = d.http.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// post waits for the lock x at an address, and tells its status.
func post(ctx context.Context, to net.Addr) <-chan string {
	told := make(chan string, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, "POST", "http://"+to.String()+"/v1/locks/x/acquire", strings.NewReader(`{"max_hold_ms":60000,"wait_ms":600000}`))
		if err != nil {
			told <- err.Error()
			return
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			told <- err.Error()
			return
		}
		_ = answer.Body.Close()
		told <- answer.Status
	}()
	return told
}

// waiting returns when n wait for a name.
func (d *door) waiting(name string, n int) {
	d.t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		var l lockapi.LockDocument
		if err := json.Unmarshal(get(d.Handler(), "/v1/locks/"+name).Body.Bytes(), &l); err != nil {
			d.t.Fatal(err)
		}
		if len(l.Waiters) == n {
			return
		}
		if time.Since(begun) > 30*time.Second {
			d.t.Fatalf("%d wait, not %d", len(l.Waiters), n)
		}
	}
}

// Those who wait do not keep out the release that they wait for, nor who renews.
func TestWaitsLeaveRoomForWhatEndsThem(t *testing.T) {
	d := openDoor(t, machine(t))
	held := d.want(200, "", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":600000}`)
	for range waitsMax {
		d.waits <- struct{}{}
		d.writes <- struct{}{} // as each of them has
	}
	d.want(503, "overloaded", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000,"wait_ms":60000}`)
	d.want(200, "", "POST", "/v1/sessions", `{}`)
	d.want(200, "", "POST", "/v1/locks/x/release", fmt.Sprintf(`{"grant":%q}`, held["grant"]))
	<-d.waits
	d.want(200, "", "POST", "/v1/locks/x/acquire", `{"max_hold_ms":60000,"wait_ms":60000}`)
	if len(d.waits) != waitsMax-1 {
		t.Error("a wait that has ended keeps its place")
	}
}

// What is scraped takes a place as what is read does.
func TestMetricsAreBounded(t *testing.T) {
	shown := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
	d := &door{Server: serverOf(t, &node{}, Options{Metrics: shown}), t: t}
	for range readsMax {
		d.reads <- struct{}{}
	}
	d.want(503, "unavailable", "GET", "/metrics", "")
	<-d.reads
	d.want(200, "", "GET", "/metrics", "")
}

// docs/http.md lists every code that is answered.
func TestCodesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]int{"secret": 401, codeNoSession: 404, "overloaded": 503}
	for status := 400; status < 600; status++ {
		codes[codeOf(status)] = status
	}
	codes["internal"] = 500
	for _, status := range []fsm.Status{
		fsm.StatusInvalid, fsm.StatusNotHeld, fsm.StatusBusy, fsm.StatusTimeout, fsm.StatusLimit, fsm.StatusLevel,
		fsm.StatusKindConflict, fsm.StatusLimitConflict, fsm.StatusModeConflict,
	} {
		codes[status.String()] = statusOf(status)
	}
	for code, status := range codes {
		row := regexp.MustCompile(fmt.Sprintf("(?m)^\\| [0-9, ]*%d[0-9, ]* \\|[^|]*`%s`", status, regexp.QuoteMeta(code)))
		if !row.Match(page) {
			t.Errorf("docs/http.md has no row of %d %s", status, code)
		}
	}
}
