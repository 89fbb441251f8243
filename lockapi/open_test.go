package lockapi_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

func TestOpenRefusals(t *testing.T) {
	for _, c := range []struct {
		url  string
		o    lockapi.Options
		want error
		says string
	}{
		{url: "nowhere://x", want: lockapi.ErrUnsupported, says: "mem"},
		{url: "x", want: lockapi.ErrUnsupported},
		{url: "mem://secret:pass word@x\x7f", want: lockapi.ErrInvalid},
		{url: "refusing://u:secret@x", want: lockapi.ErrUnavailable, says: "refusing://u:xxxxx@x"},
		{url: "mem://x", o: lockapi.Options{TTL: time.Millisecond, Label: "\xff"}, want: lockapi.ErrInvalid, says: "label"},
		{url: "mem://x", o: lockapi.Options{TTL: 25 * time.Hour}, want: lockapi.ErrInvalid, says: "TTL"},
	} {
		_, err := lockapi.Open(t.Context(), c.url, c.o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", c.url, err)
		}
	}
	before := closes.Load()
	c, err := lockapi.Open(t.Context(), "counting://x", lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil || closes.Load() != before+1 {
		t.Errorf("close: %v, the backend was closed %d times", err, closes.Load()-before)
	}
	defer func() {
		if recover() == nil {
			t.Error("a scheme was registered twice")
		}
	}()
	lockapi.Register("counting", func(context.Context, *url.URL) (lockapi.Backend, error) { return nil, nil })
}

func TestDefaults(t *testing.T) {
	b := mem.New()
	defer b.Close()
	if _, err := lockapi.New(b, lockapi.Options{TTL: -1}); !errors.Is(err, lockapi.ErrInvalid) {
		t.Errorf("negative TTL: %v", err)
	}
	c, err := lockapi.New(b, lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	g, err := c.Mutex("x").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Inspect(t.Context(), lockapi.Query{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	h := v.Locks[0].Holders[0]
	if parts := strings.Split(h.Label, "/"); len(parts) != 3 || parts[2] != filepath.Base(os.Args[0]) {
		t.Errorf("label %q", h.Label)
	}
	if h.Expires > fsm.Duration(lockapi.DefaultTTL) || h.Expires < fsm.Duration(lockapi.DefaultTTL/2) {
		t.Errorf("expires in %v", time.Duration(h.Expires))
	}
	if d := time.Until(g.ValidUntil()); d > lockapi.DefaultTTL || d < lockapi.DefaultTTL/2 {
		t.Errorf("valid for %v", d)
	}
}

// The log tells transitions: a session begins and ends, a grant is lost.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	inWorld(t, func(t *testing.T, w *world) {
		c, l := w.client(lockapi.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		g := w.acquire(c.Mutex("x"))
		l.cut()
		<-g.Context().Done()
		time.Sleep(ttl)
		l.heal()
		time.Sleep(ttl)
		w.release(w.acquire(c.Mutex("y")))
	})
	text := log.String()
	for _, want := range []string{`msg="session opened" session=1 `, `msg="grant lost" name=x token=`, `msg="session ended" session=1 `, `msg="session opened" session=2 `} {
		if strings.Count(text, want) != 1 {
			t.Errorf("not once %q in\n%s", want, text)
		}
	}
	if strings.Count(text, "\n") != 4 {
		t.Errorf("more than that:\n%s", text)
	}
}

// Inspect asks again while nobody answers.
func TestInspectAsksAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		failing := &blind{Backend: w.machine.Another(), fails: 3}
		c, err := lockapi.New(failing, lockapi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w.clients = append(w.clients, c)
		if _, err := c.Inspect(t.Context(), lockapi.Query{Name: "x"}); err != nil || failing.fails != 0 {
			t.Errorf("%v with %d failures left", err, failing.fails)
		}
		failing.fails = 1 << 30
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Inspect(ctx, lockapi.Query{Name: "x"}); !errors.Is(err, lockapi.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		failing.fails = 0
		if _, err := c.Inspect(t.Context(), lockapi.Query{Limit: -1}); !errors.Is(err, lockapi.ErrInvalid) {
			t.Errorf("error %v", err)
		}
	})
}

type blind struct {
	lockapi.Backend
	fails int
}

func (b *blind) Inspect(ctx context.Context, q lockapi.Query) (lockapi.View, error) {
	if b.fails > 0 {
		b.fails--
		return lockapi.View{}, lockapi.ErrUnavailable
	}
	return b.Backend.Inspect(ctx, q)
}

// ErrorOf has a word for every status.
func TestErrorOf(t *testing.T) {
	for status := fsm.StatusOK; status <= fsm.StatusLevel; status++ {
		err := lockapi.ErrorOf(fsm.Result{Status: status, Limit: fsm.LimitName, Value: 7})
		if fine := status == fsm.StatusOK || status == fsm.StatusQueued; (err == nil) != fine {
			t.Errorf("status %d: %v", status, err)
		}
	}
	err := lockapi.ErrorOf(fsm.Result{Status: fsm.StatusLimit, Limit: fsm.LimitReentry, Value: 1025})
	var limit *lockapi.LimitError
	if !errors.Is(err, lockapi.ErrLimit) || !errors.As(err, &limit) || limit.Value != 1025 || !strings.Contains(err.Error(), "1025") {
		t.Errorf("limit: %v", err)
	}
	if err := lockapi.ErrorOf(fsm.Result{Status: 200}); !errors.Is(err, lockapi.ErrUnsupported) {
		t.Errorf("a status from the future: %v", err)
	}
}
