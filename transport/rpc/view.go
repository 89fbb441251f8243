package rpc

import (
	"google.golang.org/protobuf/proto"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport/rpc/lockdv1"
)

// QueryRequest is q as a message.
func QueryRequest(q lockapi.Query) *lockdv1.InspectRequest {
	r := &lockdv1.InspectRequest{
		Name: q.Name, Prefix: q.Prefix, After: q.After,
		PageSize: uint32(max(0, min(q.Limit, 1<<31-1))), Stale: q.Stale,
	}
	if q.Session != 0 {
		r.Session, r.Secret = uint64(q.Session), q.Secret[:]
		r.AfterGrant, r.AfterWait = uint64(q.AfterGrant), uint64(q.AfterWait)
	}
	return r
}

func queryOf(r *lockdv1.InspectRequest) lockapi.Query {
	q := lockapi.Query{
		Name: r.GetName(), Prefix: r.GetPrefix(), After: r.GetAfter(),
		Limit: int(min(r.GetPageSize(), 1<<31-1)), Stale: r.GetStale(),
		Session: fsm.SessionID(r.GetSession()), AfterGrant: fsm.GrantID(r.GetAfterGrant()), AfterWait: fsm.Seq(r.GetAfterWait()),
	}
	copy(q.Secret[:], r.GetSecret()) // one of another length is not the session's
	return q
}

// viewResponse is v as a message, cut off after pageSizeSoft bytes.
func viewResponse(v lockapi.View) *lockdv1.InspectResponse {
	m := &lockdv1.InspectResponse{Index: uint64(v.Index), AtNanos: int64(v.At), More: v.More}
	if v.Session != nil {
		m.Session, m.More = sessionMessage(v.Session, m.GetMore())
		return m
	}
	size := 0
	for i := range v.Locks {
		if size >= pageSizeSoft {
			m.More = true
			break
		}
		l := lockMessage(&v.Locks[i])
		size += proto.Size(l)
		m.Locks = append(m.Locks, l)
	}
	return m
}

func lockMessage(l *fsm.LockView) *lockdv1.Lock {
	m := &lockdv1.Lock{
		Name: l.Name, Kind: lockdv1.Kind(l.Kind), Limit: uint32(l.Limit), Holds: l.Holds, Waits: l.Waits,
	}
	for i := range l.Holders {
		h := &l.Holders[i]
		m.Holders = append(m.Holders, &lockdv1.Holder{
			Session: uint64(h.Session), Label: h.Label, Owner: h.Owner, Mode: lockdv1.Mode(h.Mode),
			Permits: uint32(h.Permits), Count: h.Count, Token: uint64(h.Token),
			HeldNanos: int64(h.Held), ExpiresNanos: int64(h.Expires),
		})
	}
	for i := range l.Waiters {
		w := &l.Waiters[i]
		m.Waiters = append(m.Waiters, &lockdv1.Waiter{
			Session: uint64(w.Session), Label: w.Label, Owner: w.Owner, Mode: lockdv1.Mode(w.Mode),
			Permits: uint32(w.Permits), Position: w.Position, WaitingNanos: int64(w.Waiting),
		})
	}
	return m
}

// ViewOf is the view that a node answered with.
func ViewOf(m *lockdv1.InspectResponse) lockapi.View {
	v := lockapi.View{Index: fsm.Index(m.GetIndex()), At: fsm.Instant(m.GetAtNanos()), More: m.GetMore()}
	for _, l := range m.GetLocks() {
		v.Locks = append(v.Locks, lockOf(l))
	}
	if s := m.GetSession(); s != nil {
		v.Session = sessionOf(s)
	}
	return v
}

func lockOf(m *lockdv1.Lock) fsm.LockView {
	l := fsm.LockView{
		Name: m.GetName(), Kind: fsm.Kind(m.GetKind()), Limit: fsm.Permits(m.GetLimit()),
		Holds: m.GetHolds(), Waits: m.GetWaits(),
	}
	for _, h := range m.GetHolders() {
		l.Holders = append(l.Holders, fsm.HolderView{
			Session: fsm.SessionID(h.GetSession()), Label: h.GetLabel(), Owner: h.GetOwner(), Mode: fsm.Mode(h.GetMode()),
			Permits: fsm.Permits(h.GetPermits()), Count: h.GetCount(), Token: fsm.Token(h.GetToken()),
			Held: fsm.Duration(h.GetHeldNanos()), Expires: fsm.Duration(h.GetExpiresNanos()),
		})
	}
	for _, w := range m.GetWaiters() {
		l.Waiters = append(l.Waiters, fsm.WaiterView{
			Session: fsm.SessionID(w.GetSession()), Label: w.GetLabel(), Owner: w.GetOwner(), Mode: fsm.Mode(w.GetMode()),
			Permits: fsm.Permits(w.GetPermits()), Position: w.GetPosition(), Waiting: fsm.Duration(w.GetWaitingNanos()),
		})
	}
	return l
}
