package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// wanted is what run is to hold: every name in the same way.
type wanted struct {
	names          []string
	shared         bool
	permits, limit uint32
}

// check refuses what contradicts itself, before anything is asked of the cluster.
// It is told which numbers were given, on the command line or in the environment:
// no permits are not the same as none mentioned, which would be a lock.
func (w *wanted) check(permits, limit bool) error {
	switch {
	case w.shared && (permits || limit):
		return usage("--shared is of a lock, --permits and --limit of a semaphore: a name is one or the other")
	case permits && !limit:
		return usage("--permits %d of how many? give the semaphore's --limit, the same for everybody", w.permits)
	case limit && !permits:
		return usage("--limit %d is of a semaphore: say how many of them with --permits", w.limit)
	case permits && w.permits == 0:
		return usage("--permits 0 would hold nothing: at least 1")
	case w.permits > w.limit:
		return usage("--permits %d are more than the semaphore has (--limit %d): they could never be held", w.permits, w.limit)
	case len(w.names) > fsm.WantsMax:
		return usage("%d names: %s", len(w.names), fsm.LimitWants)
	}
	for i, name := range w.names {
		switch {
		case !fsm.ValidName(name):
			return usage("%q is no name: %s", name, fsm.LimitName)
		case slices.Contains(w.names[:i], name):
			return usage("%q stands there twice: once is enough", name)
		}
	}
	return nil
}

// all is what to ask for.
func (w *wanted) all() []fsm.Want {
	var wants []fsm.Want
	for _, name := range w.names {
		switch {
		case w.permits > 0:
			wants = append(wants, lockapi.Permits(name, int(w.permits), int(w.limit)))
		case w.shared:
			wants = append(wants, lockapi.Shared(name))
		default:
			wants = append(wants, lockapi.Exclusive(name))
		}
	}
	return wants
}

// String names what is wanted, for messages.
func (w wanted) String() string {
	const named = 3
	var quoted []string
	for _, name := range w.names[:min(len(w.names), named)] {
		quoted = append(quoted, strconv.Quote(name))
	}
	if more := len(w.names) - named; more > 0 {
		quoted = append(quoted, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(quoted, ", ")
}

// A heldName is what a command is told of one name that is held for it.
type heldName struct {
	Name    string    `json:"name"`
	Token   fsm.Token `json:"token,string"`
	Mode    string    `json:"mode"` // exclusive, shared, permits
	Permits uint32    `json:"permits,omitempty"`
}

// held is what is held, in the order of the command line.
func (w *wanted) held(tokenOf func(name string) fsm.Token) []heldName {
	mode := "exclusive"
	switch {
	case w.permits > 0:
		mode = "permits"
	case w.shared:
		mode = "shared"
	}
	var all []heldName
	for _, name := range w.names {
		all = append(all, heldName{name, tokenOf(name), mode, w.permits})
	}
	return all
}

// environment is the runner's with what the command should know of its locks.
func environment(held []heldName, session fsm.SessionID) []string {
	own := []string{
		"LOCKD_NAME=" + held[0].Name, "LOCKD_TOKEN=" + held[0].Token.String(), "LOCKD_GRANTS=" + unescaped(held),
		aroundVariable + "=" + aroundFor(held, session, around(os.Getenv(aroundVariable))),
	}
	// Of two variables with one name some programs take the first: a run inside
	// a run would hand on the outer one's token.
	inherited := slices.DeleteFunc(os.Environ(), func(v string) bool {
		key, _, _ := strings.Cut(v, "=")
		return key == "LOCKD_NAME" || key == "LOCKD_TOKEN" || key == "LOCKD_GRANTS" || key == aroundVariable
	})
	return append(inherited, own...)
}
