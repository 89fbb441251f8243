package fsm

// A SessionView is what one session holds and waits for: what a process that
// resumes it must know. A grant's number is of no use without the session's
// secret.
type SessionView struct {
	Session     SessionID
	Incarnation Incarnation
	Seen        EventID // acknowledged up to and with this one
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

// Session shows what a session holds and waits for: at most limit grants with
// greater numbers than afterGrant, then waits with greater numbers than afterWait;
// more tells whether there are others. found is false if there is no such session.
func (v *View) Session(id SessionID, afterGrant GrantID, afterWait Seq, limit int) (page SessionView, more, found bool) {
	ss, found := v.sessions.Get(&session{id: id})
	if !found || id == ReservedSession {
		return SessionView{}, false, false
	}
	page = SessionView{
		Session: id, Incarnation: ss.incarnation, Seen: ss.seen, Label: ss.label,
		TTL: ss.ttl, Expires: ss.deadline.Sub(v.now),
	}
	v.grants.AscendGreaterOrEqual(&grant{session: id, id: afterGrant + 1}, func(g *grant) bool {
		if g.session != id {
			return false
		}
		last := len(page.Grants) - 1
		if last < 0 || page.Grants[last].Grant != g.id {
			if more = len(page.Grants) >= limit; more {
				return false
			}
			page.Grants = append(page.Grants, GrantView{Grant: g.id, Seq: g.seq, Owner: g.owner, Until: g.until})
			last++
		}
		page.Grants[last].Names = append(page.Grants[last].Names, v.heldView(g))
		return true
	})
	if more {
		return page, true, true
	}
	v.parked.AscendGreaterOrEqual(&waiter{speaker: id, seq: afterWait + 1}, func(w *waiter) bool {
		if w.speaker != id {
			return false
		}
		if w.session != id { // on somebody's behalf
			return true
		}
		if more = len(page.Grants)+len(page.Waits) >= limit; more {
			return false
		}
		page.Waits = append(page.Waits, WaitView{
			Seq: w.seq, Owner: w.owner, Wants: w.wants, MaxHold: w.maxHold,
			Waiting: v.now.Sub(w.since), Deadline: w.deadline,
		})
		return true
	})
	return page, more, true
}

// Proves tells whether secret, a hash as commands carry it, is the session's.
func (v *View) Proves(id SessionID, secret Secret) bool {
	ss, found := v.sessions.Get(&session{id: id})
	return found && id != ReservedSession && ss.secret == secret
}

func (v *View) heldView(g *grant) HeldView {
	l, _ := v.locks.Get(&lock{name: g.name})
	return HeldView{
		Want:  Want{Name: g.name, Kind: l.kind, Mode: g.mode, Permits: g.permits, Limit: l.limit},
		Token: g.token,
	}
}
