package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/lockd-io/lockd/cluster/raftlog"
)

// openBolt opens the file of term and vote. It is published whole, with
// the instance of its directory in it, so that one that is not there or bears
// another's number was never this directory's.
func openBolt(dir string, me saved) (*raftboltdb.BoltStore, error) {
	path := filepath.Join(dir, storeFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if me.bound() {
			return nil, errMissing(storeFile)
		}
		if err := createBolt(path, me); err != nil {
			return nil, err
		}
	}
	if err := checkBolt(path); err != nil {
		return nil, fmt.Errorf("%s: %w%s", storeFile, err, ifDamaged(err))
	}
	store, err := newBolt(path)
	if err != nil {
		return nil, err
	}
	mark, err := store.Get([]byte(keyInstance))
	if err == nil && string(mark) != me.Instance.String() {
		err = fmt.Errorf("%s is another directory's (of instance %s, not %s)", storeFile, mark, me.Instance)
	}
	if err != nil {
		store.Close()
		return nil, err
	}
	return store, nil
}

func createBolt(path string, me saved) error {
	temporary := path + temporaryFile
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	store, err := newBolt(temporary)
	if err != nil {
		return err
	}
	if err := store.Set([]byte(keyInstance), []byte(me.Instance.String())); err != nil {
		store.Close()
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return raftlog.SyncDir(filepath.Dir(path))
}

// checkBolt visits every page that holds a key. The library does so too when it
// opens the file for writing, but asserts what it finds on a goroutine of its
// own, where nobody can recover the panic: here the caller can.
func checkBolt(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: boltLockWait})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(_, _ []byte) error { return nil })
		})
	})
}

// ifDamaged is advice about a file that is no database, or not a whole one.
func ifDamaged(err error) string {
	for _, broken := range []error{bbolterrors.ErrInvalid, bbolterrors.ErrVersionMismatch, bbolterrors.ErrChecksum} {
		if errors.Is(err, broken) {
			return " (" + damaged + ")"
		}
	}
	return ""
}

func newBolt(path string) (*raftboltdb.BoltStore, error) {
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:                    path,
		MsgpackUseNewTimeFormat: true,
		BoltOptions: &bbolt.Options{
			Timeout: boltLockWait,
			// A free list that is written with each commit costs more than the
			// commit once a compaction has freed many pages.
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", storeFile, err)
	}
	return store, nil
}
