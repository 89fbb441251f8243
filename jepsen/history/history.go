// Package history is what befell a lock service, as those who used it saw it:
// operations with the time of their call and of their answer, on the one clock
// of the host that all of them ran on. Nothing in it is of lockd: whatever can
// be asked for locks can have a history.
//
// A history is saved as JSON, an operation a line (Load, Save), and exported in
// EDN for Knossos and Elle (WriteEDN).
package history

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Kind is what was asked for.
type Kind string

// Kinds of operations. Loss and Ended are nobody's call: they have an
// effect at some time between Call and Return, or never if they are Unknown.
const (
	Open    Kind = "open"    // a session
	Renew   Kind = "renew"   // the session's life
	Close   Kind = "close"   // end it; all that it holds is released
	Acquire Kind = "acquire" // all of Wants, or none
	Release Kind = "release" // Grant
	Extend  Kind = "extend"  // Grant's deadline
	Inspect Kind = "inspect" // one name; Holders is what was seen
	Loss    Kind = "loss"    // Grant ended without its session's doing
	Ended   Kind = "ended"   // the session ended without its own doing
)

// Status is what is known of an operation's effect.
type Status string

const (
	OK      Status = "ok"      // it has taken effect once
	Fail    Status = "fail"    // it has no effect; Code says why (but see NoSession)
	Unknown Status = "unknown" // it takes effect once, at any time after its call, or never
)

// Codes of operations that failed. A code that is not here is a refusal that
// says nothing about who holds what.
const (
	Busy    = "busy"     // a try: not free, or not its turn
	Timeout = "timeout"  // a wait that ended, confirmed by the service
	NotHeld = "not_held" // a release of what is not held
	// Abandoned says of an acquire that its client has withdrawn it, and was told
	// that nothing of it is left and nothing will come. Until then it may have held.
	// If that is Unknown, the withdrawal was not answered: it may hold, or have held.
	Abandoned = "abandoned"
	// Unavailable says that nobody took it: it is no sign that its session lives.
	Unavailable = "unavailable"
	// NoSession says that the session is over by now. What was asked may have been
	// done before that: whoever asks again is told no more than this.
	NoSession = "no_session"
)

// claims are codes that are held against the service.
var claims = []string{Busy, Timeout, NotHeld, Abandoned, NoSession}

// Mode is how a name is wanted.
type Mode string

const (
	Exclusive Mode = "exclusive"
	Shared    Mode = "shared"
	Permits   Mode = "permits"
)

// A Want is one name of an acquire.
type Want struct {
	Name    string `json:"name"`
	Mode    Mode   `json:"mode"`
	Permits uint32 `json:"permits,omitempty"`
	Limit   uint32 `json:"limit,omitempty"` // the semaphore's
}

// A Holder is one hold that an Inspect saw.
type Holder struct {
	Session uint64 `json:"session"`
	Owner   string `json:"owner,omitempty"`
	Mode    Mode   `json:"mode"`
	Permits uint32 `json:"permits,omitempty"`
	Token   uint64 `json:"token,omitempty"` // 0: not told
}

// A Position is a place in the service's own order of what it did.
type Position struct {
	Index uint64 `json:"index"`
	Order uint32 `json:"order,omitempty"` // among what has that index, from 1
}

// Compare orders positions: it is less than 0 if p is the earlier.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Index, q.Index), cmp.Compare(p.Order, q.Order))
}

// String is the position for people.
func (p Position) String() string { return fmt.Sprintf("%d.%d", p.Index, p.Order) }

// An Op is one operation. The fields after Status count when it is not Unknown.
type Op struct {
	ID      int    `json:"id"`
	Client  int    `json:"client"`         // who asked; it asks for one thing at a time
	Node    string `json:"node,omitempty"` // through which node
	Kind    Kind   `json:"kind"`
	Session uint64 `json:"session,omitempty"`
	Owner   string `json:"owner,omitempty"` // of the session; what one owner holds it may enter again
	Wants   []Want `json:"wants,omitempty"`
	Wait    int64  `json:"wait,omitempty"`  // nanoseconds; 0 tries, less waits for ever
	TTL     int64  `json:"ttl,omitempty"`   // nanoseconds
	Grant   uint64 `json:"grant,omitempty"` // acquire: what was given; else what it is about
	Name    string `json:"name,omitempty"`  // inspect

	Call   int64  `json:"call"`             // nanoseconds
	Return int64  `json:"return,omitempty"` // 0: never
	Status Status `json:"status"`

	Code    string   `json:"code,omitempty"`
	Tokens  []uint64 `json:"tokens,omitempty"` // of Wants, in their order; empty: the service has none
	Count   uint32   `json:"count,omitempty"`  // grants that the owner has of the only name; 0: not told
	Holders []Holder `json:"holders,omitempty"`
	// Queued is where the wait began, At where the operation took effect; nil if
	// the service does not tell.
	Queued *Position `json:"queued,omitempty"`
	At     *Position `json:"at,omitempty"`
}

