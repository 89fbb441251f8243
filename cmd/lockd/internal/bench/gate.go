package bench

import (
	"fmt"
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A gate checks the grants of one name.
type gate struct {
	mu     sync.Mutex // guards the fields below
	last   fsm.Token
	before *lockapi.Grant // no longer valid once its release has begun
}

// enter checks a new grant against those before it. The error is a violation.
//
// That the new one is valid is looked at last: a client that was paused comes
// with a grant that is over, and then a greater token and another valid one are as
// they should be. While it is valid nobody was given the name after it.
func (g *gate) enter(grant *lockapi.Grant) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, before := g.last, g.before
	g.last, g.before = max(last, grant.Token), grant
	if grant.Token <= last && grant.Valid() {
		return fmt.Errorf("%q was granted with token %d, after token %d", grant.Name, grant.Token, last)
	}
	if before != nil && before.Valid() && grant.Valid() {
		return fmt.Errorf("%q is held twice: with tokens %d and %d", grant.Name, before.Token, grant.Token)
	}
	return nil
}
