package cluster

import (
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// The way of a command: opened at the leader, acquired and released through a
// follower, and again after the leader is gone.
func TestThreeNodes(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader, follower := w.leader(), w.follower()
	p := w.open(leader, 10*time.Second)
	got := w.do(follower, p.acquire("n", 0))
	if got.Status != fsm.StatusOK || got.Token == 0 {
		t.Fatalf("acquire: %+v", got)
	}
	if r := w.do(follower, p.acquire("n", 0)); r.Status != fsm.StatusBusy {
		t.Fatalf("second acquire: %+v", r)
	}
	w.kill(leader)
	if r := w.do(follower, p.release(got.Grant)); r.Status != fsm.StatusOK {
		t.Fatalf("release: %+v", r)
	}
	again := w.do(follower, p.acquire("n", 0))
	if again.Status != fsm.StatusOK || again.Token <= got.Token {
		t.Fatalf("acquire after the leader died: %+v", again)
	}
	w.restart(leader)
	w.ready(leader)
	if r := w.do(leader, p.release(again.Grant)); r.Status != fsm.StatusOK {
		t.Fatalf("release at the node that came back: %+v", r)
	}
}
