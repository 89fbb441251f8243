//go:build unix && !linux

package child

import "os"

// Privileged tells what makes an executable run as somebody else than the
// ordinary user who starts it, or nothing.
func Privileged(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil || os.Geteuid() == 0:
	case info.Mode()&os.ModeSetuid != 0:
		return "set-uid"
	case info.Mode()&os.ModeSetgid != 0:
		return "set-gid"
	}
	return ""
}
