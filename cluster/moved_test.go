package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/transport"
)

// move starts a node that was killed at another address.
func (w *world) move(c *citizen, address string, word bool) {
	w.t.Helper()
	before := w.tune
	w.tune = func(cfg *Config) { cfg.Moved = word }
	defer func() { w.tune = before }()
	c.address = address
	w.listen(c.id)
	w.start(c.id)
}

// settled waits until all nodes have all others where they are.
func (w *world) settled() {
	w.t.Helper()
	w.until("all addresses to be committed", func() bool {
		for _, c := range w.all() {
			for _, other := range w.all() {
				if at, known := c.placed(other.id); !known || at.address != other.address {
					return false
				}
			}
		}
		return true
	})
}

func (w *world) grants(c *citizen) {
	w.t.Helper()
	p := w.open(c, lockapi.DefaultTTL)
	r := w.do(c, p.acquire("after a move", 0))
	if r.Status != fsm.StatusOK {
		w.t.Fatalf("%+v", r)
	}
	w.do(c, p.release(r.Grant))
}

func TestMemberMoves(t *testing.T) {
	w := newWorld(t, 3, nil)
	for _, c := range []*citizen{w.follower(), w.leader()} {
		w.kill(c)
		w.move(c, "", true)
		w.ready(c)
		w.settled()
		if at, _ := c.placed(c.id); at.move != 1 {
			t.Errorf("%s has moved %d times", c.id, at.move)
		}
		w.kill(c)
		w.restart(c) // the word is not needed any more
		w.ready(c)
	}
	status, err := w.leader().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range status.Nodes {
		if n.Address != w.nodes[n.ID].address {
			t.Errorf("status has %s at %s, it is at %s", n.ID, n.Address, w.nodes[n.ID].address)
		}
	}
}

// Each goes to where another was: in between, two members have one address, and
// nobody leads.
func TestAllMembersMove(t *testing.T) {
	w := newWorld(t, 3, nil)
	w.leader()
	at := map[string]string{}
	for _, c := range w.all() {
		at[c.id] = c.address
		w.kill(c)
	}
	for id, before := range map[string]string{"a": "b", "b": "c", "c": "a"} {
		w.nodes[id].address = at[before]
		w.listen(id)
	}
	w.tune = func(cfg *Config) { cfg.Moved = true }
	for id := range w.nodes {
		w.start(id)
	}
	w.tune = nil
	w.settled()
	for _, c := range w.all() {
		w.ready(c)
		w.grants(c)
	}
	for _, c := range w.all() {
		w.kill(c)
	}
	for id := range w.nodes {
		w.listen(id)
	}
	for id := range w.nodes {
		w.start(id)
	}
	w.grants(w.leader())
}

// Without the word it may be a copy, and is refused: by a leader, and by others
// who have moved without it too.
func TestMoveWithoutTheWord(t *testing.T) {
	w := newWorld(t, 3, nil)
	c := w.follower()
	w.kill(c)
	w.move(c, "", false)
	w.stopped(c, "--moved")
	all := w.all()
	for _, c := range all {
		w.kill(c)
	}
	for id, c := range w.nodes {
		c.address = ""
		w.listen(id)
	}
	for id := range w.nodes {
		w.start(id)
	}
	// The last of them has nobody to be refused by; it says what it waits for.
	for id, c := range w.nodes {
		w.until(id+" to say why", func() bool { return strings.Contains(c.Ready().Error(), "--moved") })
	}
}

// stopped waits until a node has stopped by itself, for a reason.
func (w *world) stopped(c *citizen, why string) {
	w.t.Helper()
	w.until(c.id+" to stop", func() bool { return c.Err() != nil })
	if !strings.Contains(c.Err().Error(), why) {
		w.t.Errorf("%s stopped: %v, want %q", c.id, c.Err(), why)
	}
}

