package fsm

// Status says how a command ended.
type Status uint8

const (
	_ Status = iota
	// StatusOK: done.
	StatusOK
	// StatusQueued: the acquire waits; its outcome follows as an event.
	StatusQueued
	// StatusBusy: not free, and the acquire did not want to wait.
	StatusBusy
	// StatusTimeout: the wait was over before the grant.
	StatusTimeout
	// StatusAbandoned: withdrawn by OpAbandon.
	StatusAbandoned
	// StatusNotHeld: no such grant of this session, any more or at all.
	StatusNotHeld
	// StatusMaxHold: a loss; the grant's own deadline passed.
	StatusMaxHold
	// StatusForced: a loss; an operator released it.
	StatusForced
	// StatusSessionGone: there is no such session (any more).
	StatusSessionGone
	// StatusFenced: a later incarnation of the session has taken over.
	StatusFenced
	// StatusOldSeq: below the mark and not parked; nothing was done.
	StatusOldSeq
	// StatusSeqReused: the seq came before with another command; the session
	// is ended.
	StatusSeqReused
	// StatusWindow: beyond the window of answers; the session is ended.
	StatusWindow
	// StatusBadSecret: the secret is not the session's; nothing was done.
	StatusBadSecret
	// StatusLimit: Result.Limit names the limit, Result.Value what was asked.
	StatusLimit
	// StatusInvalid: the command is malformed; Result.Limit may say where.
	StatusInvalid
	// StatusKindConflict: the name is of the other kind now.
	StatusKindConflict
	// StatusModeConflict: the owner holds the name in another mode.
	StatusModeConflict
	// StatusLevel: the state's feature level does not have this yet.
	StatusLevel
	// StatusLimitConflict: the semaphore is declared with another limit, which
	// Result.Value is.
	StatusLimitConflict
	// StatusNobody: there is no session as the command is on behalf of, or its
	// secret is another. Which of the two is not told.
	StatusNobody
	statusEnd
)

// A Result is the answer to one command. Two that are equal are the same answer:
// it is kept and compared as it is.
type Result struct {
	Status Status
	// Incarnation is the one that an OpResume began; else 0.
	Incarnation Incarnation
	At          Instant // machine time at which the command was applied
	Index       Index   // entry that gave this answer
	Order       uint32  // place among that entry's outcomes, from 1

	Session SessionID // OpOpen, OpResume; of OpAttach and OpRenew as well
	Term    Term      // OpTakeover
	Grant   GrantID   // OpAcquire, OpExtend; a loss
	// Token is that of the first name: of OpAcquire in the order of Command.Wants,
	// of OpExtend, OpRelease and a loss in the order of names.
	Token Token
	Rest  Tokens  // OpAcquire: of the further names, in the order of Command.Wants
	Until Instant // when MaxHold ends the grant; 0 is never
	Count uint32  // grants of the first name's hold, this one included
	// Place of StatusQueued is the place in the longest of the queues, from 1.
	// When an acquire is refused for one of its names, it says which, from 1.
	Place uint32

	Limit LimitID // StatusLimit, StatusInvalid
	// Value is what was asked for, for StatusLimit; the declared limit, for
	// StatusLimitConflict; the session's last event so far, for OpRenew and
	// OpAttach; the lowest seq that is free, for OpResume.
	Value uint64
}

// OutcomeKind tells why an outcome came to be.
type OutcomeKind uint8

const (
	_              OutcomeKind = iota
	OutcomeAnswer              // answers a command of this entry
	OutcomeGranted             // the late end of a parked acquire, whatever its Status
	OutcomeLoss                // a grant ended without its session's doing
	OutcomeEnded               // the session is over
)

// An Outcome answers one command, now or later, or is a loss that a session
// must learn of.
type Outcome struct {
	Kind OutcomeKind
	// Key is the command's, for OutcomeGranted the acquire's. Losses and ends
	// have only its Session and Incarnation.
	Key Key
	// Pos is the place of the answered command in its entry; -1 unless Kind is
	// OutcomeAnswer.
	Pos int
	// Event numbers what stays with the session until acknowledged; else 0.
	Event  EventID
	Result Result
}
