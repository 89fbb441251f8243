package lockapi

import (
	"context"
	"fmt"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// A releasing is how far Release has come. session.mu guards it.
type releasing struct {
	begun bool
	over  bool
	err   error         // how it ended
	done  chan struct{} // closed when over; nil if nobody waits for it
}

// Release ends the grant; the hold ends with its last one. Whatever Release
// returns, the grant has ended when it is called, and the client goes on
// releasing it in the background until the service has answered or the session
// is over.
//
// It is nil if the grant was released, by this call or one before. ErrLost says
// that it had ended before: what you did under it may have raced. When ctx ends
// first, the error is ctx's and ErrUnknown; another Release then waits for the
// same end. A ctx that has ended already is given a tenth of a second.
func (g *Grant) Release(ctx context.Context) error {
	s := g.session
	s.mu.Lock()
	s.lapse(s.now())
	first, cause := g.cause == nil, g.cause
	if first {
		g.release.begun = true
		s.finish(g, context.Canceled)
	}
	begun := g.release.begun
	s.unlock()
	switch {
	case !begun:
		return wrapped("release", g.Name, cause)
	case first:
		g.sendRelease(ctx)
	}
	return wrapped("release", g.Name, g.awaitRelease(ctx))
}

// sendRelease releases the grant in this goroutine while ctx lasts, and goes on
// in the background when it ends.
func (g *Grant) sendRelease(ctx context.Context) {
	s := g.session
	c := fsm.Command{Op: fsm.OpRelease, Grant: g.id}
	sent, err := s.issue(ctx, &c, nil, urgent)
	if err == nil {
		within, release := s.within(ctx)
		var r fsm.Result
		r, err = s.do(within, &c, true)
		release()
		if err == nil {
			s.conclude(&c, sent, r)
			g.released(r, nil)
			return
		}
	}
	s.mu.Lock()
	over := s.over
	if later := c; over == nil { // a copy, so that c need not be on the heap
		s.spawn(func() {
			r, err := s.complete(&later, sent)
			g.released(r, err)
		})
	}
	s.unlock()
	if over != nil {
		g.released(fsm.Result{}, over)
	}
}

// released notes how the release ended: with the answer r, or with the session.
func (g *Grant) released(r fsm.Result, over error) {
	s := g.session
	s.mu.Lock()
	defer s.unlock()
	switch {
	case over != nil:
		g.release.err = fmt.Errorf("%w: %w", ErrLost, over)
	case r.Status != fsm.StatusOK:
		g.release.err = fmt.Errorf("%w: %w", ErrLost, ErrorOf(r))
	}
	g.release.over = true
	if g.release.done != nil {
		close(g.release.done)
	}
}

// awaitRelease returns how the release ended, or that ctx has.
func (g *Grant) awaitRelease(ctx context.Context) error {
	s := g.session
	s.mu.Lock()
	r := &g.release
	if !r.over && r.done == nil {
		r.done = make(chan struct{})
	}
	over, done := r.over, r.done
	s.unlock()
	if over {
		return r.err
	}
	select {
	case <-done:
		return r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
		return r.err
	case <-timer.C:
		return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}
