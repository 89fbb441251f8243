package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// A client of the chaos: it sends each command until it has a definite answer,
// and then asks again elsewhere, which must change nothing.
type survivor struct {
	*patron
	renewals fsm.Seq
	random   *rand.Rand
	errs     []error
}

func (s *survivor) complain(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}

// somebody is a node that lives, or did a moment ago.
func (s *survivor) somebody() *citizen {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	c := s.w.nodes[string(rune('a'+s.random.IntN(len(s.w.nodes))))]
	return &citizen{Node: c.Node, id: c.id}
}

// once submits c and waits; false means that the outcome is not known. Now and
// then it doubts the node at once, and sends c through another as well.
func (s *survivor) once(c fsm.Command) (fsm.Result, bool) {
	at := s.somebody()
	if at.Node == nil {
		time.Sleep(time.Millisecond)
		return fsm.Result{}, false
	}
	a := s.w.submit(at, c)
	if doubt := s.somebody(); s.random.IntN(3) == 0 && doubt.Node != nil {
		s.w.submit(doubt, c)
	}
	for deadline := time.Now().Add(patience); len(a.answers()) == 0; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			s.complain("no answer from %s to %+v", at.id, c)
			return fsm.Result{}, false
		}
	}
	s.w.t.Cleanup(func() {
		if n := len(a.answers()); n != 1 {
			s.w.t.Errorf("%d answers to one Submit", n)
		}
	})
	got := a.answers()[0]
	switch {
	case got.err == nil:
		return got.result, true
	case !errors.Is(got.err, lockapi.ErrUnknown) && !errors.Is(got.err, lockapi.ErrUnavailable):
		s.complain("%s: %w", at.id, got.err)
	}
	return fsm.Result{}, false
}

func (s *survivor) insist(c fsm.Command) fsm.Result {
	var first fsm.Result
	for known := false; !known && len(s.errs) == 0; {
		first, known = s.once(c)
	}
	if again, known := s.once(c); known && again != first && !changes(&c, first, again) {
		s.complain("%+v was answered %+v, and then %+v", c, first, again)
	}
	return first
}

// A grantLog checks that tokens of a name rise in the order of the log.
type grantLog struct {
	mu     sync.Mutex
	tokens map[string]map[fsm.Index]fsm.Token
}

func (l *grantLog) add(name string, r fsm.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tokens[name] == nil {
		l.tokens[name] = make(map[fsm.Index]fsm.Token)
	}
	l.tokens[name][r.Index] = r.Token
}

func (s *survivor) live(operations int, log *grantLog) {
	for range operations {
		name := fmt.Sprintf("n%d", s.random.IntN(3))
		s.renewals++
		if r := s.insist(*renewal(s.id, s.renewals)); r.Status != fsm.StatusOK {
			s.complain("renewal: %+v", r)
		}
		wait := fsm.Duration(0)
		if s.random.IntN(3) == 0 {
			wait = fsm.Forever
		}
		acquire := s.acquire(name, wait)
		got := s.insist(acquire)
		switch got.Status {
		case fsm.StatusBusy:
		case fsm.StatusQueued:
			abandon := s.next(fsm.Command{Op: fsm.OpAbandon, Target: acquire.Seq})
			if r := s.insist(abandon); r.Status != fsm.StatusOK && r.Status != fsm.StatusAbandoned {
				s.complain("abandon: %+v", r)
			}
		case fsm.StatusOK:
			log.add(name, got)
			if r := s.insist(s.release(got.Grant)); r.Status != fsm.StatusOK && len(s.errs) == 0 {
				s.complain("release of %+v: %+v", got, r)
			}
		default:
			s.complain("acquire: %+v", got)
		}
		if len(s.errs) > 0 {
			return
		}
	}
}

// Every Submit is answered once, every command takes effect once, and all nodes
// say the same, whatever befalls nodes and connections.
func TestChaos(t *testing.T) {
	w := newWorld(t, 3, func(c *Config) { c.TrailingLogs = 8; c.SnapshotBytes = 16 << 10 })
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	log := &grantLog{tokens: make(map[string]map[fsm.Index]fsm.Token)}
	var (
		clients sync.WaitGroup
		all     []*survivor
	)
	for i := range 6 {
		s := &survivor{patron: w.open(w.leader(), 5*time.Minute), random: rand.New(rand.NewPCG(seed, uint64(i)))}
		all = append(all, s)
		clients.Go(func() { s.live(80, log) })
	}
	random := rand.New(rand.NewPCG(seed, 99))
	for range 12 {
		w.trouble(random)
	}
	clients.Wait()
	for _, s := range all {
		for _, err := range s.errs {
			t.Errorf("session %d: %v", s.id, err)
		}
	}
	w.agree()
	for name, tokens := range log.tokens {
		for i, a := range tokens {
			for j, b := range tokens {
				if i < j && a >= b {
					t.Errorf("%s: token %d at entry %d, then %d at %d", name, a, i, b, j)
				}
			}
		}
	}
}

// trouble does one bad thing and waits until the world works again.
func (w *world) trouble(random *rand.Rand) {
	w.t.Helper()
	victim := w.leader()
	if random.IntN(3) == 0 {
		victim = w.all()[random.IntN(3)]
	}
	switch random.IntN(4) {
	case 0:
		w.kill(victim)
		w.leader()
		w.restart(victim)
	case 1:
		w.part(victim)
		w.until("a leader among the others", func() bool {
			for _, c := range w.all() {
				if c.leadership.current().reign != nil && c.id != victim.id && c.Ready() == nil {
					return true
				}
			}
			return false
		})
		w.part()
	case 2:
		for _, c := range w.all() {
			c.gate.breakAll()
		}
	default:
		ctx, cancel := w.context()
		_ = victim.Transfer(ctx) // it may fail: then nothing happened
		cancel()
	}
	for _, c := range w.all() {
		w.ready(c)
	}
}

// agree waits until all nodes have applied the same, and compares what.
func (w *world) agree() {
	w.t.Helper()
	w.until("all nodes to be level", func() bool {
		var first facts
		for i, c := range w.all() {
			f := c.machine.known()
			if i == 0 {
				first = f
			} else if f.applied != first.applied {
				return false
			}
			if f.applied == first.applied && f.chain != first.chain {
				w.t.Fatalf("at entry %d %s has %x, another node %x", f.applied, c.id, f.chain.Hash, first.chain.Hash)
			}
		}
		return true
	})
	for _, c := range w.all() {
		if err := c.Err(); err != nil {
			w.t.Errorf("node %s: %v", c.id, err)
		}
	}
}

// changes tells whether a command may be answered so twice: a renewal is new
// each time, and the answer that an acquire waits is followed by its end. (An
// entry that is late at one node may say so after the end was told by another.)
func changes(c *fsm.Command, first, again fsm.Result) bool {
	return c.Op == fsm.OpRenew || first.Status == fsm.StatusQueued || again.Status == fsm.StatusQueued
}
