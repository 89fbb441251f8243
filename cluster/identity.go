package cluster

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
)

// Files of a data directory.
const (
	identityFile  = "identity.json"
	lockFile      = "lock"
	storeFile     = "raft.db"
	snapshotDir   = "snapshots"
	temporaryFile = ".tmp" // suffix: a file that is not published yet
)

// identityVersion is raised when an older node could misread the file.
const identityVersion = 1

// A clusterID is minted once, by the node that founds the cluster. Zero is
// none: the node is not a member yet.
type clusterID [16]byte

func (c clusterID) known() bool { return c != clusterID{} }

// String is hexadecimal, and "" for none.
func (c clusterID) String() string {
	if !c.known() {
		return ""
	}
	return hex.EncodeToString(c[:])
}

// MarshalText is String, for JSON.
func (c clusterID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *clusterID) UnmarshalText(text []byte) error {
	*c = clusterID{}
	if len(text) == 0 {
		return nil
	}
	return decodeHex(c[:], text)
}

// An instance is a data directory's own random number: two directories with
// one node id are told apart by it, and a copy of a directory has it too.
type instance fsm.Nonce

// String is 32 hexadecimal digits.
func (i instance) String() string { return fmt.Sprintf("%016x%016x", i.Hi, i.Lo) }

// MarshalText is String, for JSON.
func (i instance) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (i *instance) UnmarshalText(text []byte) error {
	var b [16]byte
	if err := decodeHex(b[:], text); err != nil {
		return err
	}
	i.Hi, i.Lo = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	return nil
}

func decodeHex(dst, text []byte) error {
	if hex.DecodedLen(len(text)) != len(dst) {
		return fmt.Errorf("%d hexadecimal digits, want %d", len(text), hex.EncodedLen(len(dst)))
	}
	_, err := hex.Decode(dst, text)
	return err
}

// randomNonce is 128 bits that nobody else has.
func randomNonce() fsm.Nonce {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return fsm.Nonce{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}

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
// belongs to another id, or that has lost its identity file. Close unlocks it.
func openIdentity(dir, id string) (_ *identity, err error) {
	if err := validID(id); err != nil {
		return nil, fmt.Errorf("cluster: node id: %w", err)
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
	me := &identity{dir: dir, lock: lock}
	me.now, err = readIdentity(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return me, me.create(id)
	case err != nil:
		return nil, err
	case me.now.ID != id:
		return nil, fmt.Errorf("cluster: data directory %s belongs to node %q, not %q", dir, me.now.ID, id)
	}
	return me, nil
}

// create makes the identity of a directory that has none and is empty.
func (me *identity) create(id string) error {
	for _, name := range []string{storeFile, snapshotDir} {
		if _, err := os.Lstat(filepath.Join(me.dir, name)); err == nil {
			return fmt.Errorf("cluster: data directory %s has %s but no %s: part of it was lost; "+
				"restore it whole, or empty it and let the node join as a new one", me.dir, name, identityFile)
		}
	}
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
		me.broken = fmt.Errorf("cluster: identity of %s: %w", me.dir, err)
		return me.broken
	}
	me.now = next
	return nil
}

// identityDocument is the file: saved with a checksum over it, because a bit
// that flips in a promise would be a second promise.
type identityDocument struct {
	Identity json.RawMessage `json:"identity"`
	Check    string          `json:"crc32c"`
}

func encodeIdentity(s saved) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(identityDocument{Identity: body, Check: identityCheck(body)})
	return append(data, '\n'), err
}

func identityCheck(body []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

// readIdentity reads the identity in dir. It is fs.ErrNotExist if there is none.
func readIdentity(dir string) (saved, error) {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return saved{}, fmt.Errorf("cluster: identity: %w", err)
	}
	var doc identityDocument
	var s saved
	if err := json.Unmarshal(data, &doc); err != nil {
		return saved{}, fmt.Errorf("cluster: %s is damaged: %w", path, err)
	}
	if identityCheck(doc.Identity) != doc.Check {
		return saved{}, fmt.Errorf("cluster: %s is damaged: its checksum differs", path)
	}
	if err := json.Unmarshal(doc.Identity, &s); err != nil {
		return saved{}, fmt.Errorf("cluster: %s is damaged: %w", path, err)
	}
	if s.Version != identityVersion {
		return saved{}, fmt.Errorf("cluster: %s has version %d, this program knows %d", path, s.Version, identityVersion)
	}
	if err := validID(s.ID); err != nil {
		return saved{}, fmt.Errorf("cluster: %s is damaged: node id: %w", path, err)
	}
	return s, nil
}

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
		if err := syncDir(parent); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o700)
}

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
	file, err := os.OpenFile(path+temporaryFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
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
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
