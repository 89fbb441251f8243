package cluster

import (
	"fmt"

	"github.com/lockd-io/lockd/fsm"
)

// An answer comes in one of three ways, whichever is first: as an outcome that
// the leader returned, from this node's own apply, or from a snapshot that was
// installed in place of the entry (but for acquires). This file is the three ways.

// answers are collected under the lock of pendings and told without it.
type answers struct {
	callers []*caller
	results []fsm.Result
	err     error
}

func (a *answers) add(c *caller, r fsm.Result) {
	for ; c != nil; c = c.next {
		a.callers = append(a.callers, c)
		a.results = append(a.results, r)
	}
}

// spoil makes every answer unknown: the node has failed, and vouches for none.
func (a *answers) spoil(why error) {
	clear(a.results)
	a.err = errOutcomeUnknown(why)
}

// tell calls every caller, and leaves a empty for the next use.
func (a *answers) tell() {
	for i, c := range a.callers {
		a.callers[i] = nil
		c.answer(a.results[i], a.err)
	}
	a.callers, a.results = a.callers[:0], a.results[:0]
}

// fromLeader takes outcomes that the leader returned. (A follower of this raft
// learns that an entry is committed only with the next append, up to 100 ms
// later: waiting for the own apply would make an idle cluster thirty times
// slower than a busy one.) That the own apply agrees is seen when it comes.
// tags tell which command each outcome answers, and where.
func (p *pendings) fromLeader(outcomes []fsm.Outcome, tags []tag, to *answers) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range outcomes {
		o := &outcomes[i]
		w := p.byKey[o.Key]
		if o.Kind != fsm.OutcomeAnswer || w == nil || w.answered || w.sum != tags[i].sum {
			continue
		}
		p.progress = p.now()
		p.unlink(w)
		if w.into != nil {
			continue // it is in the log: wait, and do not send it again
		}
		to.add(w.callers, o.Result)
		w.answered, w.result, w.at, w.pos, w.callers = true, o.Result, tags[i].at, o.Pos, nil
		if w.at <= p.applied {
			p.drop(w) // refused before the log, or applied before: no apply will come
		}
	}
}

// fromApply takes the outcomes of an entry's commands, which this node applied.
// view is asked for if somebody waits for the state behind his answer. The error
// is ErrDiverged if the leader returned another result from the same place of the
// same entry. (Nothing less will do: a client that moves from node to node may
// have copies of a command in several entries and several in one. A repeat says
// when the first was answered, but not its order, and a renewal is new each time.)
func (p *pendings) fromApply(at fsm.Index, outcomes []fsm.Outcome, commands []fsm.Command, view func() *fsm.View, to *answers) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applied = at
	if len(p.byKey) == 0 {
		return nil
	}
	var frozen *fsm.View
	for i := range outcomes {
		o := &outcomes[i]
		w := p.byKey[o.Key]
		if o.Kind != fsm.OutcomeAnswer || w == nil || w.sum != sumOf(&commands[o.Pos]) {
			continue
		}
		if w.answered {
			if at != w.at || o.Pos != w.pos {
				continue
			}
			if w.result != o.Result {
				return fmt.Errorf("%w: the leader answered %v with %+v, here it is %+v",
					ErrDiverged, o.Key, w.result, o.Result)
			}
			p.drop(w)
			continue
		}
		if w.into != nil {
			if frozen == nil {
				frozen = view()
			}
			*w.into = frozen
		}
		p.progress = p.now()
		to.add(w.callers, o.Result)
		p.drop(w)
	}
	return nil
}

// fromSnapshot looks every command up in a state that was installed from a
// snapshot: the entries in between are never applied here, and there need
// not be a change of leader that would make this node send again. What the
// state does not know stays, to be sent again.
//
// So does every acquire. Its sender takes the time of the answer for one at
// which the session was renewed, which holds for every answer out of the log
// (whoever speaks in an entry is renewed in it, a repeat as well) and not for
// one out of a state: a wait may have ended long after the session last spoke.
func (p *pendings) fromSnapshot(at fsm.Index, lookup func(fsm.Key) (fsm.Outcome, fsm.Found), to *answers) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applied = at
	for _, w := range p.byKey {
		switch {
		case w.answered:
			if w.at <= at {
				p.drop(w)
			}
		case w.into != nil:
			if w.next == nil {
				p.link(w) // its apply may have been skipped: read again
			}
		case w.op == fsm.OpAcquire:
		default:
			if o, found := lookup(w.key); found != fsm.NotFound {
				to.add(w.callers, o.Result)
				p.drop(w)
			}
		}
	}
}
