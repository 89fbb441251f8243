package web

import (
	"time"

	"github.com/lockd-io/lockd/fsm"
)

// Every bound of what a client can make this server hold, and why.
const (
	// headerSizeMax: a name of 512 bytes, percent-encoded three times its size,
	// with a browser's headers.
	headerSizeMax = 16 << 10
	// headerTimeout is for all of a request: its body is small and comes with it.
	headerTimeout = 5 * time.Second
	// answerTimeout is for writing an answer: a page of long queues to a slow
	// reader.
	answerTimeout = 30 * time.Second
	// idleTimeout of a connection between two requests.
	idleTimeout = 2 * time.Minute
	// readTimeout is for what the node needs to find an answer. A leader is
	// elected in less.
	readTimeout = 5 * time.Second
	// readsMax requests may be reading at a time; each may hold a page.
	readsMax = 64
	// writesMax requests may be changing something at a time, each with a connection
	// and a goroutine.
	writesMax = 4096
	// waitsMax of them may wait for a lock. The others' places are for those that end
	// waits: were all taken, the release that all wait for would be refused.
	waitsMax = writesMax * 3 / 4
	// bodySizeMax: a body has a few numbers and a label.
	bodySizeMax = 64 << 10
	// waitMax is how long one request may wait for a lock: proxies in between give
	// up earlier. Who wants to wait longer asks again.
	waitMax = 10 * time.Minute
	// changeTimeout is for what the node needs beyond the wait. After it the outcome
	// is not known.
	changeTimeout = 10 * time.Second
	// keySizeMax of an Idempotency-Key: an UUID fits many times.
	keySizeMax = 255
	// lossesMax losses are told by one renewal, as many as the machine repeats.
	lossesMax = fsm.EventsRepeated
	// lossTimeout is how long a renewal waits for losses that it knows of.
	lossTimeout = time.Second
	// pageDefault and pageMax are lockapi.Query's.
	pageDefault = 100
	pageMax     = 1000
)
