package bench

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lockd-io/lockd/fsm"
)

const (
	// clientsMax: as many goroutines as one bench is for, with room on a usual
	// machine for the few kilobytes that each takes.
	clientsMax = 1 << 16
	// clientsPerStream: a session has 1,024 commands under way at most, and some
	// of these are kept free for releases; well below, and nobody waits for room.
	clientsPerStream = 512
	// processesMax: more are more than there are processors to run them.
	processesMax = 64
	// durationMax: a timeline of a day takes 11 MB.
	durationMax = 24 * time.Hour
	// indexSizeMax is what the client's number adds to a prefix.
	indexSizeMax = 8
)

// A Plan is what to measure.
type Plan struct {
	Clients   int           // goroutines
	Streams   int           // lockapi.Clients that they share; 0 is one for every 512
	Contended bool          // all want one name; otherwise each has its own
	Warmup    time.Duration // before anything counts
	Duration  time.Duration // what counts
	Prefix    string        // of the names

	// First is the number of the first client, for a name of its own among
	// those of other processes.
	First int
}

// Check tells all that is wrong with a plan.
func (p *Plan) Check() error {
	var wrong []error
	if p.Clients < 1 || p.Clients > clientsMax {
		wrong = append(wrong, fmt.Errorf("%d clients: 1 to %d", p.Clients, clientsMax))
	}
	if p.Streams < 0 {
		wrong = append(wrong, fmt.Errorf("%d streams: none is negative", p.Streams))
	}
	if p.Warmup < 0 || p.Warmup > durationMax {
		wrong = append(wrong, fmt.Errorf("a warm-up of %v: 0 to %v", p.Warmup, durationMax))
	}
	if p.Duration < time.Millisecond || p.Duration > durationMax {
		wrong = append(wrong, fmt.Errorf("a duration of %v: 1ms to %v", p.Duration, durationMax))
	}
	if len(p.Prefix) > fsm.NameSizeMax-indexSizeMax || !fsm.ValidName(p.Prefix+"0") {
		wrong = append(wrong, fmt.Errorf("prefix %q: at most %d bytes of UTF-8 without NUL", p.Prefix, fsm.NameSizeMax-indexSizeMax))
	}
	return errors.Join(wrong...)
}

// streams is how many there are: no more than clients.
func (p *Plan) streams() int {
	if p.Streams == 0 {
		return (p.Clients + clientsPerStream - 1) / clientsPerStream
	}
	return min(p.Streams, p.Clients)
}

// name is that of a client, from 0.
func (p *Plan) name(client int) string {
	if p.Contended {
		return p.Prefix + "one"
	}
	return p.Prefix + strconv.Itoa(p.First+client)
}

// Split divides clients and streams among processes as evenly as can be; there
// are no more processes than clients, and at least one stream in each.
func (p *Plan) Split(processes int) ([]Plan, error) {
	if processes < 1 || processes > processesMax {
		return nil, fmt.Errorf("%d processes: 1 to %d", processes, processesMax)
	}
	n := min(processes, p.Clients)
	parts := make([]Plan, n)
	first := p.First
	for i := range parts {
		parts[i] = *p
		parts[i].Clients = share(p.Clients, n, i)
		if p.Streams != 0 {
			parts[i].Streams = max(1, share(p.Streams, n, i))
		}
		parts[i].Streams = parts[i].streams()
		parts[i].First = first
		first += parts[i].Clients
	}
	return parts, nil
}

// share is the part of one of n among whom total is divided.
func share(total, n, i int) int { return total*(i+1)/n - total*i/n }
