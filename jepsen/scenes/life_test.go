package scenes

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// Somebody waits while his session does more than its window has places for, half of
// it under another leader, and while all nodes are closed and opened again. He keeps
// his place, before the one who came after him, and the session its life.
func TestALongWaitOutlivesItAll(t *testing.T) {
	s := newStage(t)
	at := func(i int) *node { return s.nodes[i%len(s.nodes)] }
	holder, first, second := s.enter(at(0), patience), s.enter(at(1), patience), s.enter(at(2), patience)
	held := holder.try(at(0), "x")
	waits := first.wait(at(1), "x")
	then := second.wait(at(2), "x")
	const atOnce = fsm.WindowSize / 8
	for round := range 10 {
		mark := first.seq + 1
		var all sync.WaitGroup
		for range atOnce { // of no effect, but each has a number
			c := first.numbered(fsm.Command{Op: fsm.OpRelease, Grant: 1 << 40})
			c.Mark = mark
			all.Go(func() {
				if r, err := at(round).Do(s.ctx, c); err != nil || r.Status != fsm.StatusNotHeld {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
		all.Wait()
		if round == 5 {
			s.handOver()
		}
	}
	if first.seq < fsm.WindowSize+waits.seq {
		t.Fatalf("only %d commands", first.seq)
	}
	for _, n := range s.nodes {
		s.close(n)
	}
	for _, n := range s.nodes {
		s.open(n)
	}
	s.ready()
	holder.release(at(1), "x", held.Grant)
	g := waits.end(at(0))
	if g.Status != fsm.StatusOK || g.Token <= held.Token {
		t.Errorf("%+v, after %+v", g, held)
	}
	first.release(at(2), "x", g.Grant)
	then.end(at(1))
	s.judge()
}

// A leader loses the others for longer than a session lives, and leads again when they
// are back; or one of them does. Nobody has been able to renew meanwhile, so nobody's
// time was counted: all sessions live, with what they hold. Were a leader to count from
// when it led before, or from when it began, they would end in its first entry.
func TestALeaderIsLeftAlone(t *testing.T) {
	s := newStage(t)
	const ttl = 2 * time.Second
	var all []*actor
	var held []fsm.GrantID
	leads, again := s.leader(), false
	for i := range 4 {
		a := s.enter(leads, ttl)
		all, held = append(all, a), append(held, a.try(leads, fmt.Sprint(i)).Grant)
	}
	for round := 0; !again; round++ { // until the same one leads again, which it need not
		for _, n := range s.nodes {
			if n != leads {
				s.close(n)
			}
		}
		s.until("it to see that", func() bool { id, _ := leads.Leader(); return id == "" })
		time.Sleep(ttl * 3 / 2)
		for _, n := range s.nodes {
			if n != leads {
				s.open(n)
			}
		}
		for _, a := range all { // at once: they wait at the node until somebody leads
			if r := a.renew(leads); r.Status != fsm.StatusOK {
				t.Fatalf("session %v, in round %d: %+v", a.id, round, r)
			}
		}
		now := s.leader()
		leads, again = now, now == leads
	}
	for i, a := range all {
		if r := a.release(leads, fmt.Sprint(i), held[i]); r.Status != fsm.StatusOK {
			t.Errorf("%+v", r)
		}
	}
	s.judge()
}
