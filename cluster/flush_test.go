//go:build unix

package cluster

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A file is replaced only by one that is on the disk: what takes writes and cannot be
// flushed, as /dev/null, is an error, and the old file stays. So is its name: see
// TestIdentityIsDurableWhenRead for what is read.
func TestWriteDurablyFlushes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.json")
	if err := writeDurably(path, []byte("old"), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.DevNull, path+temporaryFile); err != nil {
		t.Fatal(err)
	}
	if err := writeDurably(path, []byte("new"), nil); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("what cannot be flushed: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != "old" {
		t.Errorf("%q, %v", now, err)
	}
	if _, err := os.Lstat(path + temporaryFile); errors.Is(err, fs.ErrNotExist) {
		t.Error("it was renamed")
	}
}

// At first a founder votes alone. Half of the founders are no majority of them.
func TestMajorityOfFounders(t *testing.T) {
	for _, c := range []struct {
		voters, founders int
		want             bool
	}{{1, 1, true}, {1, 2, false}, {2, 2, true}, {1, 3, false}, {2, 3, true}, {2, 4, false}, {3, 4, true}, {2, 5, false}, {3, 5, true}, {1, 0, true}} {
		if majority(c.voters, c.founders) != c.want {
			t.Errorf("%d of %d: %v", c.voters, c.founders, !c.want)
		}
	}
}
