package bench

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dialler opens one machine again and again.
func dialler(t *testing.T) func() (lockapi.Backend, error) {
	t.Helper()
	b := mem.New()
	t.Cleanup(func() { _ = b.Close() })
	return func() (lockapi.Backend, error) { return b.Another(), nil }
}

func measure(t *testing.T, p Plan) Measurement {
	t.Helper()
	b, err := Open(t.Context(), p, dialler(t))
	if err != nil {
		t.Fatal(err)
	}
	m := b.Run(t.Context(), time.Now())
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if m.Errors > 0 || m.Violation != "" {
		t.Errorf("%d errors (%s), violation %q", m.Errors, m.FirstError, m.Violation)
	}
	return m
}

// What is counted adds up, and is what the clients have done.
func TestBenchCounts(t *testing.T) {
	for _, contended := range []bool{false, true} {
		m := measure(t, Plan{Clients: 6, Streams: 2, Contended: contended, Duration: 100 * time.Millisecond})
		r, sum := m.Row(), uint64(0)
		for _, n := range m.Cycles {
			sum += n
		}
		if r.Clients != 6 || r.Streams != 2 || sum != r.Cycles || sum == 0 || m.Acquire.Count() < sum || r.Seconds < 0.1 {
			t.Errorf("contended %v: %+v, clients did %d", contended, r, sum)
		}
		if r.Cycle.P50 > r.Cycle.P99 || r.Cycle.P99 > r.Cycle.Max || r.Acquire.Max > r.Cycle.Max*2 {
			t.Errorf("%+v", r)
		}
	}
}

