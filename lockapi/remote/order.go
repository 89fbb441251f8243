package remote

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// impatient: whoever asks again so soon cannot wait until the link is found silent,
// which takes as long: his TTL is under six seconds.
const impatient = quietLooks * look

// overtaken: how much later something must have been sent that is answered before a
// command, for that to be stuck. A leader gathers renewals for up to half of that.
const overtaken = 500 * time.Millisecond

// An order is what a link tells a command that is stuck from one that stands in
// line. Fifty thousand that were sent at once are answered one after the other, and
// some wait for so long that they are asked for again. Were the link given up for
// that, all would be sent to the next node, where they would take as long.
type order struct {
	begun     time.Time
	answered  time.Duration // when the latest of what is answered was sent
	doubted   []doubted     // commands that somebody waits too long for
	reviewing bool          // they will be looked at again
}

// A doubted is a command that was asked for again, and whether that was soon.
type doubted struct {
	key  fsm.Key
	soon bool
}

// A place is when a command was sent, and after how many frames from the node.
type place struct {
	at    time.Duration
	heard uint64
}

func (l *link) place() place { return place{time.Since(l.order.begun), l.heard.Load()} }

// progress notes that a is answered.
func (l *link) progress(a *call) {
	if a.sent == l {
		l.order.answered = max(l.order.answered, a.place.at)
	}
}

// stuck tells whether a, which was sent on l, does not stand in line: what was sent
// later is answered, or, for who cannot wait, nothing has come since.
func (l *link) stuck(a *call, soon bool) bool {
	now := l.place()
	return l.order.answered-a.place.at > overtaken ||
		soon && now.heard == a.place.heard && now.at-a.place.at >= doubtAfter
}

// doubtful notes that somebody waits too long for a, which was sent on the link.
func (b *Backend) doubtful(a *call) {
	l, soon := b.link, time.Since(a.begun) < impatient
	l.order.doubted = append(l.order.doubted, doubted{a.key, soon})
	if l.stuck(a, soon) {
		l.doubt()
	}
	b.reviewLater(l)
}

func (b *Backend) reviewLater(l *link) {
	if l.order.reviewing {
		return
	}
	l.order.reviewing = true
	time.AfterFunc(doubtAfter, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		l.order.reviewing = false
		b.review(l)
	})
}

// review looks whether what was in doubt is stuck by now.
func (b *Backend) review(l *link) {
	still := l.order.doubted[:0]
	for _, d := range l.order.doubted {
		a := b.inflight[d.key]
		if a == nil || a.sent != l {
			continue
		}
		if still = append(still, d); l.stuck(a, d.soon) {
			l.doubt()
		}
	}
	if l.order.doubted = still; len(still) > 0 && !l.doubted.Load() && l == b.link {
		b.reviewLater(l)
	}
}
