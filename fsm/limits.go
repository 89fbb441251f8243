package fsm

// LimitID names a limit on the wire.
type LimitID uint8

// Every bound of the machine. What would exceed one is answered with
// StatusLimit, the limit's name and the value, and changes nothing.
const (
	// NameSizeMax: a name and its waiters' fields fit a frame many times.
	NameSizeMax = 512
	// OwnerSizeMax: an owner is an id, not a document.
	OwnerSizeMax = 128
	// LabelSizeMax: host/pid/program in a list's column.
	LabelSizeMax = 128
	// WantsMax: names of one acquire-all; more is a design to rethink.
	WantsMax = 64
	// WindowSize: answers kept for one session. A client with more commands
	// under way than this waits in its own process.
	WindowSize = 1024
	// ReentryMax: grants of one hold; more is a leak in the caller.
	ReentryMax = 1024
	// SessionsMax: sessions of a cluster; 1 KiB each at rest.
	SessionsMax = 1 << 20
	// SessionHoldsMax: grants of one session; its end must fit one entry.
	SessionHoldsMax = 1 << 16
	// ReservedHoldsMax: grants of ReservedSession, which all that have no
	// session share and which never ends.
	ReservedHoldsMax = 1 << 20
	// SessionWaitersMax: places of one session in queues, one for each name of a
	// parked acquire, for the same reason.
	SessionWaitersMax = 1 << 16
	// NameWaitersMax: the queue of one name.
	NameWaitersMax = 1 << 16
	// WaitersMax: places in queues in all.
	WaitersMax = 1 << 20
	// GrantsMax: grants in all.
	GrantsMax = 1 << 22
	// PassedMax: places in one queue that a look for the next in line passes
	// over because their owners hold the name already. Who stands behind more of
	// them waits until some are gone.
	PassedMax = 1024
	// ListedMax: holders, and waiters, of one name that a list shows; counts are
	// of all.
	ListedMax = 1000
	// PageHoldsMax: holders and waiters of one page of names, after which the
	// page ends early, so that it fits a message.
	PageHoldsMax = 4096
	// EventsMax: what one session may leave unacknowledged. Events only come
	// from what it held or waited for when it was last let in: one from each
	// hold, two from each wait (granted, then lost).
	EventsMax = SessionHoldsMax + 2*SessionWaitersMax
	// EventsRepeated: undelivered events that one renewal repeats, so that an
	// answer stays within a frame.
	EventsRepeated = 256
	// ResumesKept: resumes of one session whose copies are known. A copy that is
	// later than the eighth process after its own has lain somewhere for minutes.
	ResumesKept = 8
	// SweepMax: expiries in one entry; the rest is in the next, so that a
	// hundred thousand deaths do not stop the machine.
	SweepMax = 1000
	// MembersMax: nodes whose identity the state keeps.
	MembersMax = 64
	// MemberSizeMax: a node id or an address.
	MemberSizeMax = 255
	// CommandsMax: commands in one entry; with the size of an entry this
	// bounds what a decoder allocates.
	CommandsMax = 1 << 14
	// EntrySizeMax: an entry's bytes, so that no append stalls a heartbeat.
	EntrySizeMax = 256 << 10

	// TTLMin leaves room for three renewals over a network.
	TTLMin = 500 * Millisecond
	// TTLMax is as long as a dead client may hold.
	TTLMax = 24 * Hour
	// WaitMax and MaxHoldMax keep instants far from overflow.
	WaitMax    = 365 * 24 * Hour
	MaxHoldMax = 365 * 24 * Hour
)

// Names of limits and of malformed fields. The numbers are the wire's.
const (
	_ LimitID = iota
	LimitName
	LimitOwner
	LimitLabel
	LimitWants
	LimitReentry
	LimitSessions
	LimitSessionHolds
	LimitSessionWaiters
	LimitNameWaiters
	LimitWaiters
	LimitGrants
	LimitTTL
	LimitWait
	LimitMaxHold
	LimitMembers
	LimitMember
	LimitPermits
	LimitSecret
	LimitReservedHolds
	limitEnd
)

var limitNames = [limitEnd]string{
	LimitName:           "name: 1..512 bytes of UTF-8, no NUL",
	LimitOwner:          "owner: at most 128 bytes of UTF-8, no NUL",
	LimitLabel:          "label: at most 128 bytes of UTF-8, no NUL",
	LimitWants:          "names of one acquire: 1..64, no name twice",
	LimitReentry:        "grants of one hold: 1024",
	LimitSessions:       "sessions: 1048576",
	LimitSessionHolds:   "grants of one session: 65536",
	LimitSessionWaiters: "places of one session in queues: 65536",
	LimitNameWaiters:    "waiters of one name: 65536",
	LimitWaiters:        "waiters in all: 1048576",
	LimitGrants:         "grants in all: 4194304",
	LimitTTL:            "session TTL: 500ms..24h",
	LimitWait:           "wait: 0..8760h, or for ever",
	LimitMaxHold:        "max hold: 0..8760h",
	LimitMembers:        "members: 64",
	LimitMember:         "member id and address: 1..255 bytes",
	LimitPermits:        "permits: 1..limit of a semaphore, 0 of a lock",
	LimitReservedHolds:  "grants without a session: 1048576",
	LimitSecret:         "secret: 32 random bytes, not all zero",
}

// String names the limit with its bounds.
func (l LimitID) String() string {
	if l > 0 && l < limitEnd {
		return limitNames[l]
	}
	return "unnamed limit"
}
