package child

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What the kernel takes at execve (fs/exec.c): strings of 32 pages, and all of them,
// with a pointer each, in a quarter of the stack, at least 128 KiB and at most 6 MiB.
const (
	stringPages = 32
	allMin      = 128 << 10
	allMax      = 6 << 20
	pointerSize = 8
	// interpreted is room for what a script's first line adds.
	interpreted = 4 << 10
)

// TooLarge says why the system would not run a command with these arguments and
// this environment, or nil: better before a lock is held than then.
func TooLarge(path string, args, environment []string) error {
	all := 2*len(path) + interpreted
	for _, strings := range [][]string{args, environment} {
		for _, s := range strings {
			if most := stringPages*os.Getpagesize() - 1; len(s) > most {
				return fmt.Errorf("%s: %.20q... has %d bytes, at most %d can be handed to a command: %w", path, s, len(s), most, unix.E2BIG)
			}
			all += len(s) + 1 + pointerSize
		}
	}
	most := allMax
	var stack unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_STACK, &stack) == nil && stack.Cur/4 < uint64(most) {
		most = max(allMin, int(stack.Cur/4))
	}
	if all > most {
		return fmt.Errorf("%s: its arguments and environment have %d bytes, at most %d can be handed to a command: %w", path, all, most, unix.E2BIG)
	}
	return nil
}
