//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package cluster

import "os"

// lockDir only opens the file: on this system the lock that the log store
// takes on its own file has to do.
func lockDir(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