// copied starts a copy of a node's directory at another address, beside it.
func (w *world) copied(c *citizen, word bool) *citizen {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), c.id)
	copyDir(w.t.(*testing.T), filepath.Join(w.dir, c.id), dir)
	if err := os.Remove(filepath.Join(dir, lockFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	twin := &citizen{id: c.id}
	original := w.nodes[c.id]
	before := w.tune
	w.tune = func(cfg *Config) { cfg.Moved, cfg.DataDir = word, dir }
	w.nodes[c.id] = twin
	w.listen(c.id)
	w.start(c.id)
	w.tune = before
	w.nodes[c.id] = original
	w.t.Cleanup(func() { w.kill(twin) })
	return twin
}

// The word is false: the original is there, and says so.
func TestFalseWord(t *testing.T) {
	w := newWorld(t, 3, nil)
	c := w.follower()
	w.stopped(w.copied(c, false), "--moved")
	w.stopped(w.copied(c, true), "Stop one of them")
	w.ready(c)
	w.grants(c)
}

// The original cannot be reached when the word is given. It stops as soon as it
// speaks to anybody.
func TestWhoIsLeftBehindStops(t *testing.T) {
	w := newWorld(t, 3, nil)
	c := w.follower()
	c.port.Close()
	c.gate.breakAll()
	twin := w.copied(c, true)
	w.ready(twin)
	w.stopped(c, "--moved")
	w.grants(twin)
}

// A member that was down while another moved knows the old address. It must not
// stop who is where the membership has it now; and who is still at the old one, or
// on an older copy, gets nothing by it.
func TestMoveIsKnownLater(t *testing.T) {
	w := newWorld(t, 3, nil)
	w.leader()
	a, b, c := w.nodes["a"], w.nodes["b"], w.nodes["c"]
	w.kill(c)
	w.kill(b)
	w.move(b, "", true)
	w.until("b's address to be committed", func() bool {
		at, _ := a.placed("b")
		return at.address == b.address && a.Ready() == nil && b.Ready() == nil
	})
	w.kill(a)
	w.kill(b)
	w.restart(c)
	w.restart(b)
	w.grants(w.leader())
	w.settledAmong(b, c)
}

func (w *world) settledAmong(some ...*citizen) {
	w.t.Helper()
	w.until("addresses to be committed", func() bool {
		for _, c := range some {
			for _, other := range some {
				if at, known := c.placed(other.id); !known || at.address != other.address {
					return false
				}
			}
		}
		return true
	})
}

// The rules one by one, with the acceptor's view of b.
func TestJudgeMove(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	old := testAddress(t)
	at := place{id: "b", move: 4, address: old}
	a.placed = func(id string) (place, bool) { return at, id == "b" }
	instance := fsm.Nonce(b.identity.saved().Instance)
	known.set(fsm.Member{ID: "b", Instance: instance, Address: old})
	who := b.identity.transport()
	announce := func(s standing) announcement {
		said := b.introduction().announcement()
		said.standing = s
		return said
	}
	for _, s := range []standing{{}, {Move: 3}, {Move: 4}} {
		if verdict := a.judge(t.Context(), who, announce(s)); verdict.Code != refusedMoved || !strings.Contains(verdict.Reason, "--moved") {
			t.Errorf("%+v: %+v", s, verdict)
		}
	}
	// M2: another process is at the address that it says.
	said := announce(standing{Moved: true})
	said.Boot.Hi++
	if verdict := a.judge(t.Context(), who, said); verdict.Code != refusedCopied {
		t.Errorf("%+v", verdict)
	}
	cut := ""
	a.cut = func(id string) { cut += id }
	for _, s := range []standing{{Moved: true}, {Move: 5}} {
		if verdict := a.judge(t.Context(), who, announce(s)); verdict != (refusal{}) || cut != "b" {
			t.Errorf("%+v: %+v, cut %q", s, verdict, cut)
		}
		if got, _ := a.whereabouts("b"); got != (place{"b", 5, b.address}) {
			t.Errorf("looked for at %+v", got)
		}
		// M4: who is at the old address is refused now.
		left := announce(standing{Move: 4})
		left.Address = old
		if verdict := a.judge(t.Context(), who, left); verdict.Code != refusedMoved {
			t.Errorf("%+v", verdict)
		}
		delete(a.movedTo, "b")
		cut = ""
	}
	// It is looked for where the membership has it as soon as that has another address.
	if verdict := a.judge(t.Context(), who, announce(standing{Moved: true})); verdict != (refusal{}) {
		t.Fatalf("%+v", verdict)
	}
	at = place{id: "b", move: 6, address: testAddress(t)}
	if got, _ := a.whereabouts("b"); got != at {
		t.Errorf("looked for at %+v", got)
	}
}

// A stream to one member is never taken for one to another.
func TestStreamIsToAMember(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	_, err := a.dialAt(t.Context(), transport.KindRaft, place{id: "c", address: b.address})
	wantError(t, err, "node b answered at "+b.address+", where c was looked for")
	c, err := a.dialAt(t.Context(), transport.KindRaft, place{id: "b", address: b.address})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// A copy of the directory of a member that has moved, at a third address and
// without a word. The moves in its log led to where the original is, not there; who
// has not heard of them must not take them for its word.
func TestCopyOfOneThatMoved(t *testing.T) {
	known := newRoster()
	a := startPeer(t, t.TempDir(), "a", clusterID{1}, known)
	b := startPeer(t, t.TempDir(), "b", clusterID{1}, known)
	instance := fsm.Nonce(b.identity.saved().Instance)
	old, now := testAddress(t), testAddress(t)
	known.set(fsm.Member{ID: "b", Instance: instance, Address: old})
	a.placed = func(id string) (place, bool) { return place{id: "b", address: old}, id == "b" }
	b.placed = func(id string) (place, bool) { return place{id: "b", move: 1, address: now}, id == "b" }
	wantError(t, b.open(t, a), "--moved")
	wantError(t, <-b.failed, "refused for good")
}
