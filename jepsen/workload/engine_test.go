package workload

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lockd-io/lockd/jepsen/history"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/mem"
)

// engine is one application, which tells of what it believes.
func engine(t *testing.T, r Guarded) (e *Engine, told *[]history.Belief) {
	machine := mem.New()
	t.Cleanup(func() { machine.Close() })
	told = new([]history.Belief)
	return &Engine{
		Seed: 1, Clients: 1, First: 7, Time: time.Minute, TTL: time.Minute, Name: "resource", Resource: r, Clock: history.MachineClock,
		Open: func(int) (lockapi.Backend, error) { return machine.Another(), nil },
		Tell: func(b history.Belief) error { *told = append(*told, b); return nil },
	}, told
}

// An application that is sure of the lock while the resource has seen a greater
// token is wrong, and the engine says so at once.
func TestEngineWhoIsOvertaken(t *testing.T) {
	r := new(Resource)
	if _, err := r.Read(Look{Client: 1, Token: math.MaxUint64}); err != nil {
		t.Fatal(err)
	}
	e, told := engine(t, r)
	e.Time = time.Second // it ends at once if all is well
	beliefs, err := e.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "client 7 is sure of the lock") || len(beliefs) != 1 || len(*told) != 1 {
		t.Fatalf("%d beliefs, told %d times, %v", len(beliefs), len(*told), err)
	}
}

// What is told of a belief while it grows is in the end what Run returns.
func TestEngineTells(t *testing.T) {
	e, told := engine(t, new(Resource))
	e.Time = 100 * time.Millisecond
	beliefs, err := e.Run(context.Background())
	if err != nil || len(beliefs) == 0 {
		t.Fatal(len(beliefs), err)
	}
	last := map[uint64]history.Belief{}
	for _, b := range *told {
		last[b.Token] = b
	}
	for _, b := range beliefs {
		if last[b.Token] != b || b.From == 0 || b.To < b.From || b.Client != 7 {
			t.Errorf("%v was told as %v", b, last[b.Token])
		}
	}
	if len(last) != len(beliefs) {
		t.Errorf("%d beliefs, %d were told", len(beliefs), len(last))
	}
}
