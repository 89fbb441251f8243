package cluster

import "time"

const (
	// resendAfter: without progress for this long, a command is sent again.
	resendAfter = time.Second
	// resendDoublings: each further sending waits twice as long, up to 16 s, so
	// that a leader that is merely slow is not buried.
	resendDoublings = 4
)

// A cause is why commands are sent again.
type cause uint8

const (
	byRoute    cause = iota // another leader, term or stream
	byRefusal               // the leader sent one
	bySilence               // no progress for too long: only what has waited
	bySnapshot              // one was installed, perhaps in place of the entry
	causes
)

// reroute sends commands to another sender from now on (nil: nobody leads),
// and everything that waits for an answer once more.
func (p *pendings) reroute(to sender) {
	p.route.Store(&route{to})
	if to != nil {
		p.resend(byRoute)
	}
}

// resend sends again everything, or by silence what has waited without progress
// for too long. Answers prefer one of several sendings to none.
func (p *pendings) resend(why cause) int {
	again, to := p.due(why)
	for _, w := range again {
		to.put(w.op, w.session, w.raw)
	}
	return len(again)
}

func (p *pendings) due(why cause) ([]*pending, sender) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := p.route.Load().to
	if to == nil {
		return nil, nil
	}
	now := p.now()
	var again []*pending
	for w := p.head.next; w != &p.head; w = w.next {
		if why == bySilence && w.sent {
			if now-w.sentAt < resendAfter {
				break // and so for all behind it
			}
			patience := resendAfter << w.again
			if now-p.progress < resendAfter {
				patience *= 2 // others are answered: slow rather than lost
			}
			if now-w.sentAt < patience {
				continue
			}
		}
		again = append(again, w)
	}
	for _, w := range again {
		if w.sent {
			w.again = min(w.again+1, resendDoublings)
			p.resent[why]++
		}
		w.sent, w.sentAt = true, now
		p.unlink(w)
		p.link(w)
	}
	return again, to
}
