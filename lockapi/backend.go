package lockapi

import (
	"context"

	"github.com/lockd-io/lockd/fsm"
)

// A Backend puts commands into one history and tells what came of them. It is
// the contract of an implementor; applications use Client. backendtest.Run is
// this contract as an executable suite.
//
// All methods may be called from any number of goroutines.
type Backend interface {
	// Do returns c's answer once c has taken effect. A refusal by the machine
	// is a Result with that Status and a nil error.
	//
	// The error is ErrUnknown when c may or may not have taken effect: send the
	// very same c again, as often as it takes, to find out. A call with a c
	// that another call is still waiting on is how the caller says that it
	// doubts the path: a backend that has another path sends c there too.
	// An error that is not ErrUnknown means that c was never sent, or never taken:
	// an *OverloadError says that there was too much to do, and when to try again.
	//
	// The backend hashes c.Secret (Command.HasSecret) before c enters a log or
	// leaves the process for another node.
	Do(ctx context.Context, c fsm.Command) (fsm.Result, error)

	// Attach proves with the secret that the caller may speak for a session and
	// delivers what befalls it: events that it has not acknowledged first,
	// then live ones. An event may come more than once (Outcome.Event numbers
	// them) and one that the reader was too slow for comes again with the next
	// renewal. The channel closes after OutcomeEnded, or when ctx ends or the
	// backend is closed. A later Attach of the same session replaces this one.
	//
	// When the machine refuses, the error is what ErrorOf makes of the Status.
	Attach(ctx context.Context, a Attachment) (<-chan fsm.Outcome, error)

	// Inspect reads locks, or a session. It is linearizable (it shows every change
	// that was acknowledged before it was called) unless q.Stale.
	Inspect(ctx context.Context, q Query) (View, error)

	// Capabilities tells what this backend really promises.
	Capabilities() Capabilities

	// Close ends what the backend started. Sessions live on until their TTL.
	Close() error
}

// An Attachment says who wants to speak for which session.
type Attachment struct {
	Session     fsm.SessionID
	Incarnation fsm.Incarnation
	// Renewal numbers the attach among the session's renewals.
	Renewal fsm.Seq
	// Seen is the last event that the client has in full order.
	Seen   fsm.EventID
	Secret fsm.Secret
}

// A Query asks for one lock, a page of them, or a page of what a session holds.
type Query struct {
	// Name asks for one name. If empty, Prefix, After and Limit ask for a page
	// in the order of names.
	Name   string
	Prefix string
	After  string // names greater than this one
	Limit  int    // 0 is 100; at most 1,000
	// Session, unless 0, asks for what that session holds and waits for: Limit of
	// its grants after AfterGrant, in the order of numbers, then its waits after
	// AfterWait. The Secret is the session's, or the error is ErrDenied: who holds
	// a name is for all to see, the numbers of grants are not. It is ErrSessionGone
	// if there is no such session.
	Session    fsm.SessionID
	Secret     fsm.Secret
	AfterGrant fsm.GrantID
	AfterWait  fsm.Seq
	// Stale reads what this node has applied, without asking anybody.
	Stale bool
}

// A View is what a Query found, and when.
type View struct {
	Index fsm.Index   // as of this entry
	At    fsm.Instant // and this machine time
	Locks []fsm.LockView
	More  bool // the page was full and more follows it
	// Session is what was asked for of a session; else nil.
	Session *fsm.SessionView
}

// Capabilities tells what a backend really promises, for callers that must
// not assume.
type Capabilities struct {
	Backend      string // the scheme that opens it
	Fair         bool   // waits are granted first come first served
	Fencing      bool   // tokens rise strictly for ever
	Linearizable bool   // acknowledged commands survive a minority's failure
}
