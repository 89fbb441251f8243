package cluster

import (
	"context"
	"slices"
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

const (
	// eventsBuffered: events that a slow reader may leave in its channel.
	// Further ones are dropped, and come again with the next renewal, whose
	// answer tells the client that it has not heard all. Ten thousand sessions
	// of a node make 110 MB of it.
	eventsBuffered = 64
	// eventsRemembered: events of which a subscription remembers how often it
	// heard them from where.
	eventsRemembered = 64
)

// A subscription is what the reader of one Attach hears.
type subscription struct {
	session     fsm.SessionID
	incarnation fsm.Incarnation
	seen        fsm.EventID      // acknowledged when it attached: an entry that is late here may still tell of it
	events      chan fsm.Outcome // eventsBuffered, and one for the end
	heard       [eventsRemembered]hearing
	attach      fsm.Key // of its command
	begun       bool    // the command's answer was told; before it, nothing is given
	proven      bool    // the secret was right
	over        bool    // events is closed
}

// A hearing is how often an event was heard from the leader, and from this
// node's own apply. Each entry that tells of an event is heard from both, or
// from the second alone; it is given to the reader when the first of the two
// tells it. A renewal that repeats the event is another entry.
type hearing struct {
	event fsm.EventID
	from  [2]uint16
	given uint16
}

// A source is whom outcomes come from.
type source uint8

const (
	fromLeader source = iota
	fromApply
)

// subscriptions are by session: at most one that is proven, and those that
// wait for the machine's word on their secret. With that word comes what a
// subscription is to hear first, the events that were not acknowledged, in order.
// So it hears from there on, and not before: this node applies an entry later than
// its leader tells of the next ones, and would tell of the third event, then of
// the first. An unproven one hears, but nobody reads it.
type subscriptions struct {
	mu        sync.Mutex // guards the fields and all subscriptions
	bySession map[fsm.SessionID][]*subscription
	attaching map[fsm.Key]*subscription // those that have not begun
	dropped   uint64                    // events that found no room
	closed    bool
}

func newSubscriptions() *subscriptions {
	return &subscriptions{
		bySession: make(map[fsm.SessionID][]*subscription), attaching: make(map[fsm.Key]*subscription),
	}
}

// Attach implements lockapi.Backend.
func (n *Node) Attach(ctx context.Context, a lockapi.Attachment) (<-chan fsm.Outcome, error) {
	c := fsm.Command{
		Op: fsm.OpAttach, Nonce: randomNonce(), Session: a.Session, Incarnation: a.Incarnation,
		Seq: a.Renewal, Seen: a.Seen, Secret: a.Secret,
	}
	sub, err := n.subs.add(&a, c.Key())
	if err != nil {
		return nil, err
	}
	r, err := n.Do(ctx, c)
	if err == nil {
		err = lockapi.ErrorOf(r)
	}
	if err != nil {
		n.subs.remove(sub)
		return nil, err
	}
	n.subs.prove(sub)
	context.AfterFunc(ctx, func() { n.subs.remove(sub) })
	return sub.events, nil
}

// add makes a subscription that begins with the answer to the command under attach.
func (s *subscriptions) add(a *lockapi.Attachment, attach fsm.Key) (*subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errNeverSent(lockapi.ErrClosed)
	}
	sub := &subscription{
		session: a.Session, incarnation: a.Incarnation, seen: a.Seen, attach: attach,
		events: make(chan fsm.Outcome, eventsBuffered+1),
	}
	s.bySession[a.Session] = append(s.bySession[a.Session], sub)
	s.attaching[attach] = sub
	return sub, nil
}

// prove makes sub the one that speaks for its session here; the one before it
// is closed. Others that wait for their word stay.
func (s *subscriptions) prove(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.bySession[sub.session] {
		if other != sub && other.proven {
			s.removeLocked(other)
			break
		}
	}
	sub.proven = true
}

func (s *subscriptions) remove(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(sub)
}

func (s *subscriptions) removeLocked(sub *subscription) {
	if sub.over {
		return
	}
	sub.over = true
	close(sub.events)
	delete(s.attaching, sub.attach)
	left := slices.DeleteFunc(s.bySession[sub.session], func(other *subscription) bool { return other == sub })
	if len(left) == 0 {
		delete(s.bySession, sub.session)
	} else {
		s.bySession[sub.session] = left
	}
}

func (s *subscriptions) removeAllLocked(id fsm.SessionID) {
	for all := s.bySession[id]; len(all) > 0; all = s.bySession[id] {
		s.removeLocked(all[0])
	}
}

// deliver gives events to who hears them. Of answers it only looks whether
// somebody begins to hear.
func (s *subscriptions) deliver(outcomes []fsm.Outcome, from source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bySession) == 0 {
		return
	}
	for i := range outcomes {
		o := &outcomes[i]
		if o.Kind != fsm.OutcomeAnswer {
			s.deliverLocked(o, from)
		} else if sub := s.attaching[o.Key]; sub != nil {
			sub.begun = true
			delete(s.attaching, o.Key)
		}
	}
}

func (s *subscriptions) deliverLocked(o *fsm.Outcome, from source) {
	for _, sub := range s.bySession[o.Key.Session] {
		if sub.incarnation == o.Key.Incarnation && (sub.begun || o.Kind == fsm.OutcomeEnded) {
			if !sub.give(o, from) {
				s.dropped++
			}
		}
	}
	if o.Kind == fsm.OutcomeEnded {
		s.removeAllLocked(o.Key.Session)
	}
}

// give never blocks. What does not fit is dropped (false): the machine keeps it
// until the session acknowledges it, and repeats it with the next renewal.
func (sub *subscription) give(o *fsm.Outcome, from source) bool {
	if o.Kind == fsm.OutcomeEnded {
		sub.events <- *o // its own place
		return true
	}
	if o.Event <= sub.seen {
		return true
	}
	h := &sub.heard[o.Event%eventsRemembered]
	if h.event != o.Event {
		*h = hearing{event: o.Event}
	}
	h.from[from]++
	if h.from[from] <= h.given {
		return true // the other source told it already
	}
	h.given = h.from[from]
	if len(sub.events) >= eventsBuffered {
		return false
	}
	sub.events <- *o
	return true
}

// counted fills in what is counted here.
func (s *subscriptions) counted(to *Metrics) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to.Attached, to.EventsDropped = len(s.bySession), s.dropped
}

// restored gives everybody what the state says that they have not heard: this
// node never applies the entries that a snapshot stands for.
func (s *subscriptions) restored(m *machine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, all := range s.bySession {
		events, ended := m.undelivered(id)
		for i := range events {
			s.deliverLocked(&events[i], fromApply)
		}
		if ended {
			facts := m.known()
			s.deliverLocked(&fsm.Outcome{
				Kind: fsm.OutcomeEnded, Pos: -1,
				Key:    fsm.Key{Class: fsm.ClassSeq, Session: id, Incarnation: all[0].incarnation},
				Result: fsm.Result{Status: fsm.StatusSessionGone, Session: id, At: facts.now, Index: facts.applied},
			}, fromApply)
		}
	}
}

// close ends every subscription, and refuses new ones.
func (s *subscriptions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for id := range s.bySession {
		s.removeAllLocked(id)
	}
}
