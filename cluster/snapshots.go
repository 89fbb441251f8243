package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/lockd-io/lockd/cluster/raftlog"
)

// openSnapshots opens the snapshots and removes what crashes left half done,
// which the library never does.
func openSnapshots(dir string, me saved, logger *hcLogger, g *guard, running *atomic.Bool) (raft.SnapshotStore, error) {
	path := filepath.Join(dir, snapshotDir)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && me.bound() {
		return nil, errMissing(snapshotDir)
	}
	if err := makePrivateDir(path); err != nil {
		return nil, err
	}
	list, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, entry := range list {
		if strings.HasSuffix(entry.Name(), temporaryFile) {
			logger.to.Info("removing an unfinished snapshot", slog.String("name", entry.Name()))
			if err := os.RemoveAll(filepath.Join(path, entry.Name())); err != nil {
				return nil, err
			}
		}
	}
	store, err := raft.NewFileSnapshotStoreWithLogger(dir, snapshotsKept, logger)
	if err != nil {
		return nil, err
	}
	if err := checkNewest(store, path); err != nil {
		return nil, err
	}
	// What the node builds upon from now on may be in the system's memory only.
	return privateSnapshots{store, path, g, running}, raftlog.SyncDir(path)
}

// checkNewest refuses a newest snapshot that the library does not list as such: its
// meta.json does not read. It would be passed over in silence, and the one before
// has less than was acknowledged. (One that was being removed is never the newest.)
func checkNewest(store raft.SnapshotStore, path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	var newest snapshotName
	for _, entry := range entries {
		if name, ok := parseSnapshotName(entry.Name()); ok && newest.before(name) {
			newest = name
		}
	}
	list, err := store.List()
	if err != nil {
		return err
	}
	if newest.id != "" && (len(list) == 0 || list[0].ID != newest.id) {
		return fmt.Errorf("snapshot %s: its meta.json does not read (%s)", newest.id, damaged)
	}
	return nil
}

// A snapshotName is what the library calls a snapshot: term-index-milliseconds.
type snapshotName struct {
	term, index uint64
	id          string
}

func parseSnapshotName(id string) (snapshotName, bool) {
	n, milliseconds := snapshotName{id: id}, uint64(0)
	_, err := fmt.Sscanf(id, "%d-%d-%d", &n.term, &n.index, &milliseconds)
	return n, err == nil && id == fmt.Sprintf("%d-%d-%d", n.term, n.index, milliseconds)
}

// before is the library's order.
func (n snapshotName) before(m snapshotName) bool {
	return cmp.Or(cmp.Compare(n.term, m.term), cmp.Compare(n.index, m.index), cmp.Compare(n.id, m.id)) < 0
}

// privateSnapshots are snapshots that only their owner can read. All of one is on
// the disk before its name is, and its name before the log is cut behind it.
type privateSnapshots struct {
	*raft.FileSnapshotStore
	path    string
	guard   *guard
	running *atomic.Bool
}

func (p privateSnapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, trans raft.Transport) (raft.SnapshotSink, error) {
	sink, err := p.FileSnapshotStore.Create(version, index, term, configuration, configurationIndex, trans)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(p.path, sink.ID()+temporaryFile)
	files, err := os.ReadDir(dir)
	if err == nil {
		err = os.Chmod(dir, 0o700)
	}
	for _, file := range files {
		if err == nil {
			err = os.Chmod(filepath.Join(dir, file.Name()), 0o600)
		}
	}
	if err == nil {
		err = raftlog.SyncDir(dir) // before it is published: the library flushes the files and what it is in
	}
	if err != nil {
		sink.Cancel()
		return nil, err
	}
	return privateSink{sink, snapshotLabel(version, index, term, configuration, configurationIndex)}, nil
}

// Open reads all of a snapshot, and refuses one that is damaged. raft's goroutines
// then have no state to go on from, or none to send to who needs one, so that such a
// node stops. One that is gone was removed for newer ones since it was listed, which
// is no damage: raft lists them again.
func (p privateSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, content, err := p.FileSnapshotStore.Open(id)
	if err == nil {
		var whole io.ReadCloser
		if whole, err = checkLabel(meta, content, filepath.Join(p.path, id)); err == nil {
			return meta, whole, nil
		}
		err = errors.Join(err, content.Close())
	}
	if p.running.Load() && !errors.Is(err, fs.ErrNotExist) {
		err = p.guard.latch(fmt.Errorf("read snapshot %s: %w (%s)", id, err, damaged))
	}
	return nil, nil, err
}

type privateSink struct {
	raft.SnapshotSink
	label []byte
}

func (p privateSink) writeLabel() error {
	_, err := p.Write(p.label)
	return err
}
