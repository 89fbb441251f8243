package lockapi

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Warning tells an application what is about to become of what it holds, early
// enough to act: to finish, to stop taking on work, to hand over.
type Warning struct {
	Kind WarningKind
	// Grants are those held at that moment; of WarnLost, those that were lost.
	Grants []*Grant
	// Until is when they are lost if the service does not answer before; of
	// WarnEndangered.
	Until time.Time
	// Cause is why they are lost: it is ErrLost. Of WarnLost.
	Cause error
}

// WarningKind says what a Warning is about.
type WarningKind uint8

const (
	_ WarningKind = iota
	// WarnEndangered: the service has not answered for so long that all that is
	// held is lost in less than Options.WarnBefore, unless it does.
	WarnEndangered
	// WarnAverted: it has answered, or nothing is held any more.
	WarnAverted
	// WarnLost: it has not answered in time, or says that the session is over.
	WarnLost
)

// String names the kind.
func (k WarningKind) String() string {
	switch k {
	case WarnEndangered:
		return "endangered"
	case WarnAverted:
		return "averted"
	case WarnLost:
		return "lost"
	}
	return fmt.Sprintf("WarningKind(%d)", uint8(k))
}

// warnShare: without Options.WarnBefore, a client warns when this share of its
// TTL, less the margin, is left: it has then missed a renewal, and sent others.
const warnShare = 3

// warnMost is the longest WarnBefore that does not warn between any two renewals.
func warnMost(ttl time.Duration) time.Duration {
	longest := ttl/renewShare + ttl/renewShare/renewJitter
	return ttl - marginOf(ttl) - longest - ttl/(4*renewShare) // and some time for the answer
}

// warnBefore is how long before the end of a session with this TTL to warn.
func (o *Options) warnBefore(ttl time.Duration) time.Duration {
	before := o.WarnBefore
	if before == 0 {
		before = (ttl - marginOf(ttl)) / warnShare
	}
	return min(before, warnMost(ttl)) // a session that was resumed may have another TTL
}

// warnAt is when to warn of the end of the session; false if there is nothing to
// warn of, or it was done. mu is held.
func (s *session) warnAt() (at time.Duration, any bool) {
	if s.held == 0 || s.warned || s.client.options.OnWarning == nil {
		return 0, false
	}
	return s.belief.sessionUntil() - s.client.options.warnBefore(s.ttl), true
}

// watch warns if it is time to. mu is held.
func (s *session) watch(now time.Duration) {
	if at, any := s.warnAt(); any && now >= at && now < s.belief.sessionUntil() {
		s.warned = true
		s.client.heralds.tell(Warning{
			Kind: WarnEndangered, Grants: s.holding(), Until: time.Now().Add(s.belief.sessionUntil() - now),
		})
	}
}

// unwarn says how the danger has ended, if there was one. mu is held.
func (s *session) unwarn(w Warning) {
	if s.warned {
		s.warned = false
		s.client.heralds.tell(w)
	}
}

// averted ends a danger that is over. mu is held.
func (s *session) averted(now time.Duration) {
	if s.warned && now < s.belief.sessionUntil()-s.client.options.warnBefore(s.ttl) {
		s.unwarn(Warning{Kind: WarnAverted, Grants: s.holding()})
	}
}

// perish says that everything that the session holds is lost. It is called before
// the grants are finished. mu is held.
func (s *session) perish(cause error) {
	switch {
	case !s.warned:
	case errors.Is(cause, ErrClosed): // no news: it was the application
		s.warned = false
	default:
		s.unwarn(Warning{Kind: WarnLost, Grants: s.holding(), Cause: cause})
	}
}

// holding lists what the application has.
func (s *session) holding() []*Grant {
	all := make([]*Grant, 0, s.held)
	for _, g := range s.grants {
		if g.confirmed {
			all = append(all, g)
		}
	}
	return all
}

// heralds calls the application with warnings: in order, one at a time, and without
// any lock of the client's. A goroutine runs only while there are some; nobody waits
// for it, so that the application may do anything, Close included.
type heralds struct {
	call func(Warning)

	mu      sync.Mutex // guards the fields below
	queue   []Warning
	running bool
}

// tell never blocks.
func (h *heralds) tell(w Warning) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = append(h.queue, w)
	if !h.running {
		h.running = true
		go h.run()
	}
}

func (h *heralds) run() {
	for {
		h.mu.Lock()
		if len(h.queue) == 0 {
			h.running = false
			h.mu.Unlock()
			return
		}
		w := h.queue[0]
		h.queue = h.queue[1:]
		h.mu.Unlock()
		h.call(w)
	}
}
