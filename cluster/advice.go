package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// damaged is what an operator can do about data that does not read as it was
// written.
const damaged = "keep a copy of the directory for a report: this node cannot go on from it; what it acknowledged is on the other nodes"

// advised adds to an error of the system what an operator can do about it. What it
// does not know it leaves as it is.
func advised(err error) error {
	advice := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		advice = "the disk is full: make room and start the node again; nothing that was acknowledged is lost"
	case errors.Is(err, syscall.EROFS):
		advice = "it is mounted read-only: mount it for writing (a disk that failed is mounted so by itself: look at the kernel's log), or give the node another directory"
	case errors.Is(err, fs.ErrPermission):
		advice = "the user that runs the node must own its data directory and what is in it"
	case errors.Is(err, syscall.EIO):
		advice = "the disk is failing: replace it, and let the node join again with an empty directory as a new one"
	default:
		return err
	}
	return fmt.Errorf("%w (%s)", err, advice)
}
