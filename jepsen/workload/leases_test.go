package workload_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/jepsen/verdict"
	"github.com/lockd-io/lockd/jepsen/workload"
	"github.com/lockd-io/lockd/lockapi"
)

// A service has locks as a key with a TTL has them, and one mistake or none.
type service struct {
	mistake string

	mu    sync.Mutex
	locks map[string]lock
	token uint64
}

type lock struct {
	token uint64
	until time.Time
}

// has tells whether that lock is the name's now.
func (s *service) has(name string, token uint64) bool {
	l, is := s.locks[name]
	return is && l.token == token && time.Now().Before(l.until)
}

func (s *service) Lock(_ context.Context, name string, ttl time.Duration) (workload.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has(name, s.locks[name].token) {
		return workload.Lease{}, lockapi.ErrNotAcquired
	}
	s.token++
	token := s.token
	switch {
	case s.mistake == "tokens fall":
		token = 1<<20 - token
	case s.mistake == "refuses for nothing" && token%16 == 0:
		return workload.Lease{}, lockapi.ErrNotAcquired
	case s.mistake == "ends early":
		ttl /= 2
	case s.mistake == "forgets" && token%32 == 0: // as one that fails over to an empty replica
		clear(s.locks)
	}
	s.locks[name] = lock{token, time.Now().Add(ttl)}
	answered := error(nil)
	if token%64 == 7 { // the answer is lost, and it is held
		answered = context.DeadlineExceeded
	}
	return workload.Lease{
		Token: token,
		Unlock: func(context.Context) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.has(name, token) && s.mistake != "unlocks whatever is there" {
				return lockapi.ErrNotHeld
			}
			delete(s.locks, name)
			return nil
		},
		Renew: func(context.Context) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			switch {
			case s.mistake == "renews what is over":
			case !s.has(name, token):
				return lockapi.ErrNotHeld
			}
			s.locks[name] = lock{token, time.Now().Add(ttl)}
			return nil
		},
	}, answered
}

// judged is what twenty seconds with the service are worth. Time is virtual.
func judged(t *testing.T, mistake string) (h history.History, found verdict.Linear) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{mistake: mistake, locks: make(map[string]lock)}
		// Each call takes a moment: in virtual time, all that happens is at once otherwise.
		slow := func(ctx context.Context, name string, ttl time.Duration) (workload.Lease, error) {
			time.Sleep(time.Millisecond)
			l, err := s.Lock(ctx, name, ttl)
			unlock, renew := l.Unlock, l.Renew
			l.Unlock = func(ctx context.Context) error { time.Sleep(time.Millisecond); return unlock(ctx) }
			l.Renew = func(ctx context.Context) error { time.Sleep(time.Millisecond); return renew(ctx) }
			return l, err
		}
		record := history.NewRecorder()
		time.Sleep(time.Millisecond) // an answer at 0 is none
		load := workload.Leases{Lock: slow, Seed: 1, Time: 20 * time.Second, TTL: 200 * time.Millisecond}
		load.Run(t.Context(), record)
		h = record.History()
	})
	if err := h.Validate(); err != nil {
		t.Fatal(err)
	}
	return h, verdict.Linearizable(h, time.Minute)
}

// A lock that is one passes, whatever its clients do, and they do all there is.
func TestLeases(t *testing.T) {
	h, found := judged(t, "")
	if found.Verdict != verdict.Pass {
		t.Fatal(found.Verdict, found.Findings)
	}
	outcomes := make(map[string]int)
	for i := range h {
		outcomes[strings.TrimSpace(fmt.Sprintln(h[i].Kind, h[i].Status, h[i].Code))]++
	}
	for _, want := range []string{"acquire ok", "acquire fail busy", "acquire unknown", "release ok", "release fail no_session",
		"release fail not_held", "renew ok", "renew fail no_session"} {
		if outcomes[want] == 0 {
			t.Errorf("%s: never; %v", want, outcomes)
		}
	}
}

// One that is none is found out.
func TestLeasesOfBadLocks(t *testing.T) {
	for _, mistake := range []string{"tokens fall", "refuses for nothing", "ends early", "forgets", "unlocks whatever is there", "renews what is over"} {
		t.Run(mistake, func(t *testing.T) {
			_, found := judged(t, mistake)
			if found.Verdict != verdict.Violated {
				t.Fatal(found.Verdict, found.Findings)
			}
			t.Log(found.Findings[0])
		})
	}
}

// A service that is down, and says so at once, is not given doubts without end: of
// too many no order is found.
func TestLeasesOfAServiceThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := func(context.Context, string, time.Duration) (workload.Lease, error) {
			return workload.Lease{}, errors.New("connection refused")
		}
		record := history.NewRecorder()
		time.Sleep(time.Millisecond)
		load := workload.Leases{Lock: down, Seed: 1, Clients: 4, Time: 20 * time.Second, TTL: time.Second}
		load.Run(t.Context(), record)
		if n := len(record.History()); n < 2*4*20 || n > 2*4*(4*20+1) { // an open and an acquire, four times a TTL
			t.Errorf("%d operations", n)
		}
	})
}
