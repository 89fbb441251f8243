package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

// A gone is a service that answers whoever looks, and then nobody who does from.
type gone struct {
	*mem.Backend
	from fsm.Op
}

func (g gone) Do(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if c.Op < g.from {
		return g.Backend.Do(ctx, c)
	}
	<-ctx.Done()
	return fsm.Result{}, lockapi.ErrUnknown
}

// A cluster that goes away between the first look and the answer keeps nobody
// longer than he wants to wait, and is not taken for somebody else who holds it.
func TestServiceGoesAway(t *testing.T) {
	for _, test := range []struct {
		name string
		from fsm.Op // what is not answered any more
		wait time.Duration
		code int
	}{
		{"a try, no session", fsm.OpOpen, 0, exitUnavailable},
		{"a try, no answer", fsm.OpAcquire, 0, exitUnavailable},
		{"a wait, no session", fsm.OpOpen, time.Minute, exitUnavailable},
		{"a wait, no answer", fsm.OpAcquire, time.Minute, exitUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := mem.New()
				defer b.Close()
				client, err := lockapi.New(gone{b, test.from}, lockapi.Options{})
				if err != nil {
					t.Fatal(err)
				}
				f := runFlags{wait: patience{test.wait, true}, wants: wanted{names: []string{"a"}}}
				start := time.Now()
				_, err = f.acquire(t.Context(), client, nil, io.Discard)
				if code := codeOf(failed(err)); code != test.code || strings.Contains(err.Error(), "somebody else") {
					t.Errorf("exit %d, not %d: %v", code, test.code, err)
				}
				if took := time.Since(start); took > max(tryTimeout, test.wait)+time.Second {
					t.Errorf("it took %v of the %v", took, test.wait)
				}
				timed, cancel := context.WithTimeout(t.Context(), closeTimeoutLost)
				defer cancel()
				if err := client.Close(timed); err != nil && !errors.Is(err, lockapi.ErrUnknown) {
					t.Error(err)
				}
			})
		})
	}
}

// What is asked for with numbers is a semaphore, and never quietly a lock.
func TestWantedContradictsItself(t *testing.T) {
	many := strings.Split(strings.Repeat("n", fsm.WantsMax+1), "")
	for _, test := range []struct {
		wanted         wanted
		permits, limit bool // given
		says           string
	}{
		{wanted{names: []string{"a"}, shared: true}, true, true, "one or the other"},
		{wanted{names: []string{"a"}}, true, false, "of how many"},
		{wanted{names: []string{"a"}, limit: 2}, false, true, "--permits"},
		{wanted{names: []string{"a"}, limit: 2}, true, true, "would hold nothing"},
		{wanted{names: []string{"a"}, permits: 3, limit: 2}, true, true, "could never be held"},
		{wanted{names: many}, false, false, fsm.LimitWants.String()},
		{wanted{names: []string{"a", "b", "a"}}, false, false, "twice"},
		{wanted{names: []string{"a", ""}}, false, false, fsm.LimitName.String()},
	} {
		err := test.wanted.check(test.permits, test.limit)
		if err == nil || codeOf(err) != exitUsage || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v, not %q", test.wanted, err, test.says)
		}
	}
	if err := (&wanted{names: []string{"a", "b"}, permits: 2, limit: 2}).check(true, true); err != nil {
		t.Error(err)
	}
}
