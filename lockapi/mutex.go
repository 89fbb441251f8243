package lockapi

import (
	"context"
	"time"
)

// A Mutex is one name to be held by one owner at a time. It is a description,
// free to make and to copy; any number of goroutines may use it.
//
// Every acquire is its own owner, so that goroutines that share a Mutex
// exclude each other: who acquires again what he holds waits for himself, as
// with sync.Mutex. WithOwner makes it re-entrant.
//
// Mutex, RWMutex and `lockd run` on one name exclude each other: a Mutex is an
// RWMutex that nobody reads.
type Mutex struct{ q request }

// Mutex is the exclusive lock called name. Nothing is sent and name is not
// checked before the first acquire.
func (c *Client) Mutex(name string) *Mutex { return &Mutex{request{client: c, want: Exclusive(name)}} }

// WithOwner is a copy of m that acquires for the given owner: whoever acquires
// with this Client and the same owner enters again, gets a grant more and the
// token of the hold. Pass the owner along as a value (a request's id, say); a
// goroutine is none. At most 128 bytes of UTF-8, and not beginning with "~".
// "" is no explicit owner.
//
// Re-entry is at once for an owner that holds when its acquire arrives. Two
// acquires of one owner that both wait are two places in the queue: the second
// may stand behind somebody else, so do not hold the first until you have it.
func (m *Mutex) WithOwner(owner string) *Mutex {
	c := *m
	c.q.owner = owner
	return &c
}

// WithMaxHold is a copy of m whose grants end by themselves after d, however
// alive the holder is, and are then lost. It is counted from the grant, not
// from the call. d must be more than the margin, the greater of 200 ms and a tenth
// of the session's TTL (Options.TTL, or the one before if it was resumed), which the
// holder has to stop earlier; 0 is no such limit.
func (m *Mutex) WithMaxHold(d time.Duration) *Mutex {
	c := *m
	c.q.maxHold = d
	return &c
}

// Acquire waits in the name's queue, first come first served, until it is
// granted or ctx ends. On success the lock is held and the grant is valid.
//
// On error the lock is not held. When ctx ends, Acquire returns within a tenth
// of a second, with ctx's error. That is ErrNotAcquired as well if it stood in the
// queue, since somebody else holds the lock, and ErrUnavailable if nothing was ever
// sent (ErrOverloaded, too, if that is because nodes had too much to do). It is
// neither if ctx had ended before, or before anybody answered: who holds the lock
// is not known then. In all these cases the queue is as if Acquire had not been
// called. With ErrUnknown nobody has confirmed that yet: the client goes on in the
// background until it is so, and if the client dies, its session's end does it.
// If a session ends while Acquire waits, it queues again under
// the next one. Further errors: ErrInvalid, ErrLimit, ErrConflict,
// ErrUnsupported, ErrFenced, ErrClosed, and ErrLost if MaxHold had passed
// before the grant could be used.
func (m *Mutex) Acquire(ctx context.Context) (*Grant, error) { return m.q.acquire(ctx, true) }

// TryAcquire is Acquire without a queue: if somebody else holds the lock or
// waits for it, it returns ErrNotAcquired. It waits for an answer all the
// same, while the service cannot be reached; ctx bounds that, and its error is
// then not ErrNotAcquired.
func (m *Mutex) TryAcquire(ctx context.Context) (*Grant, error) { return m.q.acquire(ctx, false) }
