package fsm

import (
	"strings"

	"github.com/google/btree"
)

// A View is the state as it was after one entry. It does not change, and any
// goroutine may read it beside Apply.
type View struct {
	level       Level
	epoch       Epoch
	applied     Index
	term        Term
	now         Instant
	chain       uint64
	recent      [recentChecks]Check
	lastSession SessionID
	lastGrant   GrantID
	lastWaiter  WaiterID
	lastToken   uint64

	sessions *btree.BTreeG[*session]
	locks    *btree.BTreeG[*lock]
	grants   *btree.BTreeG[*grant]
	queues   *btree.BTreeG[*waiter]
	members  *btree.BTreeG[*Member]
}

// View freezes the state as it is. It costs the same however much is held:
// what later entries change is copied then.
func (s *State) View() *View {
	s.era++ // all that exists may be in a View now
	return &View{
		level: s.level, epoch: s.epoch, applied: s.applied, term: s.term, now: s.now,
		chain: s.chain, recent: s.recent,
		lastSession: s.lastSession, lastGrant: s.lastGrant, lastWaiter: s.lastWaiter,
		lastToken: s.lastToken,
		sessions:  s.sessions.Clone(), locks: s.locks.Clone(), grants: s.grants.Clone(),
		queues: s.queues.Clone(), members: s.members.Clone(),
	}
}

// Applied is the index of the last entry in the view.
func (v *View) Applied() Index { return v.applied }

// Now is machine time in the view.
func (v *View) Now() Instant { return v.now }

// Level is the feature level in the view.
func (v *View) Level() Level { return v.level }

// Members lists the nodes that the state knows, by id.
func (v *View) Members() []Member {
	var all []Member
	v.members.Ascend(func(m *Member) bool {
		all = append(all, *m)
		return true
	})
	return all
}

// Lock shows one name; Kind is 0 and the lists are empty if it is idle.
func (v *View) Lock(name string) LockView {
	if l, ok := v.locks.Get(&lock{name: name}); ok {
		return v.show(l)
	}
	return LockView{Name: name}
}

// Locks shows, in the order of names, at most limit names that begin with
// prefix and are greater than after; more tells whether the page was too short.
func (v *View) Locks(prefix, after string, limit int) (page []LockView, more bool) {
	v.locks.AscendGreaterOrEqual(&lock{name: max(prefix, after)}, func(l *lock) bool {
		switch {
		case l.name <= after && after != "":
			return true
		case !strings.HasPrefix(l.name, prefix):
			return false
		case len(page) >= limit:
			more = true
			return false
		}
		page = append(page, v.show(l))
		return true
	})
	return page, more
}

func (v *View) show(l *lock) LockView {
	shown := LockView{Name: l.name, Kind: l.kind}
	for i := range l.holds {
		h := &l.holds[i]
		label, ends := v.speaker(h.session)
		shown.Holders = append(shown.Holders, HolderView{
			Session: h.session, Label: label, Owner: h.owner, Mode: h.mode, Permits: h.permits,
			Count: uint32(len(h.grants)), Token: h.token,
			Held: v.now.Sub(h.since), Expires: min(ends, v.holdEnds(h)).Sub(v.now),
		})
	}
	v.queues.AscendGreaterOrEqual(&waiter{name: l.name}, func(w *waiter) bool {
		if w.name != l.name {
			return false
		}
		label, _ := v.speaker(w.session)
		shown.Waiters = append(shown.Waiters, WaiterView{
			Session: w.session, Label: label, Owner: w.owner, Mode: w.mode, Permits: w.permits,
			Position: uint32(len(shown.Waiters)) + 1, Waiting: v.now.Sub(w.since),
		})
		return true
	})
	return shown
}

func (v *View) speaker(id SessionID) (label string, deadline Instant) {
	ss, _ := v.sessions.Get(&session{id: id})
	return ss.label, ss.deadline
}

// holdEnds is when MaxHold has ended the last grant of h.
func (v *View) holdEnds(h *hold) Instant {
	last := Instant(0)
	for _, id := range h.grants {
		g, _ := v.grants.Get(&grant{session: h.session, id: id})
		if g.until == 0 {
			return Instant(0).Add(Duration(1<<63 - 1))
		}
		last = max(last, g.until)
	}
	return last
}

// LockView is one name as a list shows it.
type LockView struct {
	Name    string
	Kind    Kind    // 0 when nobody holds or waits for the name
	Limit   Permits // 0 unless a semaphore
	Holders []HolderView
	Waiters []WaiterView
}

// HolderView is one hold of a name.
type HolderView struct {
	Session SessionID
	Label   string
	Owner   string
	Mode    Mode
	Permits Permits
	Count   uint32 // grants of the hold
	Token   Token
	Held    Duration // since the hold's first grant
	Expires Duration // until the first of session and MaxHold ends the hold
}

// WaiterView is one place in a name's queue.
type WaiterView struct {
	Session  SessionID
	Label    string
	Owner    string
	Mode     Mode
	Permits  Permits
	Position uint32 // from 1
	Waiting  Duration
}
