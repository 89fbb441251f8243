package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node answers as its fields say.
type node struct {
	view    lockapi.View
	status  lockapi.Status
	err     error // of Inspect and Status
	unready error
	block   bool          // Inspect waits for its context
	began   chan struct{} // and says so here, if there is room

	asked lockapi.Query
}

func (n *node) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	if n.block {
		select {
		case n.began <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return lockapi.View{}, ctx.Err()
	}
	n.asked = q
	return n.view, n.err
}

func (n *node) Status(context.Context) (lockapi.Status, error) { return n.status, n.err }
func (n *node) Ready() error                                   { return n.unready }

func serverOf(t *testing.T, n *node, o Options) *Server {
	t.Helper()
	s, err := NewServer(n, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks the handler, as curl would.
func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "127.0.0.1:7600"
	h.ServeHTTP(w, r)
	return w
}

var held = fsm.LockView{
	Name: "a/b", Kind: fsm.KindLock,
	Holders: []fsm.HolderView{{Session: 5, Label: "host/1/x", Owner: "~1.1", Mode: fsm.Exclusive, Count: 1, Token: 7,
		Held: fsm.Second, Expires: 2 * fsm.Second}},
}

const heldJSON = `{"name":"a/b","kind":"lock","limit":0,"holder_count":0,"waiter_count":0,"holders":[{"session":"5","label":"host/1/x","owner":"",` +
	`"mode":"exclusive","permits":0,"count":1,"token":"7","held_ms":1000,"expires_in_ms":2000}],"waiters":[]}`

func TestLock(t *testing.T) {
	n := &node{view: lockapi.View{Index: 12, At: 3_999_999, Locks: []fsm.LockView{held}}}
	w := get(serverOf(t, n, Options{}).Handler(), "/v1/locks/a%2Fb?stale=true")
	if w.Code != http.StatusOK || w.Body.String() != heldJSON+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if n.asked != (lockapi.Query{Name: "a/b", Stale: true}) {
		t.Errorf("asked %+v", n.asked)
	}
	for key, want := range map[string]string{
		"Content-Type": "application/json", "Lockd-Applied-Index": "12", "Lockd-Machine-Time-Ms": "3",
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
	} {
		if got := w.Header().Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// TestNames: every name that a lock can have is one segment of a path.
func TestNames(t *testing.T) {
	n := &node{}
	h := serverOf(t, n, Options{}).Handler()
	for _, name := range []string{"a", "..", ".", "a/../b", "a/b", "/", "//a", "%2F", "a b+c?d#e&f=g;h", "ünïcode \u2028", "<script>", "\n", strings.Repeat("n", 512)} {
		w := get(h, "/v1/locks/"+url.PathEscape(name))
		var d lockapi.LockDocument
		if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != http.StatusOK || d.Name != name || n.asked.Name != name {
			t.Errorf("%q: %d, asked for %q, %v: %s", name, w.Code, n.asked.Name, err, w.Body)
		}
		if d.Kind != "" || d.Holders == nil || d.Waiters == nil {
			t.Errorf("%q is idle, but: %s", name, w.Body)
		}
	}
	for _, segment := range []string{"%00", "%ff", strings.Repeat("n", 513)} {
		if w := get(h, "/v1/locks/"+segment); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "512") {
			t.Errorf("%q: %d %s", segment, w.Code, w.Body)
		}
	}
	if w := get(h, "/v1/locks/a/b"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "%2F") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLocks(t *testing.T) {
	n := &node{view: lockapi.View{Index: 1, Locks: []fsm.LockView{held, {Name: "b"}}, More: true}}
	h := serverOf(t, n, Options{}).Handler()
	w := get(h, "/v1/locks?prefix=a&after=a%2Fa&limit=2&stale=1")
	want := `{"locks":[` + heldJSON + `,{"name":"b","kind":"","limit":0,"holder_count":0,"waiter_count":0,"holders":[],"waiters":[]}],"more":true}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, diff)
	}
	if n.asked != (lockapi.Query{Prefix: "a", After: "a/a", Limit: 2, Stale: true}) {
		t.Errorf("asked %+v", n.asked)
	}
	n.view = lockapi.View{}
	if w := get(h, "/v1/locks?prefix=&stale="); w.Body.String() != `{"locks":[],"more":false}`+"\n" {
		t.Errorf("%s", w.Body)
	}
	if n.asked != (lockapi.Query{Limit: 100}) {
		t.Errorf("asked %+v", n.asked)
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "limit=-1", "stale=maybe", "perfix=a", "prefix=a&prefix=b",
		"prefix=%ff", "after=%00", "prefix=" + strings.Repeat("p", 513), "a=%zz"} {
		if w := get(h, "/v1/locks?"+query); w.Code != http.StatusBadRequest || !strings.HasPrefix(w.Body.String(), `{"error":`) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	if w := get(h, "/v1/locks/a?limit=1"); w.Code != http.StatusBadRequest {
		t.Errorf("a limit of one lock: %d", w.Code)
	}
}

func TestStatus(t *testing.T) {
	n := &node{status: lockapi.Status{ClusterID: "c1", Node: "a", Leader: "b", Term: 3, AppliedIndex: 9, Level: 1,
		Nodes: []lockapi.NodeStatus{{ID: "a", Address: "127.0.0.1:7600", Voter: true, Alive: true}}}}
	h := serverOf(t, n, Options{}).Handler()
	w := get(h, "/v1/status")
	want := `{"cluster_id":"c1","node":"a","leader":"b","term":3,"applied_index":9,"level":1,` +
		`"nodes":[{"id":"a","address":"127.0.0.1:7600","voter":true,"alive":true}]}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, diff)
	}
	n.status = lockapi.Status{}
	if w := get(h, "/v1/status"); !strings.Contains(w.Body.String(), `"nodes":[]`) || !strings.Contains(w.Body.String(), `"leader":""`) {
		t.Errorf("%s", w.Body)
	}
}

func TestRoot(t *testing.T) {
	n := &node{status: lockapi.Status{ClusterID: "c1", Node: "a", Leader: "b"}}
	h := serverOf(t, n, Options{}).Handler()
	w := get(h, "/")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, word := range []string{"node     a\n", "leader   b\n", "/healthz", "/readyz", "/v1/status", "/v1/locks/{name}"} {
		if !strings.Contains(w.Body.String(), word) {
			t.Errorf("no %q in:\n%s", word, w.Body)
		}
	}
	n.status.Leader = ""
	if w := get(h, "/"); !strings.Contains(w.Body.String(), "leader   none") {
		t.Errorf("%s", w.Body)
	}
	n.err = lockapi.ErrClosed
	if w := get(h, "/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "not known: closed") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/x", "/v1", "/v2/locks", "/metrics", "/v1/", "/v1/locks/", "//", "/v1//locks", "/healthz/"} {
		if w := get(h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestProbes(t *testing.T) {
	n := &node{err: errors.New("nothing works")}
	h := serverOf(t, n, Options{}).Handler()
	for _, c := range []struct {
		path    string
		unready error
		code    int
		body    string
	}{
		{"/healthz", nil, 200, "ok\n"},
		{"/healthz", errors.New("no leader"), 200, "ok\n"},
		{"/readyz", nil, 200, "ready\n"},
		{"/readyz", errors.New("no leader"), 503, "not ready: no leader\n"},
	} {
		n.unready = c.unready
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Host = "some.balancer.example" // a probe need not know our name
		h.ServeHTTP(w, r)
		if w.Code != c.code || w.Body.String() != c.body {
			t.Errorf("%s: %d %q, want %d %q", c.path, w.Code, w.Body, c.code, c.body)
		}
	}
}

func TestErrors(t *testing.T) {
	var log strings.Builder
	n := &node{}
	s := serverOf(t, n, Options{Logger: logTo(&log)})
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{fmt.Errorf("inspect: %w", lockapi.ErrInvalid), 400, "invalid"},
		{&lockapi.LimitError{Limit: fsm.LimitName, Value: 3}, 400, "name"},
		{lockapi.ErrUnsupported, 501, "not supported"},
		{lockapi.ErrUnavailable, 503, "unavailable"},
		{errors.Join(lockapi.ErrUnknown, context.DeadlineExceeded), 503, "leader"},
		{lockapi.ErrClosed, 503, "closed"},
		{errors.New("/secret/path: disk on fire"), 500, "internal"},
	} {
		n.err = c.err
		for _, path := range []string{"/v1/status", "/v1/locks", "/v1/locks/a"} {
			w := get(s.Handler(), path)
			var f failure
			if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || w.Code != c.code || !strings.Contains(f.Error, c.says) {
				t.Errorf("%s, %v: %d %s", path, c.err, w.Code, w.Body)
			}
			if when := w.Header().Get("Retry-After"); (when != "") != (c.code == 503) {
				t.Errorf("%s, %v: %d with Retry-After %q", path, c.err, w.Code, when)
			}
			if strings.Contains(f.Error, "secret") {
				t.Errorf("told a stranger: %s", f.Error)
			}
		}
	}
	if strings.Count(log.String(), "disk on fire") != 3 {
		t.Errorf("the log says %q", &log)
	}
}

// TestOnlyReads: other methods and bodies are refused where nothing can be changed.
func TestOnlyReads(t *testing.T) {
	h := serverOf(t, &node{}, Options{}).Handler()
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/v1/locks/a", nil)
		r.Host = "localhost"
		h.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", strings.NewReader("body")))
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body: %d", w.Code)
	}
}

// TestHost: DNS rebinding needs a name; a page of that name reads nothing.
func TestHost(t *testing.T) {
	for _, c := range []struct {
		host  string
		hosts []string
		ours  bool
	}{
		{"127.0.0.1:7600", nil, true},
		{"127.0.0.1", nil, true},
		{"[::1]:7600", nil, true},
		{"[::1]", nil, true},
		{"192.0.2.7:7600", nil, true},
		{"localhost:7600", nil, true},
		{"LOCALHOST", nil, true},
		{"a.localhost", nil, true},
		{"lockd-1:7600", nil, true},
		{"evil.example:7600", nil, false},
		{"evil.example.", nil, false},
		{"127.0.0.1.evil.example", nil, false},
		{"localhost.evil.example", nil, false},
		{"", nil, false},
		{"lockd.internal:7600", []string{"Lockd.Internal"}, true},
		{"lockd.internal.", []string{"lockd.internal"}, true},
		{"evil.example", []string{"lockd.internal"}, false},
		{"evil.example", []string{"*"}, true},
	} {
		h := serverOf(t, &node{}, Options{Hosts: c.hosts}).Handler()
		for _, path := range []string{"/", "/v1/status", "/v1/locks", "/v1/locks/a"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = c.host
			h.ServeHTTP(w, r)
			want := http.StatusOK
			if !c.ours {
				want = http.StatusMisdirectedRequest
			}
			if w.Code != want {
				t.Errorf("Host %q with %v: %s is %d", c.host, c.hosts, path, w.Code)
			}
		}
	}
}

// TestReads: the time and the number of reads under way are bounded.
func TestReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serverOf(t, &node{block: true}, Options{}).Handler()
		codes := make(chan int)
		for range readsMax {
			go func() { codes <- get(h, "/v1/locks").Code }()
		}
		synctest.Wait()
		start := time.Now()
		for _, path := range []string{"/v1/locks/a", "/v1/locks", "/v1/status", "/"} {
			if w := get(h, path); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
				t.Errorf("one more: %s is %d %s", path, w.Code, w.Body)
			}
		}
		for range readsMax {
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Errorf("%d without an answer", code)
			}
		}
		if d := time.Since(start); d != readTimeout {
			t.Errorf("a read took %v", d)
		}
		if w := get(h, "/v1/status"); w.Code != http.StatusOK {
			t.Errorf("afterwards %d", w.Code)
		}
	})
}

