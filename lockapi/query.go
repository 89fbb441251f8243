package lockapi

import (
	"fmt"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// pageDefault is the size of a page that asks for none.
	pageDefault = 100
	// pageMax keeps an answer within a message.
	pageMax = 1000
)

// Of answers the query from a view of the machine; backends that have one use
// it. The error is ErrInvalid.
func (q Query) Of(v *fsm.View) (View, error) {
	switch {
	case q.Limit < 0 || q.Limit > pageMax:
		return View{}, fmt.Errorf("%w: a page has 1 to %d locks; asked for %d", ErrInvalid, pageMax, q.Limit)
	case q.Name != "" && !fsm.ValidName(q.Name),
		!fsm.ValidText(q.Prefix, fsm.NameSizeMax), !fsm.ValidText(q.After, fsm.NameSizeMax):
		return View{}, fmt.Errorf("%w (%s)", ErrInvalid, fsm.LimitName)
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
	found.Locks, found.More = v.Locks(q.Prefix, q.After, limit)
	return found, nil
}
