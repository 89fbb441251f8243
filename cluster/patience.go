package cluster

import (
	"time"

	"github.com/lockd-io/lockd/cluster/raftlog"
)

const (
	// descriptorPause is between two tries to open a file.
	descriptorPause = 20 * time.Millisecond
	// descriptorPatience is for files that nobody's write waits for.
	descriptorPatience = 5 * time.Second
)

// patiently runs op, and again while there are no descriptors for it: a crowd that has
// them goes, and a disk is not broken by that. It gives up after patience, and counts
// its naps, and not the time: a process that was stopped has not waited.
func patiently(patience time.Duration, op func() error) error {
	err := op()
	for nap := time.Duration(0); nap < patience && raftlog.OutOfDescriptors(err); nap += descriptorPause {
		time.Sleep(descriptorPause)
		err = op()
	}
	return err
}
