package history

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// A Lock is what a history of Jepsen's does not say itself: what it is about.
type Lock struct {
	Limit     uint32 // of a semaphore, of which an acquire takes one permit; 0: a mutex
	Reentrant bool   // whoever holds the mutex may acquire it again
	// Keyed says that values are [name value], as jepsen.independent has them, and
	// that each name is a lock. Otherwise all of the history is about one.
	Keyed bool
}

// FromEDN reads a history that Jepsen, or whatever writes as it does, has
// recorded of another lock service: maps with :process, :type (:invoke, then :ok,
// :fail or :info), and :f (:acquire, :release). What has no number for a process,
// such as :nemesis, is passed over; any other operation is an error, since a
// verdict on a part of a history is none on the history.
//
// Who holds is the :client, in the map or in its :value, if they have one (then
// every process has to say which it is), and else the process. A release is of
// something that it holds itself. An :ok acquire may have a
// fencing token: :fence or :token; 0 is none. The :error of a :fail is its code:
// :not-held is held against the service; a refused acquire is not, since Jepsen
// does not tell who waits.
//
// The maps are in the order of what happened, as Jepsen takes them to be: it
// settles what was before what, and :time only how long it took. An operation's
// ID is the place of its invocation, from 0: its :index. The history is valid, or
// the error says what is not.
func FromEDN(r io.Reader, lock Lock) (History, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	events, err := ednMaps(text)
	if err != nil {
		return nil, err
	}
	f := foreign{lock: lock, open: make(map[int64]int), sessions: make(map[who]uint64)}
	if err := f.findClients(events); err != nil {
		return nil, err
	}
	for i, event := range events {
		process, is := event.process()
		if !is {
			continue
		}
		f.now++
		if at, is := event.get("time").(int64); is && at < math.MaxInt64/2 {
			f.now = max(f.now, at)
		}
		if err := f.take(i, process, event); err != nil {
			return nil, fmt.Errorf("map %d, of process %d: %w", i, process, err)
		}
	}
	return f.h, f.h.Validate()
}

// A foreign is a history in the making.
type foreign struct {
	lock     Lock
	now      int64
	h        History
	open     map[int64]int  // process: where in h is what it waits for
	clients  map[int64]any  // process: which client it is; nil: each is its own
	sessions map[who]uint64 // if processes do not number them
}

// anyGrant is the number of every grant. Jepsen has none: a release is of one of
// those that its session has, and they are alike. That of a crashed process may
// come late and meet a grant that its client was given since.
const anyGrant = 1

// A who is one client of one lock. Each is a session: what a client has of one
// lock has nothing to do with what it has of another.
type who struct {
	client any
	name   string
}

// process is who asked; false for what is no client's, such as the nemesis.
func (m ednMap) process() (int64, bool) {
	n, is := m.get("process").(int64)
	return n, is && n >= 0
}

// value is what the operation is about; key which lock, if they have names.
func (f *foreign) value(event ednMap) (key, value any) {
	value = event.get("value")
	if pair, is := value.([]any); f.lock.Keyed && is && len(pair) == 2 {
		return pair[0], pair[1]
	}
	return nil, value
}

// told is what the map, or its :value, says of something.
func (f *foreign) told(event ednMap, what keyword) any {
	if said := event.get(what); said != nil {
		return said
	}
	_, value := f.value(event)
	inner, _ := value.(ednMap)
	return inner.get(what)
}

// findClients reads the whole history: a process may say who it is only when it
// is answered.
func (f *foreign) findClients(events []ednMap) error {
	clients := make(map[int64]any)
	for _, event := range events {
		process, is := event.process()
		client := f.told(event, "client")
		if !is || !isName(client) {
			continue
		}
		if known := clients[process]; known != nil && known != client {
			return fmt.Errorf("process %d is client %v and client %v", process, known, client)
		}
		clients[process] = client
	}
	if len(clients) == 0 {
		return nil
	}
	f.clients = clients
	for _, event := range events {
		if process, is := event.process(); is && clients[process] == nil {
			return fmt.Errorf("process %d never says which :client it is: add it to its maps, or leave it out of all", process)
		}
	}
	return nil
}

