package lockapi

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// ErrOverloaded: refused before anything was done, because a queue in front of the
// machine is full; errors.As with *OverloadError tells which, and when to try
// again. It is ErrUnavailable as well: definite, and worth another try. (What the
// machine itself has no room for is ErrLimit.)
var ErrOverloaded = errors.New("overloaded: refused before anything was done")

// retryAfterMax bounds how long a client heeds a refusal: what a node asks for
// when it has too much to do must not keep a client away for longer than the
// crowd lasts.
const retryAfterMax = 10 * time.Second

// An OverloadError is a refusal by a node that has too much to do. The command
// was not taken and has no effect, now or later.
type OverloadError struct {
	// What is full, with its bound: "commands under way: 8192".
	What string
	// RetryAfter is when another try is worth it; 0 is not known. Whoever heeds
	// it adds chance, so that those who were refused together do not come back
	// together; a Client does both by itself.
	RetryAfter time.Duration
}

// Error implements error.
func (e *OverloadError) Error() string {
	what, when := e.What, "later"
	if what == "" {
		what = "a queue is full"
	}
	if e.RetryAfter > 0 {
		when = "in " + e.RetryAfter.String()
	}
	return fmt.Sprintf("%v (%s); try again %s", ErrOverloaded, what, when)
}

// Is makes an OverloadError an ErrOverloaded, and with that an ErrUnavailable.
func (e *OverloadError) Is(target error) bool {
	return target == ErrOverloaded || target == ErrUnavailable
}

// PauseAfter is how long to wait before the n-th repeat, from 0, of what has
// failed with err: a backoff, or what an *OverloadError in err asks for, up to ten
// seconds; in either case partly by chance. Backends and the engine use it.
func PauseAfter(err error, n int) time.Duration {
	d := backoff(n)
	if full := new(OverloadError); errors.As(err, &full) {
		if asked := min(full.RetryAfter, retryAfterMax); asked > 0 {
			d = max(d, asked+rand.N(asked/2+1))
		}
	}
	return d
}
