package lockapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockd-io/lockd/fsm"
)

// A request is what an acquire asks for, whatever handle it was made with. It
// does not change.
type request struct {
	client  *Client
	want    fsm.Want   // if it is for one name
	wants   []fsm.Want // if it is for several
	owner   string
	maxHold time.Duration
}

// acquire is Acquire and TryAcquire of every handle.
func (q *request) acquire(ctx context.Context, wait bool) (*Grant, error) {
	if err := q.validate(); err != nil {
		return nil, q.wrapped(err)
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, q.wrapped(err) // nobody was asked, or whom it was asked for is gone
		}
		s, err := q.client.session(ctx)
		if err == nil {
			var g *Grant
			if g, err = s.acquire(ctx, q, wait); err == nil {
				return g, nil
			}
		}
		// A session that is over took nothing with it that was ever given to
		// the caller, so he loses only his place. Any other error is his.
		if !errors.Is(err, ErrSessionGone) {
			return nil, q.wrapped(err)
		}
	}
}

func (q *request) wrapped(err error) error {
	if q.wants == nil {
		return wrapped("acquire", q.want.Name, err)
	}
	return fmt.Errorf("lockapi: acquire %s: %w", titleOf(q.wants), err)
}

// titleOf names what is asked for, or the beginning of it.
func titleOf(wants []fsm.Want) string {
	const named = 3
	var names []string
	for i := range wants[:min(len(wants), named)] {
		names = append(names, strconv.Quote(wants[i].Name))
	}
	if more := len(wants) - named; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// validate tells what is wrong before anything is sent. (The machine checks
// again; it has the last word.)
func (q *request) validate() error {
	if q.wants == nil {
		if err := invalidWant(&q.want); err != nil {
			return err
		}
	} else if err := invalidWants(q.wants); err != nil {
		return err
	}
	switch {
	case !fsm.ValidText(q.owner, fsm.OwnerSizeMax):
		return fmt.Errorf("%w (%s)", ErrInvalid, fsm.LimitOwner)
	case strings.HasPrefix(q.owner, ownerPrefix):
		return fmt.Errorf("%w: owners that begin with %q are the client's own", ErrInvalid, ownerPrefix)
	case q.maxHold != 0:
		return validHold(q.maxHold, q.client.ttlAtLeast())
	}
	return nil
}

func invalidWants(wants []fsm.Want) error {
	switch n := len(wants); {
	case n == 0:
		return fmt.Errorf("%w: an acquire of no name at all (%s)", ErrInvalid, fsm.LimitWants)
	case n > fsm.WantsMax:
		return fmt.Errorf("%w: an acquire of %d names (%s)", ErrInvalid, n, fsm.LimitWants)
	}
	for i := range wants {
		if err := invalidWant(&wants[i]); err != nil {
			return fmt.Errorf("%w: name %d of %d", err, i+1, len(wants))
		}
		for k := range i {
			if wants[k].Name == wants[i].Name {
				return fmt.Errorf("%w: names %d and %d are both %q (%s)", ErrInvalid, k+1, i+1, wants[i].Name, fsm.LimitWants)
			}
		}
	}
	return nil
}

func invalidWant(w *fsm.Want) error {
	if err := invalidName(w.Name); err != nil {
		return err
	}
	if w.Kind == fsm.KindSemaphore {
		return invalidPermits(int64(w.Permits), int64(w.Limit))
	}
	return nil
}

func invalidName(name string) error {
	var why string
	switch {
	case fsm.ValidName(name):
		return nil
	case name == "":
		why = "the name is empty"
	case len(name) > fsm.NameSizeMax:
		why = fmt.Sprintf("the name has %d bytes", len(name))
	case !utf8.ValidString(name):
		why = fmt.Sprintf("the name %q is not UTF-8", name)
	default:
		why = fmt.Sprintf("the name %q has a NUL byte", name)
	}
	return fmt.Errorf("%w: %s (%s)", ErrInvalid, why, fsm.LimitName)
}

// invalidPermits refuses what no semaphore could ever give.
func invalidPermits(n, limit int64) error {
	switch {
	case limit < 1 || limit > permitsMax:
		return fmt.Errorf("%w: a semaphore with a limit of %d: it is 1 to %d", ErrInvalid, limit, permitsMax)
	case n < 1:
		return fmt.Errorf("%w: %d permits: ask for at least one", ErrInvalid, n)
	case n > limit:
		return fmt.Errorf("%w: %d permits of a semaphore with a limit of %d: it can never have them", ErrInvalid, n, limit)
	}
	return nil
}

// validHold refuses a MaxHold that no grant of a session with this TTL would survive.
func validHold(d, ttl time.Duration) error {
	switch margin := marginOf(ttl); {
	case d < 0 || fsm.Duration(d) > fsm.MaxHoldMax:
		return fmt.Errorf("%w (%s)", ErrInvalid, fsm.LimitMaxHold)
	case d <= margin:
		return fmt.Errorf("%w: a max hold of %v is not more than the margin of %v that a holder stops early", ErrInvalid, d, margin)
	}
	return nil
}

// ttlAtLeast is what the TTL of the next acquire's session is not less than: a session
// that is resumed has that of the process before.
func (c *Client) ttlAtLeast() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		return 0
	}
	return c.options.TTL
}
