package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/lockd-io/lockd/lockapi"
)

// A report is what a worker sends: nothing but that it is ready, and then what it
// has measured, or instead of either why it cannot.
type report struct {
	Measurement *Measurement `json:",omitempty"`
	Error       string       `json:",omitempty"`
}

// Work is the part of a bench in this process. It reads a Plan, opens a Bench and
// says so, reads the time to start at, runs, and writes what it measured. The end
// of in is the end of the run. So a worker does not outlive who started it, and is
// told in one way to stop.
//
// The error was told to whom out leads to. A goroutine reads in until it ends.
func Work(ctx context.Context, in io.Reader, out io.Writer, dial func() (lockapi.Backend, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	encode, decode := json.NewEncoder(out), json.NewDecoder(in)
	m, err := work(ctx, cancel, encode, decode, dial)
	if err != nil {
		return errors.Join(err, encode.Encode(report{Error: err.Error()}))
	}
	return encode.Encode(report{Measurement: m})
}

func work(ctx context.Context, cancel func(), out *json.Encoder, in *json.Decoder, dial func() (lockapi.Backend, error)) (*Measurement, error) {
	var p Plan
	if err := in.Decode(&p); err != nil {
		return nil, err
	}
	starts := make(chan time.Time, 1)
	go func() {
		defer cancel()
		for {
			var start time.Time
			if in.Decode(&start) != nil {
				return
			}
			select {
			case starts <- start:
			default: // there is one start
			}
		}
	}()
	b, err := Open(ctx, p, dial)
	if err != nil {
		return nil, err
	}
	if err := out.Encode(report{}); err != nil {
		return nil, errors.Join(err, b.Close(ctx))
	}
	var start time.Time
	select {
	case start = <-starts:
	case <-ctx.Done():
	}
	m := b.Run(ctx, start)
	farewell, done := context.WithTimeout(context.WithoutCancel(ctx), CloseTimeout)
	defer done()
	return &m, b.Close(farewell)
}
