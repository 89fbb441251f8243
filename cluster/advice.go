package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/lockd-io/lockd/cluster/raftlog"
)

// damaged is what an operator can do about data that does not read as it was
// written.
const damaged = "keep a copy of the directory for a report: this node cannot go on from it; what it acknowledged is on the other nodes"

// staysOut is of a node whose data is gone or of another time. There is no command
// that exchanges a member, so that it cannot join as a new one in its own place.
const staysOut = "it cannot come back under this name as long as members cannot be replaced; the others go on without it"

// An advisedError has its advice: who passes it on adds no second one.
type advisedError struct{ error }

func (a advisedError) Unwrap() error { return a.error }

// advised adds to an error of the system what an operator can do about it. What it
// does not know, and what has advice, it leaves as it is.
func advised(err error) error {
	advice := ""
	var already advisedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		advice = "the disk is full: make room and start the node again; nothing that was acknowledged is lost"
	case errors.Is(err, syscall.EROFS):
		advice = "it is mounted read-only: mount it for writing (a disk that failed is mounted so by itself: look at the kernel's log), or give the node another directory"
	case errors.Is(err, fs.ErrPermission):
		advice = "the user that runs the node must own its data directory and what is in it"
	case raftlog.OutOfDescriptors(err):
		advice = "too many files and connections are open: raise the limit (ulimit -n, or LimitNOFILE= in a unit) and start the node again; the disk is sound"
	case errors.Is(err, syscall.EIO):
		advice = "the disk is failing: copy the directory, whole, to another one; if it cannot be read, " + staysOut
	default:
		return err
	}
	return advisedError{fmt.Errorf("%w (%s)", err, advice)}
}
