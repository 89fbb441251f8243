package lockapi

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// flightsMax is how many acquires with keys an agent has under way: each goes on
// without whoever asked, so nothing else bounds them.
const flightsMax = 1 << 14

// A keyOf is the number of a request, as its beneficiary gave it.
type keyOf struct {
	session fsm.SessionID
	key     fsm.Nonce
}

// A flight is an acquire with a key. It goes on without those who wait for it:
// a client that hears nothing asks again, and finds it here, or what it was granted
// at the machine. Were it withdrawn with the first connection, it could take away
// what the second was told.
type flight struct {
	request AgentRequest
	done    chan struct{} // closed when result and err are set
	result  fsm.Result
	err     error
}

// join waits for the acquire with r's key, and begins it if nobody has.
func (a *Agent) join(ctx context.Context, r AgentRequest) (fsm.Result, error) {
	if r.Wait < 0 {
		return fsm.Result{}, wrappedFor(r.Wants, fmt.Errorf("%w: an acquire with a key goes on without its caller, so its wait must be bounded", ErrInvalid))
	}
	f, err := a.flight(r)
	if err != nil {
		return fsm.Result{}, wrappedFor(r.Wants, err)
	}
	if !f.request.same(&r) {
		return fsm.Result{Status: fsm.StatusInvalid}, nil // the key of something else, as the machine says
	}
	select {
	case <-f.done:
		return f.result, f.err
	case <-ctx.Done():
		return fsm.Result{}, wrappedFor(r.Wants, fmt.Errorf("%w: %w (it goes on; ask again with its key)", ErrUnknown, ctx.Err()))
	}
}

func (a *Agent) flight(r AgentRequest) (*flight, error) {
	at := keyOf{r.For.Session, r.Key}
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.flights[at]
	switch {
	case f != nil:
		return f, nil
	case a.closing:
		return nil, ErrClosed
	case len(a.flights) >= flightsMax:
		return nil, &OverloadError{What: fmt.Sprintf("acquires with keys under way: %d", flightsMax), RetryAfter: time.Second}
	}
	r.Wants = slices.Clone(r.Wants)
	f = &flight{request: r, done: make(chan struct{})}
	a.flights[at] = f
	a.running.Go(func() {
		f.result, f.err = a.acquire(context.Background(), &f.request)
		a.mu.Lock()
		delete(a.flights, at)
		a.mu.Unlock()
		close(f.done)
	})
	return f, nil
}

// same tells whether two requests ask for the same. How long they would wait is no
// matter.
func (q *AgentRequest) same(r *AgentRequest) bool {
	return q.For == r.For && q.Owner == r.Owner && q.MaxHold == r.MaxHold && slices.Equal(q.Wants, r.Wants)
}
