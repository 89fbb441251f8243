package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
	"github.com/lockd-io/lockd/transport/rpc"
)

// The library would take the first voter that it has sent everything to, dead as
// it is.
func TestTransferTakesAVoterThatLives(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader := w.leader()
	w.until("both others to be as far as the leader", func() bool {
		last, applied := leader.machine.appliedNow(), leader.server.applied()
		for _, c := range w.all() {
			if c != leader && applied[c.id] != last {
				return false
			}
		}
		return true
	})
	var dead *citizen
	for _, s := range leader.servers() {
		if c := w.nodes[string(s.ID)]; c != leader {
			dead = c
			break
		}
	}
	w.kill(dead)
	w.until("its silence to be noticed", func() bool { return len(leader.heirs()) == 1 })
	ctx, cancel := w.context()
	defer cancel()
	if err := leader.Transfer(ctx); err != nil {
		t.Fatal(err)
	}
	if id, _ := leader.Leader(); id == leader.id || id == dead.id || id == "" {
		t.Errorf("%q leads", id)
	}
}

func TestTransferWithNobodyLeft(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader := w.leader()
	for _, c := range w.all() {
		if c != leader {
			w.kill(c)
		}
	}
	w.until("silence", func() bool { return len(leader.heirs()) == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := leader.Transfer(ctx); err == nil && leader.raft.State() == raft.Leader {
		t.Error("handed over to nobody")
	}
}

// Who is further ahead comes first; who is no voter does not come at all.
func TestHeirs(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader := w.leader()
	var others []string
	for _, c := range w.all() {
		if c != leader {
			others = append(others, c.id)
		}
	}
	for _, first := range others {
		leader.server.hear("stranger", 1<<40)
		leader.server.mu.Lock()
		for _, id := range others {
			at := fsm.Index(1)
			if id == first {
				at = 1 << 30
			}
			leader.server.heard[id] = sign{leader.now() + time.Hour, at}
		}
		leader.server.mu.Unlock()
		got := leader.heirs()
		if len(got) != 2 || string(got[0].ID) != first {
			t.Errorf("%v; want %s first", got, first)
		}
		if members := leader.servers(); len(members) != 3 || members[0].ID == "" || members[2].ID == "" {
			t.Errorf("to ask changed the members: %v", members)
		}
	}
}

// A node that stops answers what it has taken, takes nothing more, and is a
// member as before.
func TestStopAnswersWhatWaits(t *testing.T) {
	w := newWorld(t, 3, nil)
	leader, stops := w.leader(), w.follower()
	p := w.open(leader, time.Minute)
	leader.machine.mu.Lock() // the leader answers nothing meanwhile
	taken := w.submit(stops, p.acquire("n", 0))
	w.until("the command to wait", func() bool { return stops.pendings.unanswered() > 0 })
	ctx, cancel := w.context()
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- stops.Stop(ctx) }()
	w.until("it to say that it stops", func() bool { return errors.Is(stops.Ready(), lockapi.ErrClosed) })
	w.until("it to refuse", func() bool {
		_, err := stops.Do(ctx, p.acquire("m", 0))
		return errors.Is(err, lockapi.ErrUnavailable) && !errors.Is(err, lockapi.ErrUnknown)
	})
	select {
	case <-stops.Done():
		t.Error("ended with a command unanswered")
	default:
	}
	leader.machine.mu.Unlock()
	if got := taken.answer(); got.err != nil || got.result.Status != fsm.StatusOK {
		t.Errorf("%+v", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if got := len(leader.servers()); got != 3 || !leader.voter(stops.id) {
		t.Errorf("%d members", got)
	}
}

// What cannot be answered is unknown when the context ends, and not before.
func TestStopGivesUpWithItsContext(t *testing.T) {
	w := newWorld(t, 3, nil)
	stops := w.follower()
	p := w.open(w.leader(), time.Minute)
	for _, c := range w.all() {
		if c != stops {
			w.kill(c)
		}
	}
	w.until("the leader to be missed", func() bool { id, _ := stops.Leader(); return id == "" })
	a := w.submit(stops, p.acquire("n", 0))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := stops.Stop(ctx); err != nil {
		t.Error(err)
	}
	if ctx.Err() == nil || !errors.Is(a.answer().err, lockapi.ErrUnavailable) {
		t.Errorf("%+v", a.answers())
	}
}

// A served node is one with clients at its port.
type served struct {
	*citizen
	rpc *rpc.Server
}

func (w *world) serve(id string) *served {
	s := &served{citizen: w.nodes[id], rpc: rpc.New(w.nodes[id].Node, rpc.Options{})}
	go s.rpc.Serve(s.port.GRPC())
	return s
}

// stop is what lockd serve does when it is told to end.
func (s *served) stop(w *world) {
	ctx, cancel := w.context()
	defer cancel()
	if err := s.Transfer(ctx); err != nil {
		w.t.Errorf("%s: %v", s.id, err)
	}
	if err := s.rpc.Shutdown(ctx); err != nil {
		w.t.Errorf("%s: %v", s.id, err)
	}
	if err := s.Stop(ctx); err != nil {
		w.t.Errorf("%s: %v", s.id, err)
	}
	s.port.Close()
	w.mu.Lock()
	s.citizen.Node = nil
	w.mu.Unlock()
}

// All nodes are stopped and started again, one by one, the leader among them,
// while clients work through all three. Nobody sees an error or loses a lock.
func TestRollingRestart(t *testing.T) {
	w := newWorld(t, 3, nil)
	ids := []string{"a", "b", "c"}
	nodes := make(map[string]*served)
	var endpoints []string
	for _, id := range ids {
		nodes[id] = w.serve(id)
		endpoints = append(endpoints, w.nodes[id].address)
	}
	t.Cleanup(func() {
		for _, s := range nodes {
			s.rpc.Close()
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	var rounds [6]atomic.Int64
	var workers sync.WaitGroup
	for i := range rounds {
		near := slices.Concat(endpoints[i%3:], endpoints[:i%3])
		b, err := remote.Open(near, remote.Options{Spread: i%2 == 0})
		if err != nil {
			t.Fatal(err)
		}
		client, err := lockapi.New(b, lockapi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		workers.Go(func() {
			defer b.Close()
			if err := work(ctx, client, i, &rounds[i]); err != nil {
				t.Errorf("client %d, after %d rounds: %v", i, rounds[i].Load(), err)
			}
		})
	}
	progress := func() {
		var before [len(rounds)]int64
		for i := range rounds {
			before[i] = rounds[i].Load()
		}
		w.until("all clients to get on", func() bool {
			for i := range rounds {
				if rounds[i].Load() < before[i]+3 && !t.Failed() {
					return false
				}
			}
			return true
		})
	}
	first := w.leader().id
	slices.SortFunc(ids, func(a, b string) int { // the leader in the middle
		return map[bool]int{true: 1}[a == first] - map[bool]int{true: 1}[b == first]
	})
	for _, id := range []string{ids[0], ids[2], ids[1]} {
		progress()
		nodes[id].stop(w)
		progress()
		w.restart(w.nodes[id])
		w.ready(w.nodes[id])
		nodes[id] = w.serve(id)
	}
	progress()
	cancel()
	workers.Wait()
}

// work holds one lock all the time and takes another again and again, in turn with
// others, until ctx ends.
func work(ctx context.Context, client *lockapi.Client, i int, rounds *atomic.Int64) error {
	all, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kept, err := client.Mutex(fmt.Sprintf("kept-%d", i)).Acquire(all)
	if err != nil {
		return err
	}
	for ; ctx.Err() == nil; rounds.Add(1) {
		g, err := client.Mutex(fmt.Sprintf("shared-%d", i%2)).Acquire(all)
		if err != nil {
			return err
		}
		if err := g.Release(all); err != nil {
			return err
		}
	}
	if !kept.Valid() {
		return fmt.Errorf("lost what it kept: %w", context.Cause(kept.Context()))
	}
	return errors.Join(kept.Release(all), client.Close(all))
}
