package verdict

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lockd-io/lockd/jepsen/history"
)

// foreignRules are the locks for which Jepsen's suites have models: Knossos's
// mutex, with an owner as Hazelcast's has it, and Hazelcast's re-entrant and
// fenced ones and its semaphore. They are written from what those models are said
// to allow, a second time beside jepsen/model, and share nothing with it: a fence
// of 0 is none, a hold keeps its fence, a new one has a greater one than any
// before.
type foreignRules struct {
	name   string
	lock   history.Lock
	fences bool
}

var foreignLocks = []foreignRules{
	{"mutex", history.Lock{}, false},
	{"reentrant mutex", history.Lock{Reentrant: true}, false},
	{"fenced mutex", history.Lock{}, true},
	{"reentrant fenced mutex", history.Lock{Reentrant: true}, true},
	{"semaphore", history.Lock{Limit: 2}, false},
}

const foreignClientsMax = 16

type foreignState struct {
	owner, count, fence, highest int // of a mutex; nobody's if count is 0
	taken                        [foreignClientsMax]int
}

type foreignOp struct {
	client, process int
	acquire         bool
	fence           int
	call, end       int    // end is 0 if it was not answered
	how             string // ok or fail once it was executed, info if nobody knows

}

func (r foreignRules) step(s foreignState, o foreignOp) (foreignState, bool) {
	if limit := int(r.lock.Limit); limit > 0 {
		sum := 0
		for _, n := range s.taken {
			sum += n
		}
		if o.acquire {
			s.taken[o.client]++
			return s, sum < limit
		}
		s.taken[o.client]--
		return s, s.taken[o.client] >= 0
	}
	mine := s.count > 0 && s.owner == o.client
	switch {
	case !o.acquire:
		s.count--
		return s, mine
	case s.count > 0 && !(mine && r.lock.Reentrant):
		return s, false
	case s.count == 0:
		s.owner, s.fence = o.client, 0
	}
	s.count++
	switch {
	case o.fence == 0, o.fence == s.fence:
		return s, true
	case s.fence == 0 && o.fence > s.highest:
		s.fence, s.highest = o.fence, o.fence
		return s, true
	}
	return s, false
}

// allows looks for an order of what is known to have been done, with any part of
// what may have been: those that failed are left out, as Knossos does.
func (r foreignRules) allows(ops []foreignOp) bool {
	var known, doubtful []porcupine.Operation
	for _, o := range ops {
		p := porcupine.Operation{ClientId: o.client, Input: o, Call: int64(o.call), Return: int64(o.end)}
		switch {
		case o.end > 0 && o.how == "ok":
			known = append(known, p)
		case o.end == 0: // no answer, or :info
			p.Return = 1 << 40
			doubtful = append(doubtful, p)
		}
	}
	m := porcupine.Model{
		Init: func() any { return foreignState{} },
		Step: func(state, input, _ any) (bool, any) {
			next, ok := r.step(state.(foreignState), input.(foreignOp))
			return ok, next
		},
	}
	for some := range 1 << len(doubtful) {
		chosen := known[:len(known):len(known)]
		for i := range doubtful {
			if some>>i&1 == 1 {
				chosen = append(chosen, doubtful[i])
			}
		}
		if porcupine.CheckOperations(m, chosen) {
			return true
		}
	}
	return false
}

