package mem

import (
	"sync"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// theTerm: there was one election, and it is over.
const theTerm fsm.Term = 1

// A machine is a state and who listens to it.
type machine struct {
	now func() fsm.Instant // machine time is this clock's

	mu      sync.Mutex // guards the fields below
	state   *fsm.State
	entry   fsm.Entry // reused
	open    int       // backends
	timer   *time.Timer
	armed   fsm.Instant // when timer fires; 0 is never
	readers map[fsm.SessionID]*reader
}

func newMachine() *machine {
	start := time.Now()
	m := &machine{
		now:     func() fsm.Instant { return fsm.Instant(time.Since(start)) },
		state:   fsm.New(),
		readers: make(map[fsm.SessionID]*reader),
	}
	m.entry.Term = theTerm
	return m
}

// apply runs one command, or none, in an entry of its own, and gives events to
// who reads them. The stamp is read with the command in hand and under mu, so
// that it is never from before the command was sent. mu is held.
func (m *machine) apply(commands ...fsm.Command) fsm.Result {
	m.entry.Commands = append(m.entry.Commands[:0], commands...)
	m.entry.Now = m.now()
	var answer fsm.Result
	outcomes := m.state.Apply(m.state.Applied()+1, theTerm, &m.entry)
	for i := range outcomes {
		o := &outcomes[i]
		if o.Kind == fsm.OutcomeAnswer {
			answer = o.Result
			continue
		}
		if r := m.readers[o.Key.Session]; r != nil {
			r.give(*o)
		}
	}
	m.arm()
	return answer
}

// arm sets the timer to the next deadline, unless it fires earlier anyway.
func (m *machine) arm() {
	at, any := m.state.NextDeadline()
	switch {
	case m.open == 0 && m.armed != 0:
		m.timer.Stop()
		m.armed = 0
	case m.open == 0 || !any || m.armed != 0 && m.armed <= at:
	default:
		m.armed = at
		wait := time.Duration(max(0, at.Sub(m.now())))
		if m.timer == nil {
			m.timer = time.AfterFunc(wait, m.expire)
		} else {
			m.timer.Reset(wait)
		}
	}
}

// expire applies an empty entry if something is due. More than one entry may
// be needed: a machine bounds what it expires in one.
func (m *machine) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.armed = 0
	if at, any := m.state.NextDeadline(); any && at <= m.now() {
		m.apply()
		return
	}
	m.arm()
}
