package fsm

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// snapshotReader takes records off a stream and sums what it has read.
type snapshotReader struct {
	r     *bufio.Reader
	sum   uint32
	count uint64
	buf   []byte
}

func (sr *snapshotReader) read(b []byte) error {
	if _, err := io.ReadFull(sr.r, b); err != nil {
		return fmt.Errorf("%w: a snapshot ends early: %w", ErrCorrupt, err)
	}
	sr.sum = crc32.Update(sr.sum, castagnoli, b)
	return nil
}

// record reads the next record; the body is valid until the next.
func (sr *snapshotReader) record() (kind byte, body []byte, err error) {
	var size [4]byte
	if err := sr.read(size[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n < 1 || n > recordSizeMax {
		return 0, nil, fmt.Errorf("%w: a snapshot record of %d bytes", ErrCorrupt, n)
	}
	if cap(sr.buf) < int(n) {
		sr.buf = make([]byte, n)
	}
	if err := sr.read(sr.buf[:n]); err != nil {
		return 0, nil, err
	}
	sr.count++
	return sr.buf[0], sr.buf[1:n], nil
}

// Restore builds a new state from a snapshot. What it reads is checked as a
// whole: on an error (ErrCorrupt, or the reader's) there is no state.
func Restore(from io.Reader) (*State, error) {
	sr := &snapshotReader{r: bufio.NewReaderSize(from, 64<<10)}
	magic := make([]byte, len(snapshotMagic)+1)
	if err := sr.read(magic); err != nil {
		return nil, err
	}
	if string(magic[:len(snapshotMagic)]) != snapshotMagic || magic[len(snapshotMagic)] != snapshotVersion {
		return nil, fmt.Errorf("%w: not a snapshot of version %d", ErrCorrupt, snapshotVersion)
	}
	s := New()
	for {
		kind, body, err := sr.record()
		if err != nil {
			return nil, err
		}
		r := &reader[[]byte]{b: body}
		if kind == recordEnd {
			if err := sr.finish(r); err != nil {
				return nil, err
			}
			break
		}
		if (kind == recordHeader) != (sr.count == 1) || !s.load(kind, r) || r.bad || len(r.b) > 0 {
			return nil, fmt.Errorf("%w: snapshot record %d of kind %d", ErrCorrupt, sr.count, kind)
		}
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return s, nil
}

func (sr *snapshotReader) finish(r *reader[[]byte]) error {
	if r.uvarint() != sr.count-1 || r.bad || len(r.b) > 0 {
		return fmt.Errorf("%w: a snapshot lost records", ErrCorrupt)
	}
	want := sr.sum
	var tail [4]byte
	if err := sr.read(tail[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(tail[:]) != want {
		return fmt.Errorf("%w: a snapshot's checksum differs", ErrCorrupt)
	}
	return nil
}

// load takes one record in. False: it contradicts what came before.
func (s *State) load(kind byte, r *reader[[]byte]) bool {
	switch kind {
	case recordHeader:
		return s.loadHeader(r)
	case recordMember:
		m := Member{ID: r.text(MemberSizeMax), Instance: r.nonce(), Address: r.text(MemberSizeMax)}
		_, twice := s.members.ReplaceOrInsert(&m)
		return !twice
	case recordSession:
		return s.loadSession(r)
	case recordEvent:
		return s.loadEvent(r)
	case recordLock:
		return s.loadLock(r)
	case recordGrant:
		return s.loadGrant(r)
	case recordWaiter:
		return s.loadWaiter(r)
	}
	return false
}

func (s *State) loadHeader(r *reader[[]byte]) bool {
	s.level = Level(r.limited(uint64(levelLatest)))
	s.epoch = Epoch(r.limited(uint64(epochMax)))
	s.applied = Index(r.uvarint())
	s.term = Term(r.uvarint())
	s.now = r.instant()
	s.lastSession = SessionID(r.uvarint())
	s.lastGrant = GrantID(r.uvarint())
	s.lastWaiter = WaiterID(r.uvarint())
	s.lastToken = r.limited(1<<tokenCounterBits - 1)
	s.chain = r.u64()
	for i := range s.recent {
		s.recent[i] = Check{Index: Index(r.uvarint()), Hash: r.u64()}
	}
	return s.level > 0
}

func (r *reader[T]) instant() Instant { return Instant(r.limited(math.MaxInt64)) }

func (r *reader[T]) span() Duration { return Duration(r.limited(math.MaxInt64)) }

func (s *State) loadSession(r *reader[[]byte]) bool {
	ss := &session{
		id: SessionID(r.uvarint()), incarnation: Incarnation(r.limited(math.MaxUint32)),
		secret: r.secret(), nonce: r.nonce(), resumes: r.nonces(ResumesKept), label: r.text(LabelSizeMax),
		ttl: r.span(), deadline: r.instant(), mark: Seq(r.uvarint()), lastSeq: Seq(r.uvarint()),
		seen: EventID(r.uvarint()), lastEvent: EventID(r.uvarint()),
	}
	if ss.id == 0 || ss.incarnation == 0 || ss.mark == 0 {
		return false
	}
	last := Seq(0)
	for n := r.limited(WindowSize); n > 0 && !r.bad; n-- {
		a := answer{seq: Seq(r.uvarint()), hash: r.u64(), result: decodeResult(r)}
		if a.seq <= last || a.seq < ss.mark || a.seq-ss.mark >= WindowSize {
			return false
		}
		last = a.seq
		ss.window.put(a, ss.mark)
	}
	if _, known := s.opens[ss.nonce]; known || s.session(ss.id) != nil {
		return false
	}
	s.sessions.ReplaceOrInsert(ss)
	s.opens[ss.nonce] = ss.id
	ss.timer = s.timers.add(ss.deadline, timerSession, uint64(ss.id), ss.id)
	return true
}

func (s *State) loadEvent(r *reader[[]byte]) bool {
	ss := s.session(SessionID(r.uvarint()))
	e := event{
		id: EventID(r.uvarint()), kind: OutcomeKind(r.byte()), seq: Seq(r.uvarint()),
		result: decodeResult(r),
	}
	if ss == nil || r.bad || e.kind != OutcomeGranted && e.kind != OutcomeLoss {
		return false
	}
	ss.events = append(ss.events, e)
	return true
}

func (s *State) loadLock(r *reader[[]byte]) bool {
	l := &lock{name: r.text(NameSizeMax), kind: Kind(r.byte()), limit: Permits(r.limited(math.MaxUint32))}
	if l.kind != KindLock && l.kind != KindSemaphore || (l.kind == KindSemaphore) != (l.limit > 0) {
		return false
	}
	_, twice := s.locks.ReplaceOrInsert(l)
	return !twice
}

func (s *State) loadGrant(r *reader[[]byte]) bool {
	g := &grant{
		session: SessionID(r.uvarint()), id: GrantID(r.uvarint()), seq: Seq(r.uvarint()), key: r.nonce(),
		name: r.text(NameSizeMax), owner: r.text(OwnerSizeMax),
		mode: Mode(r.limited(math.MaxUint8)), permits: Permits(r.limited(math.MaxUint32)),
		token: Token(r.uvarint()), since: r.instant(), until: r.instant(),
	}
	ss, l := s.session(g.session), s.lock(g.name)
	if ss == nil || l == nil || r.bad {
		return false
	}
	if first := s.grant(g.session, g.id); first != nil {
		g.timer = first.timer
	} else if g.until > 0 {
		g.timer = s.timers.add(g.until, timerGrant, uint64(g.id), g.session)
	}
	if g.key != (Nonce{}) {
		s.keys[keyOf{g.session, g.key}] = g.id
	}
	g.name = l.name // one string for all
	if again := s.ownHold(l, &request{session: g.session, owner: g.owner}); again == nil {
		l.take(g.mode, g.permits)
	}
	l.grants++
	ss.grants++
	s.held.ReplaceOrInsert(g)
	_, twice := s.grants.ReplaceOrInsert(g)
	return !twice
}

func (s *State) loadWaiter(r *reader[[]byte]) bool {
	w := &waiter{request: request{turn: WaiterID(r.uvarint()), session: SessionID(r.uvarint())}}
	w.speaker, w.seq, w.hash = SessionID(r.uvarint()), Seq(r.uvarint()), r.uvarint()
	w.maxHold, w.since, w.deadline = r.span(), r.instant(), r.instant()
	w.key, w.owner = r.nonce(), r.text(OwnerSizeMax)
	for n := r.limited(WantsMax); n > 0 && !r.bad; n-- {
		want := Want{
			Kind: Kind(r.byte()), Mode: Mode(r.byte()),
			Permits: Permits(r.limited(math.MaxUint32)), Limit: Permits(r.limited(math.MaxUint32)),
			Name: r.text(NameSizeMax),
		}
		l := s.lock(want.Name)
		if l == nil || l.conflict(&want).Status != 0 || want.validate().Status != 0 {
			return false
		}
		w.wants = append(w.wants, want)
	}
	if r.bad || w.speaker == ReservedSession || s.session(w.speaker) == nil || s.session(w.session) == nil ||
		s.waiter(w.speaker, w.seq) != nil || len(w.wants) == 0 {
		return false
	}
	s.enqueue(w)
	return true
}
