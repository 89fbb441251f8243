package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// startDelay is what it takes to tell a start to all processes before it comes.
const startDelay = 100 * time.Millisecond

// A Worker is a process that does Work: what it reads, and what it writes.
type Worker struct {
	In  io.WriteCloser
	Out io.Reader
}

// A member is a Worker as the fleet talks to it.
type member struct {
	Worker
	encode *json.Encoder
	decode *json.Decoder
}

// Fleet runs one plan in each worker, all from the same instant on, and merges
// what they measured. When ctx ends, or one sees a violation, it ends the run of
// all and gives what was measured so far. Every In is closed when it returns.
func Fleet(ctx context.Context, plans []Plan, workers []Worker) (Measurement, error) {
	members := make([]member, len(workers))
	for i, w := range workers {
		members[i] = member{w, json.NewEncoder(w.In), json.NewDecoder(w.Out)}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		for _, w := range workers {
			_ = w.In.Close() // and whoever writes to it gets an error
		}
	}()
	defer func() {
		cancel()
		<-ended
	}()
	for i := range members {
		if err := members[i].encode.Encode(plans[i]); err != nil {
			return Measurement{}, fmt.Errorf("bench: process %d: %w", i+1, err)
		}
	}
	for i := range members {
		if _, err := members[i].report(); err != nil {
			return Measurement{}, fmt.Errorf("bench: process %d: %w", i+1, err)
		}
	}
	start := time.Now().Add(startDelay).Round(0) // the wall's: it is the same in all processes
	for i := range members {
		_ = members[i].encode.Encode(start) // what went wrong is in the report
	}
	return gather(members, cancel)
}

// gather merges what each measured, as it comes.
func gather(members []member, end func()) (Measurement, error) {
	type result struct {
		i   int
		m   *Measurement
		err error
	}
	results := make(chan result, len(members))
	for i := range members {
		go func() {
			m, err := members[i].report()
			if err == nil && m == nil {
				err = errors.New("it measured nothing")
			}
			results <- result{i, m, err}
		}()
	}
	var all *Measurement
	var failed error
	for range members {
		switch r := <-results; {
		case r.err != nil:
			failed = errors.Join(failed, fmt.Errorf("bench: process %d: %w", r.i+1, r.err))
			end()
		case all == nil:
			all = r.m
		default:
			all.Merge(r.m)
		}
		if all != nil && all.Violation != "" {
			end()
		}
	}
	if failed != nil {
		return Measurement{}, failed
	}
	return *all, nil
}

// report reads the next report.
func (m *member) report() (*Measurement, error) {
	var r report
	switch err := m.decode.Decode(&r); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it ended before its measurement")
	case err != nil:
		return nil, err
	case r.Error != "":
		return nil, errors.New(r.Error)
	}
	return r.Measurement, nil
}
