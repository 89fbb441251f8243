package fsm

// Op says what a command asks for. The numbers are the wire's and the log's.
type Op uint8

const (
	_ Op = iota
	// OpOpen opens a session. A second Open with the nonce of a living session
	// finds that session.
	OpOpen
	// OpAttach proves with the secret that the sender may speak for the
	// session, renews it and repeats what it has not acknowledged. It is
	// numbered like a renewal.
	OpAttach
	// OpRenew renews the session and repeats what it has not acknowledged. It
	// takes no seq: Command.Seq is the renewal's own number, which the answer
	// repeats.
	OpRenew
	// OpClose ends the session: holds are released, waits withdrawn.
	OpClose
	// OpAcquire asks for a hold of each name that it wants, of all or of none,
	// or a further grant of one (re-entry).
	OpAcquire
	// OpRelease ends the grant that Command.Grant names.
	OpRelease
	// OpExtend moves the deadline of the grant to MaxHold from now, never
	// nearer.
	OpExtend
	// OpAbandon withdraws the acquire that has the seq Command.Target: a
	// waiting one is removed, a granted one released, an unseen one burnt.
	OpAbandon
	// OpRead does nothing; its outcome fixes an index and a time to read at.
	OpRead
	// OpTakeover is a new leader's first command: its outcome carries the term
	// of its own log entry and the machine time at it.
	OpTakeover
	// OpMember records the instance nonce and address of a cluster member.
	OpMember
	// OpResume begins the next incarnation of a session, for a new process that
	// knows its secret: commands of earlier ones are fenced, and what the session
	// holds and waits for stays. A copy of the last Resume, by its nonce, finds what
	// that one began; a copy of one before that is fenced.
	OpResume
	opEnd // one past the last; what is at or over it is unknown at this level
)

// Kind is what a name is, fixed at its first use and forgotten when idle.
type Kind uint8

const (
	_ Kind = iota
	KindLock
	KindSemaphore
)

// Mode is how a name is held.
type Mode uint8

const (
	_ Mode = iota
	Exclusive
	Shared
	Counted // n permits of a semaphore
)

// Behalf says for whom an acquire, a release or an extension is, when it is not
// for the session that says it. A node speaks so for who has no session to speak
// by, as over HTTP: the node's own session numbers the command, waits in the queue
// and hears the end of the wait; the grant is the beneficiary's.
type Behalf uint8

const (
	BehalfSelf    Behalf = iota // the session that says it
	BehalfNobody                // ReservedSession; only with MaxHold
	BehalfAnother               // Command.For, proved by Command.Secret
	behalfEnd
)

// A Want is one name of an acquire, and how it is wanted.
type Want struct {
	Name    string
	Kind    Kind
	Mode    Mode
	Permits Permits // of a semaphore; else 0
	Limit   Permits // a semaphore's declared limit; else 0
}

// A Nonce is a random number by which a sender without a session knows its
// command's answer.
type Nonce struct{ Hi, Lo uint64 }

// Secret proves that a client may speak for a session. In a Backend's hands it
// is the client's own random value; in a log, a state and a forwarded frame it
// is the SHA-256 of that. It is never shown.
type Secret [32]byte

// A Member is one node of the cluster: who it is, which disk it is (the
// instance nonce), and where it is.
type Member struct {
	ID       string
	Instance Nonce
	Address  string
}

// A Command asks the machine for one thing. Which fields count depends on Op;
// the rest are zero.
type Command struct {
	Op          Op
	Session     SessionID
	Incarnation Incarnation
	// Seq is the command's number in its session; for OpRenew and OpAttach the
	// number of the renewal, which is another sequence.
	Seq Seq
	// Mark says that every seq below it is answered or parked as far as the
	// client knows, so that the machine may forget their answers.
	Mark Seq
	// Seen acknowledges the session's events up to and with this one.
	Seen EventID

	// Nonce is the command's own number for OpOpen, OpAttach, OpRead, OpTakeover,
	// OpMember and OpResume. Of an OpAcquire on somebody's behalf it is the key
	// under which a repeat by way of another node finds the grant, while that
	// lives; zero is none.
	Nonce  Nonce
	Secret Secret   // OpOpen, OpAttach, OpResume; BehalfAnother
	TTL    Duration // OpOpen
	Label  string   // OpOpen: who this is, for lists

	// Wants are the names of an OpAcquire, none twice. An OpRelease or OpExtend
	// on somebody's behalf has one, whose Name alone counts: the grant must have it.
	Wants   []Want
	Owner   string   // OpAcquire
	Wait    Duration // OpAcquire: 0 tries only, Forever waits for ever
	MaxHold Duration // OpAcquire: 0 is no deadline; OpExtend: from now

	Behalf Behalf    // OpAcquire, OpRelease, OpExtend
	For    SessionID // BehalfAnother

	Grant  GrantID // OpRelease, OpExtend
	Target Seq     // OpAbandon
	Member Member  // OpMember
}

// Class tells the three ways in which a command is numbered.
type Class uint8

const (
	_            Class = iota
	ClassSeq           // by its session's seq, remembered in the window
	ClassRenewal       // by its session's renewal number, not remembered
	ClassNonce         // by a nonce; Key.Session and Key.Seq are its halves
)

// A Key identifies a command and so its answer, among all senders.
type Key struct {
	Class       Class
	Incarnation Incarnation
	Session     SessionID
	Seq         Seq
}

// Key identifies c. An attach is known by a nonce although it speaks for a
// session: whoever sends it has yet to prove the secret, and under a number
// that can be guessed he would be told the answer to the session's own renewal,
// and the session his.
func (c *Command) Key() Key {
	switch c.Op {
	case OpOpen, OpAttach, OpRead, OpTakeover, OpMember, OpResume:
		return Key{Class: ClassNonce, Session: SessionID(c.Nonce.Hi), Seq: Seq(c.Nonce.Lo)}
	case OpRenew:
		return Key{Class: ClassRenewal, Incarnation: c.Incarnation, Session: c.Session, Seq: c.Seq}
	default:
		return Key{Class: ClassSeq, Incarnation: c.Incarnation, Session: c.Session, Seq: c.Seq}
	}
}

// HasSecret tells whether c carries a secret, which a backend replaces by its
// SHA-256 before c enters a log or leaves the process for another node.
func (c *Command) HasSecret() bool {
	switch c.Op {
	case OpOpen, OpAttach, OpResume:
		return true
	default:
		return c.Behalf == BehalfAnother
	}
}

// speaks tells whether c is said in the name of a session's incarnation.
func (c *Command) speaks() bool {
	switch c.Op {
	case OpOpen, OpRead, OpTakeover, OpMember, OpResume:
		return false
	default:
		return true
	}
}

// A Check is what the proposer of an entry had applied, and its rolling hash
// of outcomes there: whoever has another hash at that index has diverged.
type Check struct {
	Index Index
	Hash  uint64
}

// An Entry is one entry of the log: many commands, one time, one commit.
type Entry struct {
	// Term is the term in which the proposer stamped Now. An entry whose Term
	// is not that of its place in the log runs its commands but does not
	// advance time: a leader that lost and regained its office could otherwise
	// count the time in between, in which another leader renewed sessions.
	Term     Term
	Now      Instant
	Check    Check
	Commands []Command
}
