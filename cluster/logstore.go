package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/cluster/raftlog"
)

// openLog opens raft's log, which bears the instance of its directory.
func openLog(dir string, me saved) (*raftlog.Log, error) {
	path, mark := filepath.Join(dir, logDir), me.Instance.mark()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if me.bound() {
			return nil, errMissing(logDir)
		}
		if err := raftlog.Create(path, mark); err != nil {
			return nil, fmt.Errorf("%s: %w", logDir, err)
		}
	}
	log, err := raftlog.Open(path, mark)
	if err != nil {
		advice := ""
		if errors.Is(err, raftlog.ErrDamaged) {
			advice = " (" + damaged + ")"
		}
		return nil, fmt.Errorf("%s: %w%s", logDir, err, advice)
	}
	return log, nil
}

// errMissing is about a part of a data directory that others may rely on.
func errMissing(part string) error {
	return fmt.Errorf("%s is missing, though this node may have acknowledged what was in it (a partly wiped disk): "+
		"put it back as it was when the node stopped, or "+staysOut, part)
}

// mark is the instance as the log has it.
func (i instance) mark() (mark raftlog.Mark) {
	binary.BigEndian.PutUint64(mark[:], i.Hi)
	binary.BigEndian.PutUint64(mark[8:], i.Lo)
	return mark
}

// fitLog makes the log go on where the newest snapshot ends, or after it begins.
// raft installs a snapshot first and empties the log then; after a crash in
// between the log may be of another history, and if this node came to lead, it
// would send that to others. It refuses a log with a gap after the snapshot,
// where raft panics; and a snapshot that does not read and has no log to stand
// in for it, in place of which raft would take the one before.
func fitLog(log raft.LogStore, snaps raft.SnapshotStore) error {
	list, err := snaps.List()
	if err != nil {
		return err
	}
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return refuseGap(first, 0)
	}
	snapshot := list[0]
	if first > 0 && first <= snapshot.Index && snapshot.Index <= last {
		var entry raft.Log
		if err := log.GetLog(snapshot.Index, &entry); err != nil {
			return err
		}
		if entry.Term == snapshot.Term {
			if first <= fallback(list)+1 {
				return nil // raft reads the snapshot, or goes on without it
			}
			return checkSnapshot(snaps, snapshot.ID)
		}
	}
	if err := refuseGap(first, snapshot.Index); err != nil {
		return err
	}
	if err := checkSnapshot(snaps, snapshot.ID); err != nil {
		return err
	}
	if first > snapshot.Index || last == 0 {
		return nil
	}
	return log.DeleteRange(first, last)
}

// fallback is where the log must go on if the newest snapshot does not read: at the
// end of the one before, or from the beginning.
func fallback(list []*raft.SnapshotMeta) uint64 {
	if len(list) > 1 {
		return list[1].Index
	}
	return 0
}

// refuseGap refuses a log whose first entry does not follow a snapshot's last.
func refuseGap(first, snapshot uint64) error {
	if first <= snapshot+1 {
		return nil
	}
	return fmt.Errorf("the log begins with entry %d and the newest snapshot ends with %d: a snapshot or a part of the log is missing (%s)",
		first, snapshot, damaged)
}

// checkSnapshot reads a snapshot and compares its checksum.
func checkSnapshot(snaps raft.SnapshotStore, id string) error {
	_, content, err := snaps.Open(id)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w (%s)", id, err, damaged)
	}
	return content.Close()
}
