package remote

import (
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// postpone sends a's command again when the node that refused it may have room. A
// node that has too much to do is not left for another: the work is the leader's,
// whoever passes it on. But a new link is tried at once.
func (b *Backend) postpone(a *call, full *lockapi.OverloadError) {
	if full == nil { // a node that says no more than that
		full = &lockapi.OverloadError{}
	}
	a.full = full
	key := a.key
	b.later(full, func() {
		// Another call of the same command may stand in a's place: good as well.
		if first := b.inflight[key]; first != nil && first.sent == nil {
			b.send(first)
		}
	})
}

// later runs f with the lock when what was full may not be any more.
func (b *Backend) later(full *lockapi.OverloadError, f func()) {
	time.AfterFunc(lockapi.PauseAfter(full, 0), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.closed {
			f()
		}
	})
}
