package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lockd-io/lockd/cluster/raftlog"
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// Files of a data directory.
const (
	identityFile  = "identity.json"
	lockFile      = "lock"
	storeFile     = "raft.db"
	logDir        = "log"
	snapshotDir   = "snapshots"
	temporaryFile = ".tmp" // suffix: a file that is not published yet
)

// identityVersion is raised when an older node could misread the file.
const identityVersion = 2

// A ref names a node and the disk that it was.
type ref struct {
	ID       string   `json:"id"`
	Instance instance `json:"instance"`
}

// A promiser is a node whose promise was used to found the cluster.
type promiser struct {
	ref
	Address string `json:"address"`
}

// saved is what a node must never forget about itself. It is a value; a change
// is a new one, written whole.
type saved struct {
	Version int `json:"version"`
	ref
	Cluster  clusterID `json:"cluster_id"`
	Promised ref       `json:"promised_to"` // zero: nobody
	// Owed are the nodes that this one founds the cluster with, itself first,
	// until all of them are voters. Only the founder has any.
	Owed []promiser `json:"owed,omitempty"`
}

// bound tells whether somebody may already rely on this directory: it then
// must not lose any part of itself.
func (s saved) bound() bool { return s.Cluster.known() || s.Promised != ref{} }

func (s saved) equal(t saved) bool {
	return s.Version == t.Version && s.ref == t.ref && s.Cluster == t.Cluster &&
		s.Promised == t.Promised && slices.Equal(s.Owed, t.Owed)
}

// An identity is saved, held under the directory's lock.
type identity struct {
	dir  string
	lock *os.File

	mu     sync.Mutex // guards the fields below; held while writing, so that writes have one order
	now    saved
	broken error // a write failed: what the disk has is unknown, so no more is promised
	// step is called before each step of a write; a test crashes there.
	step func(name string) error
}

// openIdentity creates dir if need be, locks it against other processes and
// reads or makes its identity. It refuses a directory that is in use, that
// belongs to another id, that has lost its identity file, or that is not a node's
// and not empty. Close unlocks it.
func openIdentity(dir, id string) (*identity, error) { return openIdentityAt(dir, id, nil) }

func openIdentityAt(dir, id string, step func(name string) error) (_ *identity, err error) {
	if err := validID(id); err != nil {
		return nil, fmt.Errorf("cluster: node id: %w", err)
	}
	if err := fitDir(dir); err != nil {
		return nil, err
	}
	if err := makePrivateDir(dir); err != nil {
		return nil, fmt.Errorf("cluster: data directory: %w", err)
	}
	lock, err := lockDir(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("cluster: data directory %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	me := &identity{dir: dir, lock: lock, step: step}
	me.now, err = readIdentity(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := me.create(id); err != nil {
			return nil, err
		}
		return me, nil
	case err != nil:
		return nil, err
	case me.now.ID != id:
		return nil, fmt.Errorf("cluster: data directory %s belongs to node %q, not %q: start it as %q, or give %q a directory of its own",
			dir, me.now.ID, id, me.now.ID, id)
	}
	if err := me.persist(); err != nil {
		return nil, fmt.Errorf("cluster: data directory %s: %w", dir, advised(err))
	}
	return me, nil
}

// persist makes the names in the directory durable. A process that died after it
// had renamed a file and before it had flushed the directory left the name in the
// system's memory: a promise that is read, repeated to others, and then gone with
// the power would be made again to somebody else.
func (me *identity) persist() error {
	if me.step != nil {
		if err := me.step("persist"); err != nil {
			return err
		}
	}
	return raftlog.SyncDir(me.dir)
}

// create makes the identity of a directory that has none; fitDir has seen that no
// other part of a node is there.
func (me *identity) create(id string) error {
	return me.save(saved{Version: identityVersion, ref: ref{ID: id, Instance: instance(randomNonce())}})
}

// Close unlocks the directory. Nothing is to be saved after it.
func (me *identity) Close() error { return me.lock.Close() }

// saved is the identity as the disk has it.
func (me *identity) saved() saved {
	me.mu.Lock()
	defer me.mu.Unlock()
	return me.now
}

// clusterID is the cluster that this node is a member of; zero while it is none.
func (me *identity) clusterID() clusterID { return me.saved().Cluster }

// transport is the identity that a handshake shows.
func (me *identity) transport() transport.Identity {
	s := me.saved()
	return transport.Identity{Cluster: s.Cluster, ID: s.ID, Instance: fsm.Nonce(s.Instance)}
}

// save makes next what the disk has, and survives a power cut from then on.
// On an error the disk has either value, and every later save fails: the node
// must stop and look again (an fsync that failed says nothing about the next).
func (me *identity) save(next saved) error {
	me.mu.Lock()
	defer me.mu.Unlock()
	if me.broken != nil {
		return me.broken
	}
	data, err := encodeIdentity(next)
	if err == nil {
		err = writeDurably(filepath.Join(me.dir, identityFile), data, me.step)
	}
	if err != nil {
		me.broken = fmt.Errorf("cluster: identity of %s: %w", me.dir, advised(err))
		return me.broken
	}
	me.now = next
	return nil
}
