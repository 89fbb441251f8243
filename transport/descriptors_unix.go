//go:build unix

package transport

import (
	"math"

	"golang.org/x/sys/unix"
)

// descriptorLimit is how many descriptors this process may have open, if that is
// known. It may be changed while the process runs.
func descriptorLimit() (limit int, limited bool) {
	var of unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &of) != nil || uint64(of.Cur) > math.MaxInt32 {
		return 0, false
	}
	return int(of.Cur), true
}
