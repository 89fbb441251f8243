package cluster

import (
	"errors"
	"fmt"
	"io"
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
func openSnapshots(dir string, logger *hcLogger, g *guard, running *atomic.Bool) (raft.SnapshotStore, error) {
	path := filepath.Join(dir, snapshotDir)
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
	return privateSnapshots{store, path, g, running}, nil
}

// privateSnapshots are snapshots that only their owner can read, with their
// directories' names on disk too before the log is cut behind them.
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
	if err != nil {
		sink.Cancel()
		return nil, err
	}
	return privateSink{sink, filepath.Join(p.path, sink.ID()), snapshotLabel(version, index, term, configuration, configurationIndex)}, nil
}

// Open reads all of a snapshot, and refuses one that is damaged. raft's goroutines
// then have no state to go on from, or none to send to who needs one, so that such a
// node stops.
func (p privateSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, content, err := p.FileSnapshotStore.Open(id)
	if err == nil {
		var whole io.ReadCloser
		if whole, err = checkLabel(meta, content, filepath.Join(p.path, id)); err == nil {
			return meta, whole, nil
		}
		err = errors.Join(err, content.Close())
	}
	if p.running.Load() {
		err = p.guard.latch(fmt.Errorf("read snapshot %s: %w (%s)", id, err, damaged))
	}
	return nil, nil, err
}

type privateSink struct {
	raft.SnapshotSink
	path  string
	label []byte
}

func (p privateSink) writeLabel() error {
	_, err := p.Write(p.label)
	return err
}

func (p privateSink) Close() error {
	if err := p.SnapshotSink.Close(); err != nil {
		return err
	}
	return raftlog.SyncDir(p.path)
}
