package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lockd-io/lockd/cluster/raftlog"
)

// makePrivateDir makes dir, for its owner only, in a way that survives a power
// cut: a directory that vanished after it promised would promise again.
func makePrivateDir(dir string) error {
	dir = filepath.Clean(dir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(dir)
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
			if err := makePrivateDir(parent); err != nil {
				return err
			}
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := raftlog.SyncDir(parent); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o700)
}

// fitDir refuses a dir that a node may not have to itself, before anything in it or
// about it is changed: were it /tmp, all others would be shut out of it. A node may
// have what is not there yet, an empty directory, or one with its identity.
func fitDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cluster: data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("cluster: data directory %s is no directory: %s", dir, anotherDir)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cluster: data directory: %w", err)
	}
	part, other := "", ""
	for _, entry := range list {
		switch name := entry.Name(); name {
		case identityFile:
			_, err := readIdentity(dir)
			return err
		case storeFile, logDir, snapshotDir:
			part = name
		case "lost+found":
		case lockFile, identityFile + temporaryFile: // of a node that died before it had an identity
			if !entry.Type().IsRegular() {
				other = name
			}
		default:
			other = name
		}
	}
	switch {
	case part == storeFile || part != "" && other == "":
		return fmt.Errorf("cluster: data directory %s has %s but no %s: part of it was lost; "+
			"put that back as it was when the node stopped, or "+staysOut, dir, part, identityFile)
	case other != "":
		return fmt.Errorf("cluster: data directory %s is not a node's, and not empty: it has %q, for one; %s", dir, other, anotherDir)
	}
	return nil
}

const anotherDir = "give the node a directory of its own, which is made if it is not there (nothing was changed)"

// writeDurably replaces path by data: after a crash at any point there is the
// old content or the new one, and after it returns nil there is the new one.
func writeDurably(path string, data []byte, step func(name string) error) error {
	at := func(name string) error {
		if step == nil {
			return nil
		}
		return step(name)
	}
	if err := at("create"); err != nil {
		return err
	}
	var file *os.File
	err := patiently(descriptorPatience, func() (err error) {
		file, err = os.OpenFile(path+temporaryFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	defer file.Close()
	if err := at("write"); err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := at("sync"); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := at("rename"); err != nil {
		return err
	}
	if err := os.Rename(path+temporaryFile, path); err != nil {
		return err
	}
	if err := at("sync directory"); err != nil {
		return err
	}
	return patiently(descriptorPatience, func() error { return raftlog.SyncDir(filepath.Dir(path)) })
}
