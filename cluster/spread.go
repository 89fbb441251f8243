package cluster

import "github.com/lockd-io/lockd/fsm"

// serve notes through which node a session was last heard: what befalls it is
// told there. This is memory only; after a takeover it is learnt again.
func (r *reign) serve(id fsm.SessionID, at *stream) {
	switch {
	case id == 0:
	case at == nil:
		delete(r.serving, id)
	case r.serving[id] != at:
		r.serving[id] = at
	}
}

// spread returns each outcome to the node that waits for it. What concerns
// this node it has from its own apply already.
func (r *reign) spread(at fsm.Index, outcomes []fsm.Outcome, items []item) {
	var last *stream
	for i := range outcomes {
		o := &outcomes[i]
		to, sum := r.destination(o, items)
		if to == nil {
			continue
		}
		if to != last && last != nil {
			last.ring()
		}
		last = to
		if !to.putOutcome(o, tag{sum, at}) && o.Kind != fsm.OutcomeAnswer {
			delete(r.serving, o.Key.Session)
		}
	}
	if last != nil {
		last.ring()
	}
}

func (r *reign) destination(o *fsm.Outcome, items []item) (to *stream, sum uint32) {
	if o.Kind == fsm.OutcomeAnswer {
		return items[o.Pos].origin, items[o.Pos].sum
	}
	to = r.serving[o.Key.Session]
	if o.Kind == fsm.OutcomeEnded {
		delete(r.serving, o.Key.Session)
	}
	return to, 0
}