// A bench that is ended gives what it has, and leaves nothing behind.
func TestBenchIsEnded(t *testing.T) {
	dial := dialler(t)
	b, err := Open(t.Context(), Plan{Clients: 3, Duration: time.Hour, Prefix: "ended/"}, dial)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for b.cycle.Count() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	m := b.Run(ctx, time.Now())
	if r := m.Row(); r.Cycles == 0 || r.Seconds <= 0 || r.Seconds > 3600 {
		t.Errorf("%+v", r)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	backend, _ := dial()
	defer backend.Close()
	view, err := backend.Inspect(t.Context(), lockapi.Query{Prefix: "ended/"})
	if err != nil || len(view.Locks) > 0 {
		t.Errorf("left behind: %v, %v", view.Locks, err)
	}
}

// A lock that is given twice is seen.
func TestGateSeesTwoHolders(t *testing.T) {
	client, err := lockapi.New(mem.New(), lockapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	one, err := client.Mutex("a").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := client.Mutex("b").Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var broken gate
	if err := broken.enter(one); err != nil {
		t.Error(err)
	}
	if err := broken.enter(two); err == nil || !strings.Contains(err.Error(), "held twice") {
		t.Errorf("two valid grants: %v", err)
	}
	if err := broken.enter(one); err == nil || !strings.Contains(err.Error(), "after token") {
		t.Errorf("a lower token: %v", err)
	}
	var whole gate
	if err := whole.enter(one); err != nil {
		t.Error(err)
	}
	if err := one.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := whole.enter(two); err != nil {
		t.Errorf("one after the other: %v", err)
	}
}

// Two workers measure what one would, and their parts add up.
func TestFleet(t *testing.T) {
	dial := dialler(t)
	plans, err := (&Plan{Clients: 5, Streams: 2, Duration: 50 * time.Millisecond}).Split(2)
	if err != nil {
		t.Fatal(err)
	}
	if plans[0].Clients+plans[1].Clients != 5 || plans[1].First != plans[0].Clients || plans[0].Streams != 1 {
		t.Errorf("%+v", plans)
	}
	var workers []Worker
	ended := make(chan error, 2)
	for range plans {
		inRead, in := io.Pipe()
		out, outWrite := io.Pipe()
		workers = append(workers, Worker{In: in, Out: out})
		go func() {
			err := Work(context.Background(), inRead, outWrite, dial)
			_ = outWrite.Close()
			ended <- err
		}()
	}
	m, err := Fleet(t.Context(), plans, workers)
	if err != nil {
		t.Fatal(err)
	}
	for range plans {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	sum := uint64(0)
	for _, n := range m.Cycles {
		sum += n
	}
	if r := m.Row(); r.Clients != 5 || r.Processes != 2 || r.Streams != 2 || r.Cycles != sum || sum == 0 || m.Violation != "" {
		t.Errorf("%+v, clients did %d", r, sum)
	}
}

// A worker that cannot begin says why.
func TestFleetHearsWhy(t *testing.T) {
	inRead, in := io.Pipe()
	out, outWrite := io.Pipe()
	go func() {
		_ = Work(context.Background(), inRead, outWrite, func() (lockapi.Backend, error) { return nil, lockapi.ErrUnavailable })
		_ = outWrite.Close()
		_ = inRead.Close()
	}()
	_, err := Fleet(t.Context(), []Plan{{Clients: 1, Duration: time.Second}}, []Worker{{In: in, Out: out}})
	if err == nil || !strings.Contains(err.Error(), lockapi.ErrUnavailable.Error()) {
		t.Errorf("%v", err)
	}
}

func TestPlanIsChecked(t *testing.T) {
	for _, p := range []Plan{
		{Clients: 0, Duration: time.Second}, {Clients: clientsMax + 1, Duration: time.Second}, {Clients: 1},
		{Clients: 1, Streams: -1, Duration: time.Second}, {Clients: 1, Warmup: -1, Duration: time.Second},
		{Clients: 1, Duration: time.Second, Prefix: strings.Repeat("p", 505)}, {Clients: 1, Duration: time.Second, Prefix: "\xff"},
	} {
		if p.Check() == nil {
			t.Errorf("%+v is taken", p)
		}
	}
	for _, n := range []int{0, processesMax + 1} {
		if _, err := (&Plan{Clients: 1, Duration: time.Second}).Split(n); err == nil {
			t.Errorf("%d processes are taken", n)
		}
	}
}

// Quantiles are right within a hundredth, also of what travelled and was merged.
func TestHistogram(t *testing.T) {
	var odd, even, all Histogram
	for i := 1; i <= 100_000; i++ {
		d := time.Duration(i) * time.Microsecond
		all.Record(d)
		if i%2 == 0 {
			even.Record(d)
		} else {
			odd.Record(d)
		}
	}
	text, err := json.Marshal(&even)
	if err != nil {
		t.Fatal(err)
	}
	var travelled Histogram
	if err := json.Unmarshal(text, &travelled); err != nil {
		t.Fatal(err)
	}
	odd.Merge(&travelled)
	for _, h := range []*Histogram{&all, &odd} {
		for p, want := range map[float64]time.Duration{0: time.Microsecond, 0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 1: 100 * time.Millisecond} {
			if got := h.Quantile(p); got < want-want/100 || got > want+want/100 {
				t.Errorf("quantile %v is %v, not %v", p, got, want)
			}
		}
		if h.Max() != 100*time.Millisecond || h.Count() != 100_000 {
			t.Errorf("%v at most, %d in all", h.Max(), h.Count())
		}
	}
	if json.Unmarshal([]byte(`{"counts":{"999999":1}}`), &travelled) == nil {
		t.Error("a bucket that is not there is taken")
	}
}

func TestLongestGap(t *testing.T) {
	a, b := newTimeline(time.Second), newTimeline(time.Second)
	for _, ms := range []int{0, 100, 999, 1500} {
		a.mark(time.Duration(ms) * time.Millisecond)
	}
	b.mark(500*time.Millisecond + 3)
	a.mark(-1)
	a.merge(b)
	if gap := a.longestGap(time.Second); gap != 498*time.Millisecond {
		t.Errorf("%v", gap)
	}
}
