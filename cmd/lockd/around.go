package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// aroundVariable has in it, for a run that is within another's COMMAND, what all of
// those around it hold: they wait for it to end.
const (
	aroundVariable = "LOCKD_AROUND"
	// aroundMax bytes of it: what lies furthest out goes first.
	aroundMax = 32 << 10
)

// An outer is a name that a run around this one holds, or held when it began.
type outer struct {
	Name    string        `json:"name"`
	Token   fsm.Token     `json:"token,string"`
	Session fsm.SessionID `json:"session,string"`
	Process int           `json:"pid"`
}

// around reads what the runs around this one hold, the outermost first. What is not
// theirs is as good as nothing: it is a hint.
func around(variable string) (all []outer) {
	if json.Unmarshal([]byte(variable), &all) != nil {
		return nil
	}
	return all
}

// aroundFor is the variable for what this run runs.
func aroundFor(held []heldName, session fsm.SessionID, outside []outer) string {
	all := slices.Clone(outside)
	for _, n := range held {
		all = append(all, outer{n.Name, n.Token, session, os.Getpid()})
	}
	for {
		text := unescaped(all)
		if len(text) <= aroundMax || len(all) == 0 {
			return text
		}
		all = all[1:]
	}
}

// notWithinItself refuses to wait for what a run around this one holds: it would for
// ever, since that one waits for this one. What may have to wait for it is told to w,
// and waits. A try does not wait: it is told by its exit code.
//
// Each is looked for where this run looks for locks, which may be elsewhere: there is a
// hold of its session, with its token, of its process, or it is none of this cluster's.
func (f *runFlags) notWithinItself(ctx context.Context, client *lockapi.Client, w io.Writer) error {
	if f.wait.limited && f.wait.limit == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.contactPatience())
	defer cancel()
	outside := around(os.Getenv(aroundVariable))
	for _, name := range f.wants.names {
		if !slices.ContainsFunc(outside, func(o outer) bool { return o.Name == name }) {
			continue
		}
		view, err := client.Inspect(ctx, lockapi.Query{Name: name})
		if err != nil {
			return nil // who is asked for the lock will say it
		}
		for _, lock := range view.Locks {
			switch f.wants.deadlock(lock, outside) {
			case surely:
				return usage("%q: the lockd run around this one holds it, and waits for this one: it would wait for ever. "+
					"Let the outer run hold it for both", name)
			case perhaps:
				fmt.Fprintf(w, "lockd: warning: %q: the lockd run around this one holds it too, and others wait for it: "+
					"this one may wait for ever\n", name)
			}
		}
	}
	return nil
}

// A deadlock is how likely it is to wait for oneself.
type deadlock int

const (
	never deadlock = iota
	perhaps
	surely
)

// deadlock judges what is wanted of a lock that runs around this one may hold.
func (w *wanted) deadlock(lock fsm.LockView, outside []outer) deadlock {
	var theirs, all fsm.Permits
	var exclusive, shared bool
	for _, h := range lock.Holders {
		all += h.Permits
		if !slices.ContainsFunc(outside, func(o outer) bool { return o.holds(lock.Name, h) }) {
			continue
		}
		theirs += h.Permits
		exclusive = exclusive || h.Mode == fsm.Exclusive
		shared = shared || h.Mode == fsm.Shared
	}
	mine := fsm.Permits(w.permits)
	switch {
	case !exclusive && !shared && theirs == 0:
		return never
	case exclusive, shared && !w.shared, theirs > 0 && mine+theirs > lock.Limit:
		return surely
	case lock.Waits > 0, theirs > 0 && mine+all > lock.Limit:
		return perhaps
	}
	return never
}

// holds tells whether a hold of a name is this one.
func (o outer) holds(name string, h fsm.HolderView) bool {
	return o.Name == name && o.Token == h.Token && o.Session == h.Session &&
		strings.Contains(h.Label, "/"+strconv.Itoa(o.Process)+"/")
}

// unescaped is JSON as it reads: what browsers would take for markup is none here.
func unescaped(v any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("lockd: " + err.Error()) // strings and numbers
	}
	return strings.TrimSuffix(text.String(), "\n")
}
