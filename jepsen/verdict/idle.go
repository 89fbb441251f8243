package verdict

import (
	"fmt"
	"math"
	"slices"

	"github.com/lockd-io/lockd/jepsen/history"
)

// alone are the names that nobody wanted together with others. Of the others a
// waiter may stand in the way though nobody holds them: it waits for another name.
func alone(h history.History) map[string]bool {
	all := make(map[string]bool)
	for i := range h {
		for _, want := range h[i].Wants {
			name := want.Name
			if one, known := all[name]; h[i].Kind == history.Acquire && (one || !known) {
				all[name] = len(h[i].Wants) == 1
			}
		}
	}
	return all
}

// idle wants that nobody waits for nobody: when a try is refused, or a wait ends in
// vain, somebody holds the name. (Were it free, the first in line would have it.)
// Where an acquire is in doubt it may be that one.
func (w *witness) idle(o *history.Op) {
	if o.Kind != history.Acquire || o.Code != history.Busy && o.Code != history.Timeout {
		return
	}
	name := o.Wants[0].Name // if it is alone, there is no other
	if w.mayBeHeld(name, o) || !w.alone[name] {
		return
	}
	if len(w.state.Holders(name)) == 0 {
		w.find(fmt.Sprintf("%s, at %v, was refused though nobody held it", o, o.At), o)
	}
}

// A doubt is when somebody may have held a name that nobody knows of.
type doubt struct{ from, to int64 }

// doubt notes an acquire of which nobody knows whether it was granted. (What else is in
// doubt wants no names.)
func (w *witness) doubt(o *history.Op) {
	to := o.End() // who is told that his session is over holds nothing from then on
	if o.Status == history.OK {
		to = math.MaxInt64 // it was granted, and its release finds no grant to end
	}
	for _, name := range o.Names() {
		w.doubts[name] = append(w.doubts[name], doubt{o.Call, to})
	}
}

func (w *witness) mayBeHeld(name string, o *history.Op) bool {
	return slices.ContainsFunc(w.doubts[name], func(d doubt) bool { return d.from <= o.Return && d.to >= o.Call })
}
