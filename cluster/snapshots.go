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
	sink := privateSink{label: snapshotLabel(version, index, term, configuration, configurationIndex)}
	err := patiently(descriptorPatience, func() (err error) {
		sink.SnapshotSink, err = p.FileSnapshotStore.Create(version, index, term, configuration, configurationIndex, trans)
		if err != nil {
			return errors.Join(err, p.discard(snapshotName{term: term, index: index}))
		}
		sink.dir = filepath.Join(p.path, sink.ID()+temporaryFile)
		sink.content, err = os.OpenFile(filepath.Join(sink.dir, contentFile), os.O_WRONLY, 0)
		if err == nil {
			err = makePrivate(sink.dir)
		}
		if err != nil {
			return errors.Join(err, sink.Cancel())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sink, nil
}

// discard removes what is left of a snapshot that could not be begun. Of an index and
// a term there is no other that is being made.
func (p privateSnapshots) discard(n snapshotName) error {
	left, err := filepath.Glob(filepath.Join(p.path, fmt.Sprintf("%d-%d-*%s", n.term, n.index, temporaryFile)))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// makePrivate keeps others from what is in dir, and makes its names durable before
// its own is published: the library flushes the files, and what it is in.
func makePrivate(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Chmod(filepath.Join(dir, file.Name()), 0o600); err != nil {
			return err
		}
	}
	return raftlog.SyncDir(dir)
}

// Open reads all of a snapshot, and refuses one that is damaged. raft's goroutines
// then have no state to go on from, or none to send to who needs one, so that such a
// node stops. One that is gone was removed for newer ones since it was listed, which
// is no damage: raft lists them again.
func (p privateSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	var meta *raft.SnapshotMeta
	var content io.ReadCloser
	err := patiently(descriptorPatience, func() (err error) {
		meta, content, err = p.FileSnapshotStore.Open(id)
		return err
	})
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

// A privateSink leaves nothing behind when it fails: where the disk is full, what the
// library leaves would keep it full.
type privateSink struct {
	raft.SnapshotSink
	label []byte
	dir   string
	// content is the library's file once more. It leaves its own open when it cannot
	// write it, and what is removed and open has its room still.
	content *os.File
}

func (p privateSink) writeLabel() error {
	_, err := p.Write(p.label)
	return err
}

// Close publishes the snapshot.
func (p privateSink) Close() error {
	if err := p.SnapshotSink.Close(); err != nil {
		return errors.Join(err, p.remove())
	}
	_ = p.content.Close() // nothing was written by it; the library calls this twice
	return nil
}

// Cancel ends a snapshot that is not to be.
func (p privateSink) Cancel() error { return errors.Join(p.SnapshotSink.Cancel(), p.remove()) }

func (p privateSink) remove() error {
	if _, err := os.Lstat(strings.TrimSuffix(p.dir, temporaryFile)); err != nil { // it was not published
		_ = p.content.Truncate(0)
	}
	_ = p.content.Close()
	return os.RemoveAll(p.dir)
}