// foreignRun lets clients use a lock at once, that is not always what it should
// be, and gives their operations and what Jepsen would have written of them.
func foreignRun(rng *rand.Rand, r foreignRules) ([]foreignOp, string) {
	const asked = 14
	var state foreignState
	var ops []foreignOp
	var text strings.Builder
	named := rng.IntN(2) == 0 // clients live on in another process
	processes, clients, clock := 3, 3, 0
	type client struct{ client, process, at, fence int }
	var all []client
	for i := range 3 {
		all = append(all, client{client: i, process: i, at: -1})
	}
	write := func(o foreignOp, how string) {
		f := map[bool]string{true: "acquire", false: "release"}[o.acquire]
		fmt.Fprintf(&text, "{:type :%s, :f :%s, :process %d, :time %d, :value ", how, f, o.process, clock*1000)
		switch {
		case named:
			fmt.Fprintf(&text, "{:client \"n%d\" :fence %d}}\n", o.client, o.fence)
		case how == "ok" && o.acquire && r.fences:
			fmt.Fprintf(&text, "{:fence %d}}\n", o.fence)
		default:
			text.WriteString("nil}\n")
		}
		if rng.IntN(9) == 0 {
			fmt.Fprintf(&text, "{:type :info, :f :start, :process :nemesis, :time %d, :value \"cut off\"}\n", clock*1000)
		}
	}
	for crashes := 0; ; {
		c := &all[rng.IntN(len(all))]
		clock++
		switch {
		case c.at < 0 && len(ops) == asked:
			return ops, text.String()
		case c.at < 0:
			c.at = len(ops)
			ops = append(ops, foreignOp{client: c.client, process: c.process, acquire: rng.IntN(2) == 0, call: clock})
			write(ops[c.at], "invoke")
		case ops[c.at].how == "":
			o := &ops[c.at]
			c.fence = 0
			if o.acquire && r.fences && rng.IntN(4) > 0 {
				if c.fence = state.highest + 1; state.count > 0 && state.owner == c.client && state.fence > 0 {
					c.fence = state.fence
				}
				if rng.IntN(15) == 0 {
					c.fence = max(1, c.fence-1)
				}
			}
			tried := *o
			tried.fence = c.fence
			next, ok := r.step(state, tried)
			o.how = "fail"
			if ok {
				state, o.how = next, "ok"
			} else if rng.IntN(12) == 0 {
				o.how = "ok"
			}
		case crashes < 4 && rng.IntN(12) == 0:
			crashes++
			ops[c.at].how = "info"
			write(ops[c.at], "info")
			c.process, c.at = processes, -1
			processes++
			if !named {
				c.client = clients
				clients++
			}
		default:
			o := &ops[c.at]
			o.end = clock
			if o.how == "ok" {
				o.fence = c.fence
			}
			write(*o, o.how)
			c.at = -1
		}
	}
}

// registerModel is a register with compare-and-set, of operations that are told
// by their ID: what is judged is all of the checker but its model.
func registerModel(told map[int]registerOp) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "nil" },
		Step: func(state, input, _ any) (bool, any) {
			o := input.(*history.Op)
			r := told[o.ID]
			switch {
			case r.f == "read":
				return o.Status != history.OK || r.seen == state.(string), state
			case r.f == "write":
				return true, r.to
			case r.from == state.(string):
				return o.Status != history.Fail, r.to
			default:
				return o.Status != history.OK, state
			}
		},
	}
}

type registerOp struct{ f, seen, from, to string }

// registerHistory reads a log of Jepsen's, of lines that end with process, type,
// function and value. What timed out is :info, and a read of which nothing came
// has seen nothing.
func registerHistory(log string) (history.History, map[int]registerOp, error) {
	var h history.History
	told := make(map[int]registerOp)
	open := make(map[string]int)
	for n, line := range strings.Split(strings.TrimSpace(log), "\n") {
		_, rest, _ := strings.Cut(line, "jepsen.util - ")
		f := strings.Fields(rest)
		if len(f) < 4 || f[0] == ":nemesis" {
			continue
		}
		value := strings.Join(f[3:], " ")
		if f[1] == ":invoke" {
			var process int
			if _, err := fmt.Sscan(f[0], &process); err != nil {
				return nil, nil, fmt.Errorf("line %d: %w", n+1, err)
			}
			r := registerOp{f: f[2][1:], to: value}
			if r.f == "cas" {
				r.from, r.to, _ = strings.Cut(strings.Trim(value, "[]"), " ")
			}
			told[n] = r
			open[f[0]] = len(h)
			h = append(h, history.Op{ID: n, Client: process, Call: int64(n + 1), Status: history.Unknown})
			continue
		}
		at, known := open[f[0]]
		if !known {
			return nil, nil, fmt.Errorf("line %d: nobody asked", n+1)
		}
		delete(open, f[0])
		switch o := &h[at]; {
		case f[1] == ":ok":
			r := told[o.ID]
			r.seen = value
			told[o.ID] = r
			o.Status, o.Return = history.OK, int64(n+1)
		case f[1] == ":fail":
			o.Status, o.Return = history.Fail, int64(n+1)
		}
	}
	return h, told, nil
}

const foreignLimit = time.Minute
