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
	held     *btree.BTreeG[*grant]
	parked   *btree.BTreeG[*waiter]
	queues   *btree.BTreeG[*stand]
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
		held: s.held.Clone(), parked: s.parked.Clone(), queues: s.queues.Clone(),
		members: s.members.Clone(),
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
// prefix and are greater than after; more tells whether names follow. A page ends
// early when it has PageHoldsMax holders and waiters.
func (v *View) Locks(prefix, after string, limit int) (page []LockView, more bool) {
	listed := 0
	v.locks.AscendGreaterOrEqual(&lock{name: max(prefix, after)}, func(l *lock) bool {
		switch {
		case l.name <= after && after != "":
			return true
		case !strings.HasPrefix(l.name, prefix):
			return false
		case len(page) >= limit || listed >= PageHoldsMax:
			more = true
			return false
		}
		shown := v.show(l)
		listed += len(shown.Holders) + len(shown.Waiters)
		page = append(page, shown)
		return true
	})
	return page, more
}

func (v *View) show(l *lock) LockView {
	return LockView{
		Name: l.name, Kind: l.kind, Limit: l.limit, Holds: l.holds, Waits: l.waiting,
		Holders: v.holders(l), Waiters: v.waiters(l),
	}
}

// holders lists the holds of a lock by owner, and by number those of a semaphore.
func (v *View) holders(l *lock) []HolderView {
	var all []HolderView
	var last *grant
	v.held.AscendGreaterOrEqual(&grant{name: l.name}, func(g *grant) bool {
		if g.name != l.name {
			return false
		}
		label, ends := v.speaker(g.session)
		if g.until != 0 {
			ends = min(ends, g.until)
		}
		if last != nil && l.kind == KindLock && sameHold(last, g) { // a further grant of the hold
			h := &all[len(all)-1]
			h.Count++
			h.Expires = max(h.Expires, ends.Sub(v.now))
			return true
		}
		if len(all) == ListedMax {
			return false
		}
		all = append(all, HolderView{
			Session: g.session, Label: label, Owner: g.owner, Mode: g.mode, Permits: g.permits,
			Count: 1, Token: g.token, Held: v.now.Sub(g.since), Expires: ends.Sub(v.now),
		})
		last = g
		return true
	})
	return all
}

func (v *View) waiters(l *lock) []WaiterView {
	var all []WaiterView
	from := &stand{waiter: &waiter{}, want: &Want{Name: l.name}}
	v.queues.AscendGreaterOrEqual(from, func(st *stand) bool {
		if st.want.Name != l.name || len(all) == ListedMax {
			return false
		}
		w := st.waiter
		label, _ := v.speaker(w.session)
		all = append(all, WaiterView{
			Session: w.session, Label: label, Owner: w.owner, Mode: st.want.Mode, Permits: st.want.Permits,
			Position: uint32(len(all)) + 1, Waiting: v.now.Sub(w.since),
		})
		return true
	})
	return all
}

func (v *View) speaker(id SessionID) (label string, deadline Instant) {
	ss, _ := v.sessions.Get(&session{id: id})
	return ss.label, ss.deadline
}

// LockView is one name as a list shows it.
type LockView struct {
	Name    string
	Kind    Kind    // 0 when nobody holds or waits for the name
	Limit   Permits // declared; 0 unless a semaphore
	Holds   uint32  // all of them; Holders are the first ListedMax
	Waits   uint32  // all of them; Waiters are the first ListedMax
	Holders []HolderView
	Waiters []WaiterView
}

// HolderView is one hold of a name. What no session holds has Session 0.
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