// End is when the operation's effect must have come: never, if it is unknown.
func (o *Op) End() int64 {
	if o.Status == Unknown || o.Return == 0 {
		return math.MaxInt64
	}
	return o.Return
}

// Doubtful tells whether the operation may have had an effect that its answer does
// not tell.
func (o *Op) Doubtful() bool {
	return o.Status == Unknown || o.Status == Fail && o.Code == NoSession
}

// Names are the names that it is about.
func (o *Op) Names() []string {
	if o.Kind == Inspect {
		return []string{o.Name}
	}
	names := make([]string, len(o.Wants))
	for i := range o.Wants {
		names[i] = o.Wants[i].Name
	}
	return names
}

// A History is operations in any order.
type History []Op

// Sort puts them into the order of their calls.
func (h History) Sort() {
	slices.SortStableFunc(h, func(a, b Op) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.ID, b.ID))
	})
}

// Unclosed is how many sessions were opened that no client ever asked to close.
func (h History) Unclosed() int {
	open := make(map[uint64]bool)
	for i := range h {
		if h[i].Kind == Open && h[i].Status == OK {
			open[h[i].Session] = true
		}
	}
	for i := range h {
		if h[i].Kind == Close {
			delete(open, h[i].Session)
		}
	}
	return len(open)
}

// wrongMax is how many mistakes are told: one in the recorder is in every operation.
const wrongMax = 8

// Validate says what is wrong with the history itself: a checker's verdict on a
// history that nobody can have seen is worth nothing.
func (h History) Validate() error {
	var wrong []error
	ids := make(map[int]bool, len(h))
	busy := make(map[int]int64) // client: until
	var nobody *Op              // the first that names no session
	sorted := slices.Clone(h)
	sorted.Sort()
	for i := range sorted {
		o := &sorted[i]
		if err := o.validate(); err != nil {
			wrong = append(wrong, fmt.Errorf("operation %d: %w", o.ID, err))
		}
		if ids[o.ID] {
			wrong = append(wrong, fmt.Errorf("operation %d is there twice", o.ID))
		}
		ids[o.ID] = true
		if o.Kind == Loss || o.Kind == Ended {
			continue
		}
		if until, known := busy[o.Client]; known && o.Call < until {
			wrong = append(wrong, fmt.Errorf("operation %d: client %d has not had an answer to the one before", o.ID, o.Client))
		}
		if o.Session == 0 && o.Kind != Inspect && o.Kind != Open {
			if nobody == nil {
				nobody = o
			}
			// They would be one holder, who may enter again, and every lock would do.
			if nobody.Client != o.Client {
				wrong = append(wrong, fmt.Errorf(`operation %d: clients %d and %d have no session, or both 0: give each a "session" of its own, such as its number`,
					o.ID, nobody.Client, o.Client))
			}
		}
		busy[o.Client] = o.Return
		if o.Return == 0 {
			busy[o.Client] = math.MaxInt64
		}
	}
	if more := len(wrong) - wrongMax; more > 0 {
		wrong = append(wrong[:wrongMax], fmt.Errorf("and %d more", more))
	}
	return errors.Join(wrong...)
}

func (o *Op) validate() error {
	switch o.Kind {
	case Open, Renew, Close, Release, Extend, Loss, Ended:
	case Acquire:
		if len(o.Wants) == 0 {
			return errors.New(`an acquire of nothing: it needs "wants", such as [{"name":"x","mode":"exclusive"}]`)
		}
		if o.TTL != 0 {
			return errors.New(`an acquire with a "ttl": that is of the session, in its open; a lock with a TTL of its own is a session of its own`)
		}
		if n := len(o.Tokens); o.Status == OK && n > 0 && n != len(o.Wants) {
			return fmt.Errorf("%d tokens for %d names", n, len(o.Wants))
		}
	case Inspect:
		if o.Name == "" {
			return errors.New(`an inspection of no name: it needs "name"`)
		}
	default:
		return fmt.Errorf("unknown kind %q: there are open, renew, close, acquire, release, extend, inspect, loss and ended", o.Kind)
	}
	if meant := strings.ReplaceAll(strings.ToLower(o.Code), "-", "_"); meant != o.Code && slices.Contains(claims, meant) {
		return fmt.Errorf("code %q says nothing of who holds what: %q does", o.Code, meant)
	}
	for _, w := range o.Wants {
		switch {
		case w.Name == "":
			return errors.New("an empty name")
		case w.Mode != Exclusive && w.Mode != Shared && w.Mode != Permits:
			return fmt.Errorf("unknown mode %q: there are exclusive, shared and permits", w.Mode)
		case w.Mode == Permits && (w.Permits == 0 || w.Limit == 0):
			return errors.New("no permits, or of no limit")
		}
	}
	switch o.Status {
	case OK, Fail:
		if o.Return == 0 {
			return fmt.Errorf("%s without an answer: it needs \"return\", or is unknown", o.Status)
		}
	case Unknown:
	default:
		return fmt.Errorf("unknown status %q: there are ok, fail and unknown", o.Status)
	}
	if o.Return != 0 && o.Return < o.Call {
		return errors.New("it was answered before it was asked")
	}
	return nil
}
