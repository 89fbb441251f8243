package rpc

import (
	"google.golang.org/protobuf/proto"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// sessionMessage is v as a message, cut off after pageSizeSoft bytes; more tells
// whether something follows.
func sessionMessage(v *fsm.SessionView, more bool) (*lockdv1.Session, bool) {
	m := &lockdv1.Session{
		Session: uint64(v.Session), Incarnation: uint32(v.Incarnation), Seen: uint64(v.Seen), Label: v.Label,
		TtlNanos: int64(v.TTL), ExpiresNanos: int64(v.Expires),
	}
	size := 0
	for i := range v.Grants {
		if size >= pageSizeSoft {
			return m, true
		}
		g := sessionGrant(&v.Grants[i])
		size += proto.Size(g)
		m.Grants = append(m.Grants, g)
	}
	for i := range v.Waits {
		if size >= pageSizeSoft {
			return m, true
		}
		w := sessionWait(&v.Waits[i])
		size += proto.Size(w)
		m.Waits = append(m.Waits, w)
	}
	return m, more
}

func sessionGrant(g *fsm.GrantView) *lockdv1.SessionGrant {
	m := &lockdv1.SessionGrant{Grant: uint64(g.Grant), Seq: uint64(g.Seq), Owner: g.Owner, UntilNanos: int64(g.Until)}
	for i := range g.Names {
		h := &g.Names[i]
		m.Names = append(m.Names, &lockdv1.Held{Want: wantMessage(&h.Want), Token: uint64(h.Token)})
	}
	return m
}

func sessionWait(w *fsm.WaitView) *lockdv1.SessionWait {
	m := &lockdv1.SessionWait{
		Seq: uint64(w.Seq), Owner: w.Owner, MaxHoldNanos: int64(w.MaxHold), WaitingNanos: int64(w.Waiting),
		DeadlineNanos: int64(w.Deadline),
	}
	for i := range w.Wants {
		m.Wants = append(m.Wants, wantMessage(&w.Wants[i]))
	}
	return m
}

func wantMessage(w *fsm.Want) *lockdv1.Want {
	return &lockdv1.Want{
		Name: w.Name, Kind: lockdv1.Kind(w.Kind), Mode: lockdv1.Mode(w.Mode), Permits: uint32(w.Permits), Limit: uint32(w.Limit),
	}
}

func sessionOf(m *lockdv1.Session) *fsm.SessionView {
	v := &fsm.SessionView{
		Session: fsm.SessionID(m.GetSession()), Incarnation: fsm.Incarnation(m.GetIncarnation()),
		Seen: fsm.EventID(m.GetSeen()), Label: m.GetLabel(),
		TTL: fsm.Duration(m.GetTtlNanos()), Expires: fsm.Duration(m.GetExpiresNanos()),
	}
	for _, g := range m.GetGrants() {
		grant := fsm.GrantView{
			Grant: fsm.GrantID(g.GetGrant()), Seq: fsm.Seq(g.GetSeq()), Owner: g.GetOwner(), Until: fsm.Instant(g.GetUntilNanos()),
		}
		for _, h := range g.GetNames() {
			grant.Names = append(grant.Names, fsm.HeldView{Want: wantOf(h.GetWant()), Token: fsm.Token(h.GetToken())})
		}
		v.Grants = append(v.Grants, grant)
	}
	for _, w := range m.GetWaits() {
		wait := fsm.WaitView{
			Seq: fsm.Seq(w.GetSeq()), Owner: w.GetOwner(), MaxHold: fsm.Duration(w.GetMaxHoldNanos()),
			Waiting: fsm.Duration(w.GetWaitingNanos()), Deadline: fsm.Instant(w.GetDeadlineNanos()),
		}
		for _, want := range w.GetWants() {
			wait.Wants = append(wait.Wants, wantOf(want))
		}
		v.Waits = append(v.Waits, wait)
	}
	return v
}

func wantOf(m *lockdv1.Want) fsm.Want {
	return fsm.Want{
		Name: m.GetName(), Kind: fsm.Kind(m.GetKind()), Mode: fsm.Mode(m.GetMode()),
		Permits: fsm.Permits(m.GetPermits()), Limit: fsm.Permits(m.GetLimit()),
	}
}
