package lockapi

import (
	"crypto/sha256"
	"fmt"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// pageDefault is the size of a page that asks for none.
	pageDefault = 100
	// pageMax keeps an answer within a message.
	pageMax = 1000
)

// Validate tells what is wrong with the query by itself. The error is ErrInvalid.
func (q Query) Validate() error {
	switch {
	case q.Limit < 0 || q.Limit > pageMax:
		return fmt.Errorf("%w: a page has 1 to %d locks; asked for %d", ErrInvalid, pageMax, q.Limit)
	case q.Name != "" && !fsm.ValidName(q.Name),
		!fsm.ValidText(q.Prefix, fsm.NameSizeMax), !fsm.ValidText(q.After, fsm.NameSizeMax):
		return fmt.Errorf("%w (%s)", ErrInvalid, fsm.LimitName)
	case q.Session != 0 && (q.Name != "" || q.Prefix != "" || q.After != ""):
		return fmt.Errorf("%w: a query is for names or for a session, not for both", ErrInvalid)
	}
	return nil
}

// Of answers the query from a view of the machine; backends that have one use
// it. The error is ErrInvalid, or of a query for a session ErrSessionGone or
// ErrDenied.
func (q Query) Of(v *fsm.View) (View, error) {
	if err := q.Validate(); err != nil {
		return View{}, err
	}
	found := View{Index: v.Applied(), At: v.Now()}
	if q.Name != "" {
		found.Locks = []fsm.LockView{v.Lock(q.Name)}
		return found, nil
	}
	limit := q.Limit
	if limit == 0 {
		limit = pageDefault
	}
	if q.Session != 0 {
		page, more, exists := v.Session(q.Session, q.AfterGrant, q.AfterWait, limit)
		switch {
		case !exists:
			return View{}, ErrSessionGone
		case !v.Proves(q.Session, sha256.Sum256(q.Secret[:])):
			return View{}, ErrDenied
		}
		found.Session, found.More = &page, more
		return found, nil
	}
	found.Locks, found.More = v.Locks(q.Prefix, q.After, limit)
	return found, nil
}
