package lockapi

import (
	"container/heap"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// droppersMax is how many releases of a session run in the background at a
// time; more wait.
const droppersMax = 32

// lapse ends the grants in which the client may not believe any more at the
// local time now, and has them released: the session may well live on (machine
// time stands still while nobody leads), and nobody else would ever release
// them. A lapsed grant is never revived. mu is held.
func (s *session) lapse(now time.Duration) {
	if s.held > 0 && now >= s.belief.sessionUntil() {
		cause := fmt.Errorf("%w: the session was not renewed in time", ErrLost)
		s.perish(cause)
		for _, g := range s.grants {
			if g.confirmed {
				s.lapseOne(g, cause)
			}
		}
	}
	for len(s.maxHolds) > 0 && now >= s.belief.until(s.maxHolds[0].until) {
		s.lapseOne(s.maxHolds[0], fmt.Errorf("%w: its max hold has passed", ErrLost))
	}
}

func (s *session) lapseOne(g *Grant, cause error) {
	s.finish(g, cause)
	s.drop(drop{grant: g.id, lapsed: true})
}

// nextLapse is when lapse has something to end.
func (s *session) nextLapse() (at time.Duration, any bool) {
	if s.held == 0 {
		return 0, false
	}
	at = s.belief.sessionUntil()
	if len(s.maxHolds) > 0 {
		at = min(at, s.belief.until(s.maxHolds[0].until))
	}
	return at, true
}

// A drop is a grant that the session has and nobody wants.
type drop struct {
	grant  fsm.GrantID
	lapsed bool
	part   *acquiring // whose withdrawal it is part of, if any
}

// command releases the grant, which is somebody else's if it was acquired on his
// behalf.
func (d *drop) command() fsm.Command {
	c := fsm.Command{Op: fsm.OpRelease, Grant: d.grant}
	if d.part != nil && d.part.cmd.Behalf != fsm.BehalfSelf {
		of := &d.part.cmd
		c.Behalf, c.For, c.Secret, c.Wants = of.Behalf, of.For, of.Secret, of.Wants[:1]
	}
	return c
}

// drop has a grant released in the background, until it is answered. mu is held.
func (s *session) drop(d drop) {
	if s.over != nil {
		return
	}
	if d.lapsed {
		s.lapsed++
	}
	s.drops = append(s.drops, d)
	if s.droppers < droppersMax {
		s.droppers++
		s.spawn(s.dropper)
	}
}

func (s *session) dropper() {
	s.mu.Lock()
	for len(s.drops) > 0 && s.over == nil {
		d := s.drops[0]
		s.drops = s.drops[1:]
		s.unlock()
		c := d.command()
		_, _ = s.complete(&c, 0) // an error is the end of the session
		s.mu.Lock()
		if d.part != nil {
			d.part.jobDone()
		}
		if d.lapsed {
			if s.lapsed--; s.lapsed == 0 {
				s.admit()
				s.poke()
			}
		}
	}
	s.droppers--
	s.unlock()
}

// grantHeap orders grants by their own deadline.
type grantHeap []*Grant

func (h grantHeap) Len() int           { return len(h) }
func (h grantHeap) Less(i, k int) bool { return h[i].until < h[k].until }
func (h grantHeap) Swap(i, k int) {
	h[i], h[k] = h[k], h[i]
	h[i].place, h[k].place = i, k
}

// Push and Pop are for package heap.
func (h *grantHeap) Push(g any) {
	g.(*Grant).place = len(*h)
	*h = append(*h, g.(*Grant))
}

// Pop takes the last.
func (h *grantHeap) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	g.place = -1
	return g
}

var _ heap.Interface = (*grantHeap)(nil)
