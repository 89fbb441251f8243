package web

import "time"

// Every bound of what a client can make this server hold, and why.
const (
	// headerSizeMax: a name of 512 bytes, percent-encoded three times its size,
	// with a browser's headers.
	headerSizeMax = 16 << 10
	// headerTimeout is for the request, which has no body.
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
	// pageDefault and pageMax are lockapi.Query's.
	pageDefault = 100
	pageMax     = 1000
)
