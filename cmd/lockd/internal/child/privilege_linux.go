package child

import (
	"os"

	"golang.org/x/sys/unix"
)

// Privileged tells what makes an executable run as somebody else than the
// ordinary user who starts it, or nothing. The kernel then forgets that it is to
// die with its runner, and may not let this user kill it.
func Privileged(path string) string {
	info, err := os.Stat(path)
	if err != nil || os.Geteuid() == 0 || honest(path) {
		return ""
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return ""
	}
	if info.Mode()&os.ModeSetuid != 0 && int(stat.Uid) != os.Geteuid() {
		return "set-uid"
	}
	if info.Mode()&os.ModeSetgid != 0 && info.Mode()&0o010 != 0 && int(stat.Gid) != os.Getegid() {
		return "set-gid"
	}
	if n, err := unix.Getxattr(path, "security.capability", nil); err == nil && n > 0 {
		return "given capabilities"
	}
	return ""
}

// honest tells of an executable that the kernel gives nothing, whatever its mode.
func honest(path string) bool {
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_NOSUID != 0 {
		return true
	}
	none, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && none == 1
}
