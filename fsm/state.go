package fsm

import "github.com/google/btree"

// State is the lock machine's memory. It is changed by Apply alone, and only
// one goroutine may touch it at a time; View gives others something to read.
//
// Every table is an ordered copy-on-write tree, so that a View costs the same
// however much is held, and equal states write equal snapshots. What the trees
// point to is immutable, or carries the era in which it was made: an object of
// an earlier era may be in somebody's View and is copied before it changes.
type State struct {
	level   Level
	epoch   Epoch
	applied Index
	term    Term
	now     Instant
	chain   uint64
	recent  [recentChecks]Check // ring of the last chain values

	lastSession SessionID
	lastGrant   GrantID
	lastWaiter  WaiterID
	lastToken   uint64 // counter part of the last token

	sessions *btree.BTreeG[*session] // by id
	locks    *btree.BTreeG[*lock]    // by name
	grants   *btree.BTreeG[*grant]   // by session, id, name
	held     *btree.BTreeG[*grant]   // the same, by name, owner, id
	parked   *btree.BTreeG[*waiter]  // by speaker, seq
	queues   *btree.BTreeG[*stand]   // by name, turn
	members  *btree.BTreeG[*Member]  // by id

	// Derived: rebuilt by Restore, in no snapshot. Maps are never ranged over.
	era       uint64
	timers    timerHeap
	opens     map[Nonce]SessionID    // nonces of living sessions
	keys      map[keyOf]GrantID      // idempotency keys of living grants
	copies    map[keyOf][]*waiter    // those of parked that have a key, in the order of arrival
	claims    *btree.BTreeG[*stand]  // the same as queues, by name, owner, turn
	sponsored *btree.BTreeG[*waiter] // those of parked for another session, by that
	spare     spares

	// Scratch of one Apply.
	out   []Outcome
	pos   int
	moves []move   // that handOver is to look at
	rows  []*grant // of namesOf
	probe probes
}

// probes are reused as search keys, so that a look-up allocates nothing. A walk
// that runs within another has one of its own.
type probes struct {
	session      session
	lock         lock
	grant, hold  grant
	waiter       waiter
	outer, inner standProbe
	member       Member
}

type standProbe struct {
	stand  stand
	waiter waiter
	want   Want
}

const (
	treeDegree   = 32
	recentChecks = 64
	levelFirst   = Level(1)
	levelLatest  = Level(1)
)

// New is the state before the first entry.
func New() *State {
	s := &State{
		level:     levelFirst,
		epoch:     1,
		sessions:  btree.NewG(treeDegree, func(a, b *session) bool { return a.id < b.id }),
		locks:     btree.NewG(treeDegree, func(a, b *lock) bool { return a.name < b.name }),
		grants:    btree.NewG(treeDegree, grantLess),
		held:      btree.NewG(treeDegree, heldLess),
		parked:    btree.NewG(treeDegree, parkedLess),
		queues:    btree.NewG(treeDegree, queueLess),
		members:   btree.NewG(treeDegree, func(a, b *Member) bool { return a.ID < b.ID }),
		opens:     make(map[Nonce]SessionID),
		keys:      make(map[keyOf]GrantID),
		copies:    make(map[keyOf][]*waiter),
		claims:    btree.NewG(treeDegree, claimLess),
		sponsored: btree.NewG(treeDegree, sponsoredLess),
	}
	s.sessions.ReplaceOrInsert(&session{id: ReservedSession, incarnation: 1, mark: 1, deadline: instantMax})
	return s
}

// Now is machine time as of the last entry.
func (s *State) Now() Instant { return s.now }

// Applied is the index of the last entry; 0 before the first.
func (s *State) Applied() Index { return s.applied }

// Level is the feature level.
func (s *State) Level() Level { return s.level }

// Sizes are how many sessions live (the reserved one aside), and how many names
// are held and waits parked.
func (s *State) Sizes() (sessions, held, waits int) {
	return s.sessions.Len() - 1, s.grants.Len(), s.parked.Len()
}

// Member is what the state knows of a node's identity.
func (s *State) Member(id string) (Member, bool) {
	s.probe.member.ID = id
	if m, ok := s.members.Get(&s.probe.member); ok {
		return *m, true
	}
	return Member{}, false
}

func (s *State) session(id SessionID) *session {
	s.probe.session.id = id
	ss, _ := s.sessions.Get(&s.probe.session)
	return ss
}

func (s *State) lock(name string) *lock {
	s.probe.lock.name = name
	l, _ := s.locks.Get(&s.probe.lock)
	return l
}

func (s *State) waiter(id SessionID, seq Seq) *waiter {
	s.probe.waiter.speaker, s.probe.waiter.seq = id, seq
	w, _ := s.parked.Get(&s.probe.waiter)
	return w
}

// own gives a session that this era may change: itself, or its copy in the
// tree's place (which may be there already, when ss is older than this call).
func (s *State) own(ss *session) *session {
	if ss.era == s.era {
		return ss
	}
	if current := s.session(ss.id); current.era == s.era {
		return current
	}
	c := ss.clone()
	c.era = s.era
	s.sessions.ReplaceOrInsert(c)
	return c
}

// ownLock is own for locks.
func (s *State) ownLock(l *lock) *lock {
	if l.era == s.era {
		return l
	}
	if current := s.lock(l.name); current.era == s.era {
		return current
	}
	c := *l
	c.era = s.era
	s.locks.ReplaceOrInsert(&c)
	return &c
}