// isName tells whether a value can name something.
func isName(value any) bool {
	switch value.(type) {
	case string, int64, keyword, symbol:
		return true
	}
	return false
}

func (f *foreign) take(i int, process int64, event ednMap) error {
	kind, _ := event.get("f").(keyword)
	if kind != "acquire" && kind != "release" {
		return fmt.Errorf(":f is %v, want :acquire or :release: leave out what is not about locks (what lockd recorded is judged as it kept it in history.jsonl)", event.get("f"))
	}
	at, open := f.open[process]
	switch how, _ := event.get("type").(keyword); {
	case how == "invoke" && open:
		return fmt.Errorf("it has not had an answer to operation %d", f.h[at].ID)
	case how == "invoke":
		return f.invoke(i, process, Kind(kind), event)
	case how != "ok" && how != "fail" && how != "info":
		return fmt.Errorf(":type is %v, want :invoke, :ok, :fail or :info", event.get("type"))
	case !open || f.h[at].Kind != Kind(kind):
		return fmt.Errorf(":%s of a :%s that it did not ask for", how, kind)
	default:
		delete(f.open, process)
		f.complete(&f.h[at], how, event)
		return nil
	}
}

func (f *foreign) invoke(i int, process int64, kind Kind, event ednMap) error {
	name, err := f.name(event)
	if err != nil {
		return err
	}
	o := Op{ID: i, Client: int(process), Session: f.session(process, name), Kind: kind, Call: f.now, Status: Unknown}
	if kind == Release {
		o.Grant = anyGrant
	} else {
		o.Wait = -1
		o.Wants = []Want{{Name: name, Mode: Exclusive}}
		if f.lock.Limit > 0 {
			o.Wants[0] = Want{Name: name, Mode: Permits, Permits: 1, Limit: f.lock.Limit}
		}
		if !f.lock.Reentrant {
			o.Owner = fmt.Sprint(i) // of this acquire alone
		}
	}
	f.open[process] = len(f.h)
	f.h = append(f.h, o)
	return nil
}

func (f *foreign) name(event ednMap) (string, error) {
	if !f.lock.Keyed {
		return "lock", nil
	}
	key, _ := f.value(event)
	if !isName(key) {
		return "", fmt.Errorf(":value is %v, want [name value]", event.get("value"))
	}
	return fmt.Sprint(key), nil
}

func (f *foreign) session(process int64, name string) uint64 {
	if f.clients == nil && !f.lock.Keyed {
		return uint64(process)
	}
	one := who{process, name}
	if f.clients != nil {
		one.client = f.clients[process]
	}
	if f.sessions[one] == 0 {
		f.sessions[one] = uint64(len(f.sessions) + 1)
	}
	return f.sessions[one]
}

// complete notes what came of an operation; nothing, if nobody knows.
func (f *foreign) complete(o *Op, how keyword, event ednMap) {
	if how == "info" {
		return
	}
	o.Status, o.Return = OK, f.now
	switch {
	case how == "fail":
		o.Status, o.Code = Fail, code(event.get("error"))
	case o.Kind == Acquire:
		o.Grant = anyGrant
		for _, what := range []keyword{"token", "fence"} {
			if token, is := f.told(event, what).(int64); is && token > 0 {
				o.Tokens = []uint64{uint64(token)}
			}
		}
	}
}

// code is an error as histories have it: of [:not-found "..."] the first.
func code(value any) string {
	if parts, is := value.([]any); is && len(parts) > 0 {
		value = parts[0]
	}
	if word, is := value.(keyword); is {
		return strings.ReplaceAll(string(word), "-", "_")
	}
	return "refused"
}
