package cluster

import (
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A client whose leader died moves its command from node to node, and each of
// them sends it to the next leader: several copies stand in one entry, and
// their results differ in their order. That is no divergence.
func TestCopiesThroughSeveralNodes(t *testing.T) {
	w := newWorld(t, 5, nil)
	leader := w.leader()
	var others []*citizen
	for _, c := range w.all() {
		if c != leader {
			w.ready(c)
			others = append(others, c)
		}
	}
	holder := w.open(others[0], 20*time.Second)
	w.do(others[0], holder.acquire("x", 0))
	p := w.open(others[0], 20*time.Second)
	w.kill(leader)
	waits := p.acquire("x", fsm.Forever)
	renews := fsm.Command{Op: fsm.OpRenew, Session: p.id, Incarnation: 1, Seq: 7}
	var asked []*asked
	for _, n := range others {
		asked = append(asked, w.submit(n, waits), w.submit(n, renews))
	}
	for _, a := range asked {
		if got := a.answer(); got.err != nil {
			t.Errorf("%+v", got)
		}
	}
	for _, n := range others {
		// Its own apply of the copies is behind this node when it has applied a read.
		ctx, cancel := w.context()
		if _, err := n.Inspect(ctx, lockapi.Query{Name: "x"}); err != nil {
			t.Errorf("%s: %v", n.id, err)
		}
		cancel()
		if err := n.Err(); err != nil {
			t.Errorf("%s: %v", n.id, err)
		}
	}
}
