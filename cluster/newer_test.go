package cluster

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/lockd-io/lockd/fsm"
)

// A node of a later version passes on a command that this leader does not know. Were it
// proposed, and committed, every node of this version would stop at its entry, and at
// each start again. So the stream ends, and nothing of that frame is proposed.
func TestANewerCommandIsNotProposed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, since())
		r.start()
		synctest.Wait()
		_, send, receive, end := serving(t, func() *reign { return r.reign })
		newer := fsm.Command{Op: fsm.OpResume + 1, Session: 1, Incarnation: 1, Seq: 1, Mark: 1}
		send.Write(frameCommands, fsm.AppendCommand(fsm.AppendCommand(nil, release(1, 2)), &newer))
		if kind, _, err := receive.Read(); !errors.Is(err, io.EOF) {
			t.Errorf("answered with a frame of kind %d, %v", kind, err)
		}
		if err := end(); !errors.Is(err, fsm.ErrCorrupt) {
			t.Errorf("the stream ended with %v", err)
		}
		synctest.Wait()
		if got := r.committed(); len(got) != 1 || got[0].Commands[0].Op != fsm.OpTakeover || r.failure != nil {
			t.Errorf("entries %+v, %v; want the takeover alone", got, r.failure)
		}
		r.end()
	})
}
