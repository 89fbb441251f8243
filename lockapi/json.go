package lockapi

import (
	"strings"

	"github.com/lockd-io/lockd/fsm"
)

// LockDocument is one lock as scripts see it: what `lockd show --json` and GET
// /v1/locks/{name} print. Numbers that pass 2^53 are decimal strings; the lists
// are never null.
type LockDocument struct {
	Name  string      `json:"name"`
	Kind  string      `json:"kind"`  // lock, semaphore; empty when idle
	Limit fsm.Permits `json:"limit"` // 0 unless a semaphore
	// HolderCount and WaiterCount are all there are; the lists are the first
	// thousand of each.
	HolderCount uint32           `json:"holder_count"`
	WaiterCount uint32           `json:"waiter_count"`
	Holders     []HolderDocument `json:"holders"`
	Waiters     []WaiterDocument `json:"waiters"`
}

// HolderDocument is one hold of a lock.
type HolderDocument struct {
	Session     fsm.SessionID `json:"session,string"`
	Label       string        `json:"label"`
	Owner       string        `json:"owner"` // "" unless its program gave one
	Mode        string        `json:"mode"`  // exclusive, shared, permits
	Permits     fsm.Permits   `json:"permits"`
	Count       uint32        `json:"count"` // grants of the hold
	Token       fsm.Token     `json:"token,string"`
	HeldMS      int64         `json:"held_ms"`
	ExpiresInMS int64         `json:"expires_in_ms"` // if nobody renews; 0 when overdue
}

// WaiterDocument is one place in a lock's queue.
type WaiterDocument struct {
	Session   fsm.SessionID `json:"session,string"`
	Label     string        `json:"label"`
	Owner     string        `json:"owner"`
	Mode      string        `json:"mode"`
	Permits   fsm.Permits   `json:"permits"`
	Position  uint32        `json:"position"` // from 1
	WaitingMS int64         `json:"waiting_ms"`
}

// LockJSON makes the document of a lock; encoding/json turns it into text and
// back.
func LockJSON(v fsm.LockView) LockDocument {
	d := LockDocument{
		Name: v.Name, Kind: kindWord(v.Kind), Limit: v.Limit, HolderCount: v.Holds, WaiterCount: v.Waits,
		Holders: make([]HolderDocument, 0, len(v.Holders)),
		Waiters: make([]WaiterDocument, 0, len(v.Waiters)),
	}
	for i := range v.Holders {
		h := &v.Holders[i]
		d.Holders = append(d.Holders, HolderDocument{
			Session: h.Session, Label: h.Label, Owner: GivenOwner(h.Owner), Mode: modeWord(h.Mode), Permits: h.Permits,
			Count: h.Count, Token: h.Token, HeldMS: millis(h.Held), ExpiresInMS: millis(h.Expires),
		})
	}
	for i := range v.Waiters {
		w := &v.Waiters[i]
		d.Waiters = append(d.Waiters, WaiterDocument{
			Session: w.Session, Label: w.Label, Owner: GivenOwner(w.Owner), Mode: modeWord(w.Mode), Permits: w.Permits,
			Position: w.Position, WaitingMS: millis(w.Waiting),
		})
	}
	return d
}

// GivenOwner is an owner as its program gave it; "" if it gave none, so that its
// client made one up.
func GivenOwner(owner string) string {
	if strings.HasPrefix(owner, ownerPrefix) {
		return ""
	}
	return owner
}

// millis rounds down; what is overdue is 0, not negative.
func millis(d fsm.Duration) int64 { return int64(max(d, 0) / fsm.Millisecond) }

// kindWord is the word of a kind in documents. One from a newer machine is
// empty, as an idle name's.
func kindWord(k fsm.Kind) string {
	switch k {
	case fsm.KindLock:
		return "lock"
	case fsm.KindSemaphore:
		return "semaphore"
	}
	return ""
}

func modeWord(m fsm.Mode) string {
	switch m {
	case fsm.Exclusive:
		return "exclusive"
	case fsm.Shared:
		return "shared"
	case fsm.Counted:
		return "permits"
	}
	return ""
}
