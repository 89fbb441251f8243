package cluster

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/lockd-io/lockd/cluster/raftlog"
)

// Bounds of the storage.
const (
	// logCacheEntries is what a follower that is a little behind is served from
	// memory: half a second of full entries.
	logCacheEntries = 512
	// snapshotsKept: the newest, and one to fall back on if it is damaged.
	snapshotsKept = 2
	// storePatience is how many election timeouts a write may take before the
	// disk counts as hanging, but never less than storePatienceMin: a busy
	// disk is not a broken one, however short the timeouts.
	storePatience    = 3
	storePatienceMin = time.Second
	// boltLockWait: the directory is locked already, so that a store that is in
	// use is somebody else's doing and does not get better by waiting.
	boltLockWait = time.Second
)

// Keys of the stable store. All but the last are raft's own.
const (
	keyTerm     = "CurrentTerm"
	keyVoteTerm = "LastVoteTerm"
	keyVoteFor  = "LastVoteCand"
	keyInstance = "lockd.instance"
)

// storage is what raft keeps on disk: the log, the term and the vote, and
// snapshots. What it has acknowledged survives a power cut. It stops for good at
// the first write that fails or hangs.
type storage struct {
	logs   raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore

	guard   *guard
	bolt    *raftboltdb.BoltStore
	log     *raftlog.Log
	running atomic.Bool // raft's own goroutines use it
}

// openStorage opens the storage in dir, which is locked by openIdentity. It
// refuses one that is not the identity's, or has lost a part of itself: a node
// that forgot what it acknowledged would take it back from the others.
//
// fail is called once, from any goroutine, when the storage can no longer be
// relied upon; everything that is asked of it from then on is an error.
func openStorage(dir string, cfg *Config, fail func(error)) (*storage, error) {
	me, err := readIdentity(dir)
	if err != nil {
		return nil, err
	}
	s := &storage{guard: &guard{patience: max(storePatienceMin, storePatience*cfg.HeartbeatTimeout), fail: fail}}
	logger := newHCLogger(cfg.Logger)
	err = s.guard.recovered("open", func() error {
		if s.log, err = openLog(dir, me); err != nil {
			return err
		}
		if s.bolt, err = openBolt(dir, me); err != nil {
			return err
		}
		if s.snaps, err = openSnapshots(dir, me, logger, s.guard, &s.running); err != nil {
			return err
		}
		if err := finishBootstrap(me, s.bolt, s.log, s.snaps); err != nil {
			return err
		}
		return fitLog(s.log, s.snaps)
	})
	if err == nil {
		s.stable = guardedStable{s.bolt, s.guard, &s.running}
		s.logs, err = raft.NewLogCache(logCacheEntries, guardedLogs{s.log, s.guard})
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("cluster: data directory %s: %w", dir, err)
	}
	return s, nil
}

// startRaft is raft.NewRaft on this storage, without its panics: it asserts
// what it reads, and what it reads is a disk. It takes no other transport than
// ours, because the library's own lets heartbeats pass the main loop by.
func (s *storage) startRaft(conf *raft.Config, machine raft.FSM, trans *raftTransport) (r *raft.Raft, err error) {
	err = s.guard.recovered("start", func() (err error) {
		r, err = raft.NewRaft(conf, machine, s.logs, s.stable, s.snaps, trans)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: raft: %w", err)
	}
	s.running.Store(true)
	return r, nil
}

// Close closes the files, unless a write hangs in one of them: then it would
// hang too, and the process is about to end anyway.
func (s *storage) Close() error {
	if s.guard.hangs() {
		return fmt.Errorf("%w: left open, since a write hangs", ErrStorage)
	}
	return s.guard.recovered("close", func() (err error) {
		if s.log != nil {
			err = s.log.Close()
		}
		if s.bolt != nil {
			err = errors.Join(err, s.bolt.Close())
		}
		return err
	})
}

// finishBootstrap makes the store of a founder that died inside its bootstrap
// empty again: the term is written first, then the entry, and the library
// refuses to begin again in between. Nobody voted in that term: whoever could
// have asked was not a member yet.
func finishBootstrap(me saved, store raft.StableStore, log raft.LogStore, snaps raft.SnapshotStore) error {
	if len(me.Owed) == 0 {
		return nil
	}
	last, err := log.LastIndex()
	if err != nil || last > 0 {
		return err
	}
	if list, err := snaps.List(); err != nil || len(list) > 0 {
		return err
	}
	return store.SetUint64([]byte(keyTerm), 0)
}
