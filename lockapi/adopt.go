package lockapi

import (
	"fmt"
	"math"

	"github.com/lockd-io/lockd/fsm"
)

// after is past every grant and every wait that there will ever be.
const after = math.MaxUint64 - 1

// read reads what the session has, in pages.
func (s *session) read(left *fsm.SessionView) error {
	q := Query{Session: s.id, Secret: s.secret, Limit: pageMax, AfterGrant: after}
	for _, of := range [...]string{"waits", "grants"} {
		for more := true; more; {
			v, err := s.client.inspect(s.ctx, q)
			if err != nil {
				return err
			}
			page := v.Session
			if page == nil {
				return fmt.Errorf("%w: the backend does not show sessions", ErrUnsupported)
			}
			if v.More && len(page.Grants)+len(page.Waits) == 0 {
				return fmt.Errorf("%w: the backend shows pages with nothing on them", ErrUnsupported)
			}
			grants, waits := append(left.Grants, page.Grants...), append(left.Waits, page.Waits...)
			if of == "waits" {
				q.AfterWait = lastWait(page, q.AfterWait)
			} else {
				waits, q.AfterGrant, s.foundAt = left.Waits, lastGrant(page, q.AfterGrant), v.Index
			}
			*left, more = *page, v.More
			left.Grants, left.Waits = grants, waits
		}
		q.AfterGrant, q.AfterWait = 0, after
	}
	return nil
}

func lastWait(page *fsm.SessionView, before fsm.Seq) fsm.Seq {
	if n := len(page.Waits); n > 0 {
		return page.Waits[n-1].Seq
	}
	return before
}

func lastGrant(page *fsm.SessionView, before fsm.GrantID) fsm.GrantID {
	if n := len(page.Grants); n > 0 {
		return page.Grants[n-1].Grant
	}
	return before
}

// adopt makes what was found the session's own. mu is held.
func (s *session) adopt(left *fsm.SessionView) (grants []*Grant, waits []*Waiting) {
	granted := make(map[fsm.Seq]bool)
	depth := make(map[holdOf]uint32)
	for i := range left.Grants {
		v := &left.Grants[i]
		if len(v.Names) == 0 {
			continue // of a machine that has such
		}
		first := v.Names[0]
		at := holdOf{first.Name, v.Owner}
		if depth[at]++; first.Kind == fsm.KindSemaphore {
			depth[at] = 1
		}
		g := &Grant{
			Name: first.Name, Token: first.Token, owner: v.Owner, want: first.Want, rest: v.Names[1:],
			session: s, id: v.Grant, until: v.Until, count: depth[at], place: -1,
		}
		s.grants[g.id] = g
		grants, granted[v.Seq] = append(grants, g), true
	}
	for i := range left.Waits {
		v := &left.Waits[i]
		if granted[v.Seq] {
			continue
		}
		a := &acquiring{resumed: true, parked: true, cmd: fsm.Command{
			Op: fsm.OpAcquire, Session: s.id, Seq: v.Seq, Wants: v.Wants, Owner: v.Owner, MaxHold: v.MaxHold,
		}}
		s.acquires[v.Seq] = a
		waits = append(waits, &Waiting{session: s, acquiring: a})
	}
	return grants, waits
}

// A holdOf names what grants of one owner are grants of.
type holdOf struct{ name, owner string }

// refresh renews while the session is not to be believed in: to find out what it
// has may have taken longer than that. Nobody else renews it yet.
func (s *session) refresh() error {
	for {
		s.mu.Lock()
		now := s.now()
		enough := now < s.belief.sessionUntil()
		var c fsm.Command
		if !enough {
			s.renewals.last++
			c = fsm.Command{Op: fsm.OpRenew, Session: s.id, Incarnation: s.incarnation, Seq: s.renewals.last, Seen: s.seen}
		}
		s.unlock()
		if enough {
			return nil
		}
		r, err := s.do(s.ctx, &c, true)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.credit(now, s.now(), r)
		s.unlock()
		s.heed(r)
		if err := s.cause(); err != nil {
			return err
		}
	}
}

// handed gives the application the grants that are valid, and sees to the others.
func (s *session) handed(grants []*Grant, waits []*Waiting) *Resumed {
	s.mu.Lock()
	defer s.unlock()
	now := s.now()
	found := &Resumed{Waits: waits}
	for _, g := range grants {
		switch {
		case g.cause != nil: // lost meanwhile
		case s.hold(g, now):
			found.Grants = append(found.Grants, g)
		default:
			s.finish(g, fmt.Errorf("%w: its max hold had passed before the session was resumed", ErrLost))
			s.drop(drop{grant: g.id})
		}
	}
	return found
}
