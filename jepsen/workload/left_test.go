package workload

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

// What a client that went away without a word held is free after its TTL, and waited
// for. What is held for longer is told.
func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.New()
		defer b.Close()
		load := Load{TTL: time.Second, Names: Names("mutex", "left/"), Ways: []lockapi.Backend{b}}
		hold := func(ttl time.Duration) {
			t.Helper()
			r, err := b.Do(t.Context(), fsm.Command{Op: fsm.OpOpen, Nonce: randomNonce(), Secret: fsm.Secret{1}, TTL: fsm.Duration(ttl)})
			if err != nil || r.Status != fsm.StatusOK {
				t.Fatal(r, err)
			}
			r, err = b.Do(t.Context(), fsm.Command{Op: fsm.OpAcquire, Session: r.Session, Incarnation: 1, Seq: 1, Mark: 1,
				Owner: "o", Wants: []fsm.Want{lockapi.Exclusive("left/b/17")}})
			if err != nil || r.Status != fsm.StatusOK {
				t.Fatal(r, err)
			}
		}
		hold(time.Second)
		if err := load.Left(t.Context()); err != nil {
			t.Fatal(err)
		}
		hold(time.Minute)
		if err := load.Left(t.Context()); err == nil || !strings.Contains(err.Error(), `holds "left/b/17"`) {
			t.Fatal("what is held is not told:", err)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := load.Left(over); err != nil {
			t.Fatal("nobody looked, and this is told:", err)
		}
	})
}
