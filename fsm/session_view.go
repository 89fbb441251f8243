package fsm

// A SessionView is what one session holds and waits for: what a process that
// resumes it must know. A grant's number is of no use without the session's
// secret.
type SessionView struct {
	Session     SessionID
	Incarnation Incarnation
	Label       string
	TTL         Duration
	Expires     Duration // until the session ends, if nothing renews it
	Grants      []GrantView
	Waits       []WaitView
}

// A GrantView is one grant of a session, which may have several names.
type GrantView struct {
	Grant GrantID
	Seq   Seq // of the acquire; 0 if another session said it on behalf of this one
	Owner string
	Until Instant // when MaxHold ends it; 0 is never
	Names []HeldView
}

// A HeldView is one name of a grant. They are in the order of names, which need
// not be that of the acquire's wants.
type HeldView struct {
	Want  // Limit is the declared one
	Token Token
	Count uint32 // grants of the hold
}

// A WaitView is an acquire that waits.
type WaitView struct {
	Seq      Seq
	Owner    string
	Wants    []Want
	MaxHold  Duration
	Waiting  Duration
	Deadline Instant // when the wait times out; 0 is never
}
