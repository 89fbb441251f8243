package raftlog

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate makes file size bytes long, with blocks for them where the file
// system can, so that a full disk shows here and not in the middle of an append.
func allocate(file *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(file.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return file.Truncate(size)
		default:
			return err
		}
	}
}

// flush makes what was written durable. The times of the file are not.
func flush(file *os.File) error {
	for {
		if err := unix.Fdatasync(int(file.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
