//go:build linux

package rig

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// What the rig adds to a node's log: a mark of its own and the time.
const (
	markPrefix = "--- "
	lifeMark   = "life"  // a process is started
	readyMark  = "ready" // it says that it has caught up with a leader
	overMark   = "over"  // it has ended, however it did
)

func writeMark(log io.Writer, mark string) {
	fmt.Fprintf(log, "%s%s %s\n", markPrefix, mark, time.Now().Format(time.RFC3339Nano))
}

// A listener passes on what a node says on its standard output, and marks when it
// is ready: `lockd serve` says so in one line, which has no time.
type listener struct{ log io.Writer }

func (l listener) Write(line []byte) (int, error) {
	if strings.HasPrefix(string(line), "ready ") {
		writeMark(l.log, readyMark)
	}
	return l.log.Write(line)
}