// TestOverPort: the real thing, on the port that everybody shares.
func TestOverPort(t *testing.T) {
	p, err := transport.Listen("127.0.0.1:0", transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := serverOf(t, &node{view: lockapi.View{Locks: []fsm.LockView{held}}}, Options{})
	served := make(chan error)
	go func() { served <- s.Serve(p.HTTP()) }()

	client := &http.Client{Transport: &http.Transport{}}
	base := "http://" + p.Addr().String()
	for _, path := range []string{"/healthz", "/v1/locks/a%2Fb", "/v1/locks"} { // on one connection
		response, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 1 {
			t.Errorf("%s: %d %s %v", path, response.StatusCode, body, err)
		}
	}
	response, err := client.Head(base + "/v1/locks/a%2Fb")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %v %v", response, err)
	}
	_ = response.Body.Close()
	request, _ := http.NewRequest(http.MethodGet, base+"/healthz", nil)
	request.Header.Set("Padding", strings.Repeat("x", 2*headerSizeMax))
	response, err = client.Do(request)
	if err != nil || response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a large header: %v %v", response, err)
	}
	_ = response.Body.Close()
	client.CloseIdleConnections()

	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestSlowLoris: a request that does not end, ends.
func TestSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &one{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		client, server := net.Pipe()
		l.conns <- server
		s := serverOf(t, &node{}, Options{})
		served := make(chan error)
		go func() { served <- s.Serve(l) }()
		start := time.Now()
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: "); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, client)
		if d := time.Since(start); d > headerTimeout {
			t.Errorf("it lived for %v", d)
		}
		_ = client.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-served
	})
}

// TestShutdownInTime: a request that does not end is cut when ctx ends.
func TestShutdownInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{}, 1)
	s := serverOf(t, &node{block: true, began: began}, Options{})
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(nc, "GET /v1/locks HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, nc)
	_ = nc.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	if _, err := NewServer(&node{}, Options{Hosts: []string{"", "a:1"}}); err == nil || strings.Count(err.Error(), "Hosts") != 2 {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := serverOf(t, &node{}, Options{}).Serve(l); err == nil {
		t.Error("served a closed listener")
	}
}

// one is a listener in memory.
type one struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *one) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *one) Close() error   { close(l.closed); return nil }
func (l *one) Addr() net.Addr { return &net.UnixAddr{Name: "one", Net: "one"} }

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
