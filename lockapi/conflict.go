package lockapi

import (
	"fmt"

	"github.com/lockd-io/lockd/fsm"
)

// A ConflictError says how a name is used now, against which an acquire was. It is
// an ErrConflict: nothing was changed.
type ConflictError struct {
	Want  fsm.Want    // what was asked for; zero if that is not known
	Kind  fsm.Kind    // what the name is
	Mode  fsm.Mode    // how the owner holds it, if it is that
	Limit fsm.Permits // the semaphore's declared limit, if it is that
}

// Error implements error.
func (e *ConflictError) Error() string {
	name := "the name"
	if e.Want.Name != "" {
		name = fmt.Sprintf("%q", e.Want.Name)
	}
	switch {
	case e.Limit != 0:
		return fmt.Sprintf("conflict: %s is a semaphore with a limit of %d, and was asked for with %d: all must say the same limit; "+
			"it can be another once nobody holds permits or waits for some", name, e.Limit, e.Want.Limit)
	case e.Mode != 0:
		return fmt.Sprintf("conflict: the owner holds %s in %s mode, and asks for it in %s mode: release it first, or acquire it as another owner",
			name, modeWord(e.Mode), modeWord(e.Want.Mode))
	case e.Kind != 0:
		return fmt.Sprintf("conflict: %s is a %s now, and was asked for as a %s: use another name, or wait until nobody holds it or waits for it",
			name, kindWord(e.Kind), kindWord(e.Want.Kind))
	}
	return ErrConflict.Error()
}

// Is makes a ConflictError an ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Refusal is ErrorOf for the answer to an acquire of these wants: it tells which
// of them was refused, and of conflicts both sides.
func Refusal(wants []fsm.Want, r fsm.Result) error {
	err := ErrorOf(r)
	place := max(int(r.Place), 1) // of one want it need not be said
	if err == nil || r.Place == 0 && len(wants) != 1 || place > len(wants) {
		return err
	}
	w := wants[place-1]
	switch r.Status {
	case fsm.StatusKindConflict:
		other := fsm.KindLock
		if w.Kind == fsm.KindLock {
			other = fsm.KindSemaphore
		}
		return &ConflictError{Want: w, Kind: other}
	case fsm.StatusModeConflict:
		other := fsm.Exclusive
		if w.Mode == fsm.Exclusive {
			other = fsm.Shared
		}
		return &ConflictError{Want: w, Kind: w.Kind, Mode: other}
	case fsm.StatusLimitConflict:
		return &ConflictError{Want: w, Kind: w.Kind, Limit: fsm.Permits(r.Value)}
	}
	if len(wants) > 1 {
		err = fmt.Errorf("%q: %w", w.Name, err)
	}
	return err
}
