package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// another is a world of another cluster.
func (w *world) another(t *testing.T) *world {
	other := newWorld(t, 1)
	other.mu.Lock()
	other.nodes[0].cluster = "c2"
	other.mu.Unlock()
	other.nodes[0].stop()
	other.nodes[0].start()
	return other
}

func opening(n uint64) fsm.Command {
	return fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 7, Lo: n}, Secret: fsm.Secret{byte(n), 9}, TTL: fsm.Hour}
}

// Whoever names endpoints of two clusters begins nothing, whichever answers first,
// and is told both ids. When they are one cluster again it goes on.
func TestEndpointsOfTwoClusters(t *testing.T) {
	for range 20 {
		w := newWorld(t, 1)
		other := w.another(t)
		b, err := Open([]string{w.nodes[0].proxy.address(), other.nodes[0].proxy.address()}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		_, opens := b.Do(ctx, opening(1))
		_, reads := b.Inspect(ctx, lockapi.Query{Name: "x"})
		for _, err := range []error{opens, reads} {
			var two *ClustersError
			if !errors.As(err, &two) || len(two.Clusters) != 2 || !is(err, lockapi.ErrInvalid) ||
				!strings.Contains(err.Error(), "c1") || !strings.Contains(err.Error(), "c2") {
				t.Errorf("%v", err)
			}
		}
		if n := w.nodes[0].commands() + other.nodes[0].commands(); n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		if t.Failed() {
			return
		}
		other.mu.Lock()
		other.nodes[0].cluster = "c1"
		other.mu.Unlock()
		w.mu.Lock()
		w.nodes[0].cluster = "c1"
		w.mu.Unlock()
		other.nodes[0].stop()
		other.nodes[0].start()
		until(t, "it goes on", func() bool {
			_, err := b.Do(ctx, opening(2))
			return err == nil
		})
		b.Close()
	}
}

// An endpoint that was silent at first turns out to belong to another cluster: no
// session is begun any more, and those that there are go on.
func TestLateEndpointOfAnotherCluster(t *testing.T) {
	w := newWorld(t, 1)
	other := w.another(t)
	other.nodes[0].proxy.down(true)
	b, err := Open([]string{w.nodes[0].proxy.address(), other.nodes[0].proxy.address()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	u := w.user(b, 1)
	other.nodes[0].proxy.down(false)
	n := uint64(9)
	until(t, "it is found out", func() bool {
		n++
		_, err := b.Do(context.Background(), opening(n))
		return is(err, lockapi.ErrInvalid)
	})
	before := w.nodes[0].commands()
	for i := range uint64(20) {
		if _, err := b.Do(context.Background(), opening(n+1+i)); !is(err, lockapi.ErrInvalid) {
			t.Errorf("a session is begun all the same: %v", err)
		}
	}
	if w.nodes[0].commands() != before {
		t.Error("a session was asked for all the same")
	}
	for i := range 3 {
		if r := u.do(u.acquire(fmt.Sprint(i))); r.Status != fsm.StatusOK {
			t.Errorf("%+v", r)
		}
		w.nodes[0].proxy.cut()
	}
}

// The addresses of a name are raced as endpoints are: the first is mute, and the
// second is found.
func TestNameWithAMuteAddress(t *testing.T) {
	w := newWorld(t, 1)
	_, port, _ := net.SplitHostPort(w.nodes[0].proxy.address())
	silent, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port)) // connects, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	asked := make(chan string, 99)
	b, err := Open([]string{"several.example:" + port}, Options{lookup: func(_ context.Context, host string) ([]string, error) {
		asked <- host
		return []string{"127.0.0.2", "127.0.0.1"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	u := w.user(b, 1)
	before := len(asked)
	w.nodes[0].proxy.cut()
	if r := u.do(u.acquire("x")); r.Status != fsm.StatusOK {
		t.Errorf("%+v", r)
	}
	if len(asked) == before {
		t.Error("the name was not asked for anew")
	}
}

// Two nodes with one name belong to different clusters.
func TestNameOfTwoClusters(t *testing.T) {
	w := newWorld(t, 1)
	_, port, _ := net.SplitHostPort(w.nodes[0].proxy.address())
	other := w.another(t)
	relay := newProxyAt(t, net.JoinHostPort("127.0.0.2", port))
	defer relay.close()
	relay.to(other.nodes[0].proxy.address())
	b, err := Open([]string{"several.example:" + port}, Options{lookup: func(context.Context, string) ([]string, error) {
		return []string{"127.0.0.1", "127.0.0.2"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Do(context.Background(), opening(1)); !is(err, lockapi.ErrInvalid) {
		t.Error(err)
	}
}
